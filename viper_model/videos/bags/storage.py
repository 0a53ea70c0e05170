"""What a file of a rosbag2 recording answers, however it is stored."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

END_OF_TIME = 2**63 - 1
"""Later than any message, in nanoseconds."""


@dataclass(frozen=True)
class Topic:
    """A topic as a file describes it."""

    name: str
    type: str
    """As `sensor_msgs/msg/Image`."""
    serialization: str = "cdr"
    qos: str = ""
    """The publishers' profiles, YAML as rosbag2 writes it."""
    definition: str = ""
    """Text that defines the type, those that it is made of included; empty where the recorder did not know it."""
    definition_format: str = ""
    """`ros2msg`, `ros2idl`, or whatever else the recorder wrote."""
    type_hash: str = ""
    """RIHS01, see REP 2011; empty before ROS 2 Iron."""

    @property
    def key(self) -> TopicKey:
        """What it has in common with the same topic in a recording's other files."""
        return self.name, self.type


TopicKey = tuple[str, str]
"""Name and type."""


class Storage(Protocol):
    """One file, open."""

    @property
    def topics(self) -> Collection[Topic]: ...

    @property
    def cut_off(self) -> bool:
        """Whether the file breaks off: what stands before can be read. Known once all messages were read."""
        ...

    @property
    def unnamed(self) -> Collection[int]:
        """The file's numbers of topics that it has messages of and doesn't describe. Known as `cut_off` is."""
        ...

    def messages(
        self, topics: Collection[TopicKey], start: int = 0, stop: int = END_OF_TIME
    ) -> Iterator[tuple[TopicKey, int, bytes]]:
        """Messages received from `start` to `stop` (nanoseconds, both included), in the order in which they were
        written: topic, when it was received, and what. Raises ModelError where the file is damaged."""
        ...

    def close(self) -> None: ...
