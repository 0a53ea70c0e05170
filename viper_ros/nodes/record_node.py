"""Records topics to a bag (MCAP, rosbag2's format), as `ros2 bag record` does where a ROS distribution brings it."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from pathlib import Path
from time import time_ns
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import Connection, Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import Writer

from viper_lab.errors import UserError
from viper_lab.parameters import Parameter
from viper_ros.bags.writing import message_types, open_new
from viper_ros.runtime.node import Health, ViperNode
from viper_ros.runtime.process import run_process

LOOK_SECONDS = 0.2
"""How often to look for topics that nobody published yet."""
DEPTH = 1000
"""Messages of a topic that may wait to be written."""
PLAYED_DEPTH = 10
"""What `ros2 bag play` is to offer."""

PARAMETERS = (
    Parameter("out", "", "Folder of the new bag."),
    Parameter(
        "topics",
        ["image_raw", "step", "action", "reward", "description", "joint_states"],
        "Topics to record; names without a leading / lie in the node's namespace.",
    ),
)


class RecordNode(ViperNode):
    """Subscribes to the topics that `topics` names, from when somebody publishes them, and writes them to a new bag."""

    def __init__(self, **options: Any) -> None:
        super().__init__("record_node", PARAMETERS, **options)
        self._counts: dict[str, int] = {}

    def configure(self) -> None:
        if not self.value("out"):
            raise UserError("no bag: set the parameter 'out' to the folder of the new one")
        self._path = Path(str(self.value("out"))).expanduser()
        self._types = message_types()
        self._counts = {self.resolve_topic_name(topic): 0 for topic in self.value("topics")}
        self._writer: Writer = open_new(self._path)
        self._connections: dict[str, Connection] = {}
        self._heard: list[Any] = []

    def activate(self) -> None:
        self._timer = self.every(LOOK_SECONDS, self._look)
        self._look()

    def deactivate(self) -> None:
        self.destroy_timer(self._timer)
        for subscription in self._heard:
            self.destroy_subscription(subscription)
        self._heard.clear()

    def cleanup(self) -> None:
        self._writer.close()
        self.get_logger().info(f"recorded {sum(self._counts.values())} messages to {self._path}")

    def claims(self) -> dict[str, type]:
        return {}

    def health(self) -> Health:
        missing = [topic for topic, count in self._counts.items() if not count]
        if self._counts and len(missing) == len(self._counts):
            return Health("nothing to record yet", DiagnosticStatus.WARN)
        return Health("recording", values={"messages": sum(self._counts.values()), "silent": " ".join(missing)})

    def _look(self) -> None:
        """Subscribe to the topics that have come into being."""
        heard = {subscription.topic_name for subscription in self._heard}
        for topic in self._counts.keys() - heard:
            offers = self.get_publishers_info_by_topic(topic)
            if not offers:
                continue
            kind = offers[0].topic_type
            if kind not in self._types.fielddefs:
                raise UserError(f"{topic} carries {kind}, which this recorder doesn't know: use `ros2 bag record`")
            package, _, name = kind.split("/")
            # No more than every publisher offers, or some would not be heard.
            offered = [offer.qos_profile for offer in offers]
            reliable = all(qos.reliability == ReliabilityPolicy.RELIABLE for qos in offered)
            latched = all(qos.durability == DurabilityPolicy.TRANSIENT_LOCAL for qos in offered)
            qos = QoSProfile(
                depth=DEPTH,
                reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
                durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
            )
            if topic not in self._connections:
                self._connections[topic] = self._writer.add_connection(
                    topic, kind, typestore=self._types, offered_qos_profiles=[_described(qos)]
                )
            message_class = getattr(import_module(f"{package}.msg"), name)
            self._heard.append(
                self.create_subscription(
                    message_class, topic, partial(self._guard, partial(self._write, topic)), qos, raw=True
                )
            )

    def _write(self, topic: str, data: bytes) -> None:
        try:
            self._writer.write(self._connections[topic], time_ns(), data)
        except OSError as error:
            raise UserError(f"can't write to {self._path}: {error.strerror}; make room and record again") from error
        self._counts[topic] += 1


def _described(qos: QoSProfile) -> Qos:
    """As rosbag2 writes it, so that `ros2 bag play` offers the same."""
    forever = QosTime(9223372036, 854775807)
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=PLAYED_DEPTH,
        reliability=QosReliability(int(qos.reliability)),
        durability=QosDurability(int(qos.durability)),
        deadline=forever,
        lifespan=forever,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=forever,
        avoid_ros_namespace_conventions=False,
    )


def main() -> int:
    return run_process(RecordNode)
