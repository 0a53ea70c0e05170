"""Publishers that a node's subscriptions don't hear, though they are on the same topic."""

from __future__ import annotations

from collections.abc import Iterable

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, qos_check_compatible
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo

NEW_NODE = "a node that has just appeared"


def unheard_publishers(node: Node, subscriptions: Iterable[Subscription]) -> dict[str, str]:
    """By topic: who publishes on it and is heard by none of the `subscriptions` to it, and why, in one line.

    A publisher isn't heard where its messages are of another type, or where it offers a lower quality of service than
    every subscription asks for.
    """
    by_topic: dict[str, list[Subscription]] = {}
    for subscription in subscriptions:
        by_topic.setdefault(subscription.topic_name, []).append(subscription)
    told: dict[str, str] = {}
    for topic, listening in by_topic.items():
        expected = type_name(listening[0].msg_type)  # type: ignore[arg-type, unused-ignore]  # Jazzy's types
        for publisher in node.get_publishers_info_by_topic(topic):
            who = node_of(publisher)
            if publisher.topic_type != expected:
                told[topic] = f"{topic}: {who} publishes {publisher.topic_type}, but {expected} is expected"
                continue
            why = [qos_check_compatible(publisher.qos_profile, each.qos_profile) for each in listening]
            if all(compatible == QoSCompatibility.ERROR for compatible, _ in why):
                told[topic] = f"{topic}: {who} can't be heard: {why[0][1].strip().removeprefix('ERROR: ').rstrip(';')}"
    return told


def node_of(endpoint: TopicEndpointInfo) -> str:
    """The full name of the node that a publisher or subscription belongs to, NEW_NODE before discovery has told it."""
    if endpoint.node_name == "_NODE_NAME_UNKNOWN_":  # rmw's own mark
        return NEW_NODE
    return f"{endpoint.node_namespace.rstrip('/')}/{endpoint.node_name}"


def type_name(message: type) -> str:
    """A message's class as ROS calls its type, such as sensor_msgs/msg/Image."""
    package, kind = message.__module__.split(".")[:2]
    return f"{package}/{kind}/{message.__name__}"
