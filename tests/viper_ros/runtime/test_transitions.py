"""A transition that breaks is told, and ends the node."""

import pytest

from tests.viper_ros.conftest import Listener
from viper_ros.runtime.qos import RELIABLE

pytestmark = pytest.mark.usefixtures("ros")


def test_what_nobody_expected_in_a_transition_is_logged_and_ends_the_node(capfd: pytest.CaptureFixture[str]) -> None:
    node = Listener({}, RELIABLE)

    def broken() -> None:
        raise ZeroDivisionError("of all things")

    node.configure = broken
    assert not node.configure_now()
    assert node.done.result() == 1
    assert "ZeroDivisionError: of all things" in capfd.readouterr().err
