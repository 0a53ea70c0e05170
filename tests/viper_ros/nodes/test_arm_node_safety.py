"""What stops an arm: its inputs, whoever publishes them."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
from rclpy.parameter import Parameter as RclpyParameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Bool, Empty

from tests.viper_ros.conftest import Listener, publisher_elsewhere
from tests.viper_ros.nodes.test_arm_node import COMMANDS, UP, Cell, cell, close, patient, spin_for_control_periods
from viper_ros.arm.safety import State
from viper_ros.runtime.qos import RELIABLE

__all__ = ["cell", "patient"]
pytest.importorskip("robosuite", reason="ships the arms' models")
pytestmark = pytest.mark.usefixtures("ros")

LATCHED_BUTTON = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
BEST_EFFORT_BUTTON = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


def pull(cell: Cell, plug: str) -> None:
    operator, steps = cell.operator, cell.operator.heard["step"]
    if plug == "policy":
        operator.answering = False
    elif plug == "joint states":
        cell.simulated.set_parameters([RclpyParameter("joint_states", value=False)])
    elif plug == "camera":
        cell.simulated.set_parameters([RclpyParameter("dropped_frames", value=1.0)])
    elif plug == "emergency stop":
        operator.stop_button.publish(Bool(data=True))
    elif plug == "service e_stop":
        assert cell.call("e_stop").success
    elif plug == "not finite":
        operator.send([float("nan")] * 7, steps[-1], shift=1)
    elif plug == "values":
        operator.send([0.0] * 3, steps[-1], shift=1)
    else:
        cell.until(lambda: len(steps) > 2)
        operator.send(UP, steps[0])


@pytest.mark.parametrize(
    "plug",
    ["policy", "joint states", "camera", "emergency stop", "service e_stop", "not finite", "values", "out of order"],
)
def test_pulling_any_plug_stops_the_arm_until_it_is_cleared(cell: Cell, plug: str) -> None:
    cell.moving()
    pull(cell, plug)
    cell.stopped()
    assert plug in cell.guard.reason
    assert plug in cell.arm_node.health().message
    cell.until(lambda: cell.operator.heard["step"][-1].is_last)
    assert not cell.call("start_episode").success
    place = cell.simulated.environment.positions
    commands = len(cell.operator.heard[COMMANDS])
    spin_for_control_periods(cell, 10)
    assert len(cell.operator.heard[COMMANDS]) == commands
    np.testing.assert_allclose(cell.simulated.environment.positions, place, atol=1e-3)


def test_after_a_stop_is_released_and_cleared_an_episode_can_begin(cell: Cell) -> None:
    cell.moving()
    cell.operator.stop_button.publish(Bool(data=True))
    cell.stopped()
    assert "release" in cell.call("clear_fault").message
    cell.operator.stop_button.publish(Bool(data=False))
    cell.until(lambda: not cell.guard._stops_pressed)
    assert cell.call("clear_fault").success
    cell.moving()
    assert cell.operator.heard["step"][-1].episode == 1


def test_a_stop_that_was_latched_before_the_node_started_is_heard() -> None:
    button = Listener({}, RELIABLE)
    latched = button.create_publisher(Bool, "e_stop", LATCHED_BUTTON)
    latched.publish(Bool(data=True))
    cell = Cell()
    cell.nodes.append(button)
    cell.until(lambda: cell.guard.state is State.FAULTED)
    assert "emergency stop" in cell.call("start_episode").message
    # Another publisher's word doesn't release what is latched.
    cell.operator.stop_button.publish(Bool(data=False))
    spin_for_control_periods(cell, 5)
    assert "release" in cell.call("clear_fault").message
    latched.publish(Bool(data=False))
    cell.until(lambda: not cell.guard._stops_pressed)
    assert cell.call("clear_fault").success
    cell.moving()
    close(cell)


def test_a_stop_over_best_effort_is_heard(cell: Cell) -> None:
    cell.moving()
    button = cell.operator.create_publisher(Bool, "e_stop", BEST_EFFORT_BUTTON)
    cell.until(lambda: button.get_subscription_count() == 1)  # The other two ask for more than it offers.
    button.publish(Bool(data=True))
    cell.stopped()
    assert "emergency stop" in cell.guard.reason


@pytest.mark.parametrize("qos", [LATCHED_BUTTON, BEST_EFFORT_BUTTON], ids=["latched", "best effort"])
def test_a_dead_man_switch_of_any_quality_of_service_is_heard_while_it_is_held(qos: QoSProfile) -> None:
    hand = Listener({}, RELIABLE)
    switch = hand.create_publisher(Bool, "enable", qos)
    switch.publish(Bool(data=True))  # once, before anybody listens: nobody holds it now
    cell = Cell(dead_man=True)
    cell.nodes.append(hand)
    cell.until(lambda: switch.get_subscription_count() >= 1)
    cell.refuses("start_episode", "dead-man")
    holding = hand.every(0.05, lambda: switch.publish(Bool(data=True)))
    cell.moving()
    holding.cancel()
    switch.publish(Bool(data=False))
    cell.stopped()
    assert "dead-man" in cell.guard.reason
    close(cell)


def test_where_a_publisher_of_a_safety_input_can_not_be_heard_the_arm_does_not_move(cell: Cell) -> None:
    with publisher_elsewhere(Empty, "e_stop"):
        cell.until(lambda: cell.arm_node.count_publishers("e_stop") == 2)
        for service in ("start_episode", "reset_episode"):
            cell.refuses(service, "/e_stop: /elsewhere publishes std_msgs/msg/Empty, but std_msgs/msg/Bool is expected")
        assert "/elsewhere publishes std_msgs/msg/Empty" in cell.arm_node.health().message
    cell.until(lambda: cell.arm_node.count_publishers("e_stop") == 1)
    cell.moving()
    with publisher_elsewhere(Empty, "enable"):
        cell.stopped()
    # It stops at once, and the publisher's name may be discovered later than its type.
    who = "/elsewhere|a node that has just appeared"
    assert re.match(rf"/enable: ({who}) publishes std_msgs/msg/Empty", cell.guard.reason)


def test_arithmetic_waits_for_no_thread_of_lower_priority() -> None:
    # In a process of its own, which may become a real-time one. It has imported what the node has: limits are set to
    # libraries that are loaded.
    code = "from viper_ros.nodes.arm_node import request_real_time; from threadpoolctl import threadpool_info\n"
    code += "request_real_time('arm_node')\n"
    code += "print({library['num_threads'] for library in threadpool_info()})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "{1}"
