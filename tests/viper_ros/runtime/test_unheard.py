"""Publishers that a node can't hear are named, over real DDS."""

from collections.abc import Callable

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image

from tests.viper_ros.conftest import Listener, publisher_elsewhere, spin_until
from viper_ros.runtime.qos import RELIABLE

pytestmark = pytest.mark.usefixtures("ros")


def says(camera: Listener, words: str) -> Callable[[], bool]:
    ears = camera.heard["/diagnostics"]
    return lambda: any(
        words in status.message and status.level == DiagnosticStatus.WARN for array in ears for status in array.status
    )


@pytest.mark.parametrize(
    ("kind", "qos", "why"),
    [
        (CompressedImage, RELIABLE, "publishes sensor_msgs/msg/CompressedImage, but sensor_msgs/msg/Image is expected"),
        (Image, qos_profile_sensor_data, "can't be heard: Best effort publisher and reliable subscription"),
    ],
    ids=["another type", "best effort"],
)
def test_a_publisher_that_can_not_be_heard_is_named(kind: type, qos: QoSProfile, why: str) -> None:
    node = Listener({"image_raw": Image, "/diagnostics": DiagnosticArray}, RELIABLE)
    with publisher_elsewhere(kind, "image_raw", qos):
        spin_until([node], says(node, f"listening; /image_raw: /elsewhere {why}"))
    spin_until([node], lambda: not node.unheard())


def test_a_publisher_that_one_of_two_subscriptions_hears_is_not_named() -> None:
    node = Listener({"image_raw": Image}, RELIABLE)
    node.listen(Image, "image_raw", node.heard["image_raw"].append, qos_profile_sensor_data)
    with publisher_elsewhere(Image, "image_raw", qos_profile_sensor_data) as publisher:
        spin_until([node], lambda: publisher.get_subscription_count() == 1)
        assert not node.unheard()
        publisher.publish(Image(height=1))
        spin_until([node], lambda: bool(node.heard["image_raw"]))


def test_the_topic_of_a_refused_message_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    from viper_ros.runtime.node import MessageError

    def refuse(message: Image) -> None:
        raise MessageError("no picture")

    node, heard = Listener({}, RELIABLE), Listener({"image_raw": Image}, RELIABLE)
    node.listen(Image, "image_raw", refuse, RELIABLE)
    publisher = heard.create_publisher(Image, "image_raw", RELIABLE)
    spin_until([node, heard], lambda: publisher.get_subscription_count() == 2)
    publisher.publish(Image())
    spin_until([node, heard], lambda: node._refused == 1)
    assert "message refused: /image_raw: no picture" in capfd.readouterr().err
