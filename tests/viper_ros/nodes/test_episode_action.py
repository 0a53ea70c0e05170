"""run_episode with rclpy's own action client, over real DDS, with the simulated arm behind the node."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from viper_ros.action import RunEpisode

from tests.viper_ros.nodes.test_arm_node import Cell, close, spin_for_control_periods
from tests.viper_ros.nodes.test_arm_node import patient as patient
from viper_ros.arm.safety import State

pytest.importorskip("robosuite", reason="ships the arms' models")
pytestmark = pytest.mark.usefixtures("ros")


class Client:
    """Of the operator's."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.actions = ActionClient(cell.operator, RunEpisode, "run_episode")
        self.feedback: list[RunEpisode.Feedback] = []
        cell.until(self.actions.server_is_ready)

    def send(self) -> Any:
        """The goal, accepted or not."""
        future = self.actions.send_goal_async(RunEpisode.Goal(), lambda told: self.feedback.append(told.feedback))
        self.cell.until(future.done)
        return future.result()

    def result(self, goal: Any) -> tuple[int, RunEpisode.Result]:
        future = goal.get_result_async()
        self.cell.until(future.done)
        return future.result().status, future.result().result


@pytest.fixture
def client() -> Iterator[Client]:
    cell = Cell(episode_seconds=20.0)
    made = Client(cell)
    yield made
    made.actions.destroy()
    close(cell)


def test_a_goal_runs_an_episode_and_cancelling_it_in_the_middle_brakes_the_arm(client: Client) -> None:
    cell, goal = client.cell, client.send()
    assert goal.accepted
    cell.until(lambda: np.abs(cell.simulated.environment.velocities).max() > 0.05 and len(client.feedback) > 3)
    assert [told.steps for told in client.feedback] == list(range(1, 1 + len(client.feedback)))
    assert not client.send().accepted, "one at a time"
    cancelled = goal.cancel_goal_async()
    cell.until(cancelled.done)
    assert len(cancelled.result().goals_canceling) == 1
    status, result = client.result(goal)
    assert status == GoalStatus.STATUS_CANCELED
    assert result.steps >= len(client.feedback) > 3
    assert result.seconds > client.feedback[-1].seconds > 0
    assert result.message == ""
    cell.until(lambda: np.abs(cell.simulated.environment.velocities).max() < 0.005)
    here = cell.simulated.environment.positions
    spin_for_control_periods(cell, 10)
    np.testing.assert_allclose(cell.simulated.environment.positions, here, atol=1e-3)
    assert cell.guard.motion.at_rest
    assert cell.guard.state is State.HOLDING
    assert cell.operator.heard["step"][-1].is_last
    assert client.send().accepted, "and again"


def test_an_episode_that_ends_is_a_success_and_one_that_is_stopped_says_by_what(client: Client) -> None:
    cell = client.cell
    goal = client.send()
    cell.until(lambda: len(client.feedback) > 1)
    assert cell.call("end_episode").success
    assert client.result(goal)[0] == GoalStatus.STATUS_SUCCEEDED
    goal = client.send()
    cell.until(lambda: client.feedback[-1].steps == 2)
    assert cell.call("e_stop").success
    status, result = client.result(goal)
    assert (status, result.message) == (GoalStatus.STATUS_ABORTED, "stopped by the service e_stop")
    status, result = client.result(client.send())
    assert (status, result.steps) == (GoalStatus.STATUS_ABORTED, 0)
    assert "stopped by the service e_stop" in result.message
