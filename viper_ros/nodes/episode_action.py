"""An episode as a ROS 2 action: a goal that is accepted, feedback a time step, a result, and a way to cancel it."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from rclpy.action.server import ActionServer, CancelResponse, GoalResponse

from viper_ros.action import RunEpisode
from viper_ros.runtime.node import ViperNode


class EpisodeAction:
    """Serves a node's run_episode. The node says how an episode is begun and ended, and calls `step` and `over`.

    begin: returns why it can't begin; empty where it has. end: as a person would end it.
    """

    def __init__(self, node: ViperNode, begin: Callable[[], str], end: Callable[[], str]) -> None:
        self._begin, self._end = begin, end
        self._goal: Any = None
        """The goal whose episode runs."""
        self._steps = 0
        self._began = 0.0
        self._server = ActionServer(
            node,
            RunEpisode,
            "run_episode",
            execute_callback=lambda goal: RunEpisode.Result(),
            goal_callback=self._on_goal,
            handle_accepted_callback=self._on_accepted,
            cancel_callback=self._on_cancel,
        )

    def close(self) -> None:
        """Serve no more. A client of the goal whose episode runs finds the server gone."""
        self._goal = None
        self._server.destroy()

    def step(self) -> None:
        """The policy was shown a time step."""
        if self._goal is None:
            return
        self._steps += 1
        self._goal.publish_feedback(RunEpisode.Feedback(steps=self._steps, seconds=monotonic() - self._began))

    def over(self, why: str = "") -> None:
        """The episode has ended, if one ran. why: what stopped it; empty where it came to its end."""
        if self._goal is None:
            return
        goal, self._goal = self._goal, None
        result = RunEpisode.Result(steps=self._steps, seconds=monotonic() - self._began, message=why)
        # A goal is executed when all is done: a callback that waited would hold up the node's only thread.
        goal.execute(lambda handle: _result(handle, result))

    def _on_goal(self, request: RunEpisode.Goal) -> GoalResponse:
        return GoalResponse.ACCEPT if self._goal is None else GoalResponse.REJECT

    def _on_accepted(self, goal: Any) -> None:
        self._goal, self._steps, self._began = goal, 0, monotonic()
        if why := self._begin():
            self.over(why)

    def _on_cancel(self, goal: Any) -> CancelResponse:
        if goal != self._goal:
            return CancelResponse.REJECT
        self._end()
        return CancelResponse.ACCEPT


def _result(goal: Any, result: RunEpisode.Result) -> RunEpisode.Result:
    """Tell how a goal ended, and return its result."""
    if result.message:
        goal.abort()
    elif goal.is_cancel_requested:
        goal.canceled()
    else:
        goal.succeed()
    return result
