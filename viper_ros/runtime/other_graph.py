"""Whether another graph is at work on the topics that some nodes are about to publish."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

from rclpy.executors import SingleThreadedExecutor
from rclpy.task import Future

from viper_ros.runtime.node import ViperNode

LISTEN_SECONDS = 1.5
"""How long to listen. In that time a running process announces itself to new ones three times (config/fastdds.xml), and
an environment that waits for an action publishes its last time steps again once (`repeat_after` of sim_node)."""
LISTEN_LONGER_SECONDS = 5.0
"""How much longer where another publisher is discovered but not heard yet: a busy machine may take its time."""


def topic_in_use(nodes: Sequence[ViperNode]) -> str | None:
    """The first topic among the nodes' `claims` on which somebody else publishes; None where they are alone.

    A publisher counts once it is heard. Discovery alone says too much: a process that was killed stays discovered for
    another twenty seconds. The nodes must be in no executor, and not publish yet.
    """
    heard: Future[str] = Future()

    def hear(topic: str, _: object) -> None:
        if not heard.done():
            heard.set_result(topic)

    executor = SingleThreadedExecutor()
    subscriptions = []
    own_publishers: Counter[str] = Counter()
    for node in nodes:
        for topic, kind in node.claims().items():
            name = node.resolve_topic_name(topic)
            own_publishers[name] += 1
            subscription = node.create_subscription(kind, topic, partial(hear, name), 1)
            subscriptions.append((node, subscription))
        executor.add_node(node)
    executor.spin_until_future_complete(heard, LISTEN_SECONDS)
    if any(nodes[0].count_publishers(name) > count for name, count in own_publishers.items()):
        executor.spin_until_future_complete(heard, LISTEN_LONGER_SECONDS)
    for node, subscription in subscriptions:
        node.destroy_subscription(subscription)
    for node in nodes:
        executor.remove_node(node)
    executor.shutdown()
    return heard.result() if heard.done() else None
