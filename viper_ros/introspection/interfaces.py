"""What each node says and hears, asked of the nodes themselves: what the reference and the SROS2 policy are made of."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rclpy
from rclpy.action.graph import get_action_server_names_and_types_by_node
from rclpy.parameter import Parameter as RclpyParameter
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import try_shutdown

from viper_lab.errors import UserError
from viper_lab.experiment.untrained import untrained_model, untrained_policy
from viper_lab.parameters import Parameter
from viper_ros.nodes import (
    act_node,
    arm_node,
    policy_node,
    record_node,
    reward_node,
    sim_node,
    simulated_arm_node,
    viz_node,
)
from viper_ros.runtime.node import ViperNode

DISCOVERY_SECONDS = 10.0
PART_OF_ACTION = "/_action/"
"""In the names of the topics and services that an action consists of."""
ENVIRONMENT = "env_0"
"""The environment that the nodes are asked about."""


@dataclass(frozen=True)
class Kind:
    """A kind of node, and the settings that between them show all its interfaces."""

    make: Callable[..., ViperNode]
    parameters: Sequence[Parameter]
    settings: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Interfaces:
    """Topics, services and actions of a node, by name, and their types. A leading ~ stands for the node's own name."""

    name: str
    """The node's."""
    publishes: Mapping[str, str]
    subscribes: Mapping[str, str]
    serves: Mapping[str, str]
    actions: Mapping[str, str]
    claims: frozenset[str]
    """The topics of its own that it listens on when it starts, for another graph."""


def kinds(folder: Path) -> dict[str, Kind]:
    """The kinds of node, by executable. `folder`: where the models and runs that they need are made."""
    untrained_model(folder / "model", "task")
    untrained_policy(folder / "run", action_size=1)
    model, run = str(folder / "model"), str(folder / "run")
    arms = [
        {"dry_run": dry, "output": output, "dead_man": True}
        for dry in (True, False)
        for output in ("trajectory", "twist")
    ]
    return {
        "sim_node": Kind(sim_node.SimNode, sim_node.PARAMETERS, [{"task": "cartpole_balance"}]),
        "reward_node": Kind(
            reward_node.RewardNode, reward_node.PARAMETERS, [{"model": model}, {"model": model, "steps": False}]
        ),
        "policy_node": Kind(policy_node.PolicyNode, policy_node.PARAMETERS, [{"run": str(folder / "new")}]),
        "act_node": Kind(act_node.ActNode, act_node.PARAMETERS, [{"policy": run}]),
        "arm_node": Kind(arm_node.ArmNode, arm_node.PARAMETERS, arms),
        "simulated_arm_node": Kind(simulated_arm_node.SimulatedArmNode, simulated_arm_node.PARAMETERS, [{}]),
        "record_node": Kind(record_node.RecordNode, record_node.PARAMETERS, [{"out": str(folder / "bag")}]),
        "viz_node": Kind(viz_node.VizNode, viz_node.PARAMETERS, [{"file": str(folder / "recording.rrd")}]),
    }


def inspect() -> dict[str, Interfaces]:
    """Start every kind of node, one after the other, and note its interfaces, by executable. rclpy must not be at work.

    Raises UserError where one doesn't start: it has said why.
    """
    with tempfile.TemporaryDirectory() as folder:
        return {name: _inspect(kind) for name, kind in kinds(Path(folder)).items()}


def common(found: Mapping[str, Interfaces]) -> Interfaces:
    """What every node has."""
    each = list(found.values())

    def shared(names: str) -> dict[str, str]:
        first: Mapping[str, str] = getattr(each[0], names)
        return {name: kind for name, kind in first.items() if all(name in getattr(other, names) for other in each)}

    return Interfaces("", shared("publishes"), shared("subscribes"), shared("serves"), {}, frozenset())


def _inspect(kind: Kind) -> Interfaces:
    found: list[Interfaces] = []
    for number, settings in enumerate(kind.settings):
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        try:
            values = [RclpyParameter(name, value=value) for name, value in settings.items()]
            # A namespace of its own: the graph remembers the one before for a while.
            node = kind.make(namespace=f"/inspected_{number}", parameter_overrides=values)
            if not node.start():
                raise UserError(f"{node.get_name()} did not start")
            found.append(_interfaces(node))
            node.stop()
        finally:
            try_shutdown()

    def all_of(names: str) -> dict[str, str]:
        every: dict[str, str] = {}
        for one in found:
            every |= getattr(one, names)
        return dict(sorted(every.items()))

    claims = frozenset().union(*(one.claims for one in found))
    publishes, subscribes, serves = all_of("publishes"), all_of("subscribes"), all_of("serves")
    return Interfaces(found[0].name, publishes, subscribes, serves, all_of("actions"), claims)


def _interfaces(node: ViperNode) -> Interfaces:
    name, inside = node.get_name(), node.get_namespace()
    deadline = time.monotonic() + DISCOVERY_SECONDS
    while True:
        publishes = node.get_publisher_names_and_types_by_node(name, inside)
        subscribes = node.get_subscriber_names_and_types_by_node(name, inside)
        serves = node.get_service_names_and_types_by_node(name, inside)
        known = {each for each, _ in (*publishes, *subscribes, *serves)}
        ours = {publisher.topic_name for publisher in node.publishers}
        ours |= {subscription.topic_name for subscription in node.subscriptions}
        ours |= {service.service_name for service in node.services}
        if ours <= known:
            break
        if time.monotonic() > deadline:
            raise UserError(f"{name} is not in the graph after {DISCOVERY_SECONDS:.0f} s")
        time.sleep(0.05)

    def from_root(topic: str) -> str:
        return re.sub(f"^/{name}/", "~/", topic.removeprefix(inside))

    def relative(names: Sequence[tuple[str, Sequence[str]]]) -> dict[str, str]:
        return {from_root(topic): " or ".join(types) for topic, types in names if PART_OF_ACTION not in topic}

    claims = frozenset(from_root(node.resolve_topic_name(topic)) for topic in node.claims())
    actions = get_action_server_names_and_types_by_node(node, name, inside)
    return Interfaces(name, relative(publishes), relative(subscribes), relative(serves), relative(actions), claims)
