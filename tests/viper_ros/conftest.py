from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import Executor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from rclpy.utilities import try_shutdown

from viper_ros.runtime.node import Health, ViperNode
from viper_ros.runtime.process import make_executor

_executors: list[Executor] = []
"""The running test's. One for all of it: what has arrived for a node is forgotten with the executor that was told."""


@pytest.fixture
def ros(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """ROS, of whose nodes none is left afterwards.

    Or the next test hears their latched messages, and each keeps a DDS participant and its threads; a process of many
    participants deadlocks now and then in Fast DDS when garbage collection destroys one.
    """
    nodes: list[Node] = []
    begin = Node.__init__

    def remember(node: Node, *arguments: Any, **options: Any) -> None:
        begin(node, *arguments, **options)
        nodes.append(node)

    monkeypatch.setattr(Node, "__init__", remember)
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    executor = make_executor()
    _executors.append(executor)
    yield
    _executors.remove(executor)
    for node in nodes:
        if isinstance(node, ViperNode):
            node.stop()
        node.destroy_node()
    executor.shutdown()
    try_shutdown()


def overrides(**values: Any) -> list[Parameter]:
    return [Parameter(name, value=value) for name, value in values.items()]


class Listener(ViperNode):
    """Keeps what comes on some topics."""

    def __init__(self, topics: dict[str, type], qos: Any) -> None:
        super().__init__("listener", [])
        self.heard: dict[str, list[Any]] = {topic: [] for topic in topics}
        for topic, kind in topics.items():
            self.listen(kind, topic, self.heard[topic].append, qos)

    def claims(self) -> dict[str, type]:
        return {}

    def health(self) -> Health:
        return Health("listening")


@contextmanager
def publisher_elsewhere(kind: type, topic: str, qos: Any = 10) -> Iterator[Publisher]:
    """A publisher of another process's node, /elsewhere: only there may a topic have another type."""
    context = Context()
    rclpy.init(args=[], context=context)
    node = rclpy.create_node("elsewhere", context=context)
    try:
        yield node.create_publisher(kind, topic, qos)
    finally:
        node.destroy_node()
        try_shutdown(context=context)


def spin_until(nodes: Sequence[ViperNode], condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Run these real nodes, and no others, until something has come about; fails where it doesn't."""
    (executor,) = _executors
    present = executor.get_nodes()
    for node in present:
        if node not in nodes:
            executor.remove_node(node)
    for node in nodes:
        if node not in present:
            executor.add_node(node)
    done = Future()
    watch = nodes[0].create_timer(0.005, lambda: done.set_result(True) if condition() and not done.done() else None)
    executor.spin_until_future_complete(done, seconds)
    nodes[0].destroy_timer(watch)
    assert done.done(), "nothing came about in time"


def random_frames(count: int, size: int = 64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)
