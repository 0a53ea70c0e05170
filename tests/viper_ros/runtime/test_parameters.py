import pytest
from rclpy.parameter import Parameter as RclpyParameter

from tests.viper_ros.conftest import overrides
from viper_lab.errors import UserError
from viper_lab.parameters import Parameter
from viper_ros.nodes import policy_node, reward_node, sim_node
from viper_ros.runtime.node import Health, ViperNode
from viper_ros.runtime.parameters import descriptor

pytestmark = pytest.mark.usefixtures("ros")

PARAMETERS = (
    Parameter("count", 3, "How many.", low=1, high=5, read_only=False),
    Parameter("share", 0.5, "How much.", low=0.0, high=1.0, read_only=False),
    Parameter("way", "left", "Which way.", choices=("left", "right"), read_only=False),
    Parameter("fixed", "as it is", "Never changes."),
)


class SomeNode(ViperNode):
    def __init__(self, **values: object) -> None:
        super().__init__("some_node", PARAMETERS, parameter_overrides=overrides(**values))

    def health(self) -> Health:
        return Health("well")


@pytest.mark.parametrize("values", [{"count": 6}, {"share": -0.1}, {"way": "up"}, {"count": "many"}, {"cont": 2}])
def test_a_wrong_value_from_outside_is_refused_by_name(values: dict[str, object]) -> None:
    with pytest.raises(UserError, match=next(iter(values))):
        SomeNode(**values)


@pytest.mark.parametrize(("name", "value"), [("count", 0), ("share", 1.5), ("way", "up"), ("fixed", "otherwise")])
def test_a_wrong_value_at_run_time_is_refused_and_the_old_one_stays(name: str, value: object) -> None:
    node = SomeNode()
    before = node.value(name)
    (result,) = node.set_parameters([RclpyParameter(name, value=value)])
    assert not result.successful
    assert node.value(name) == before


def test_a_right_value_at_run_time_is_taken() -> None:
    node = SomeNode()
    assert node.set_parameters([RclpyParameter("way", value="right")])[0].successful
    assert node.value("way") == "right"


@pytest.mark.parametrize("module", [sim_node, reward_node, policy_node])
def test_every_parameter_says_what_it_is_and_its_default_is_allowed(module: object) -> None:
    for parameter in module.PARAMETERS:  # type: ignore[attr-defined]
        described = descriptor(parameter)
        assert len(described.description) > 10
        if parameter.choices:
            assert parameter.default in parameter.choices
        if parameter.low is not None:
            assert parameter.low <= parameter.default <= parameter.high
            assert described.integer_range or described.floating_point_range
