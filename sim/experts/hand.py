"""Motions of a gripper that points down, from which scripted experts are made.

A motion is a generator of actions: each answers the time step that the environment is at when it is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.robosuite import STEP_METRES, STEP_RADIANS, ArmEnv

Motion = Iterator[NDArray[np.float32]]

OPEN, CLOSED = -1.0, 1.0
_CORRECTION = 0.3
"""Share of what is missing at the goal that is added to the goal in each step: arms sag and rub."""
_AHEAD = 0.03
"""Metres by which the hand's goal is ahead of where a thing is that it moves."""
_QUARTER = math.pi / 2


def up(height: float) -> NDArray[np.float64]:
    return np.array([0.0, 0.0, height])


class Hand:
    """The gripper of an environment: where it is told to go, and open or closed."""

    def __init__(self, environment: ArmEnv) -> None:
        self.environment = environment
        self.grip = OPEN
        self.yaw = 0.0

    def go(
        self,
        place: ArrayLike,
        *,
        tolerance: float = 0.006,
        speed: float = 1.0,
        steps: int = 40,
        yaw: float | None = None,
    ) -> Motion:
        """Move in a straight line to `place` [3] (metres) until it is reached, `steps` at the most."""
        goal = np.asarray(place, np.float64)
        if yaw is not None:
            self.yaw = yaw
        correction = np.zeros(3)
        for _ in range(steps):
            missing = goal - self.environment.gripper_position
            turn = self.yaw - self.environment.goal_yaw if self.environment.turns else 0.0
            if np.linalg.norm(missing) < tolerance and abs(turn) < 0.02:
                return
            if np.linalg.norm(goal + correction - self.environment.goal_position) < STEP_METRES:
                correction = (correction + _CORRECTION * missing).clip(-0.03, 0.03)
            yield self._action((goal + correction - self.environment.goal_position) / STEP_METRES, turn, speed)

    def follow(self, joint: str, at: ArrayLike, to: float, *, speed: float = 1.0, steps: int = 30) -> Motion:
        """Take a joint to its position `to`, ahead of the point `at` [3] of its body by so much that it is pulled or
        pushed along."""
        towards = np.sign(to - self.environment.joint(joint))
        for _ in range(steps):
            if towards * (to - self.environment.joint(joint)) <= 0:
                return
            goal = self.environment.point_ahead(joint, at, towards * _AHEAD)
            yield self._action((goal - self.environment.goal_position) / STEP_METRES, 0.0, speed)

    def stay(self, steps: int) -> Motion:
        for _ in range(steps):
            yield self._action(np.zeros(3), 0.0, 1.0)

    def open(self, steps: int = 4) -> Motion:
        self.grip = OPEN
        yield from self.stay(steps)

    def close(self, steps: int = 5) -> Motion:
        self.grip = CLOSED
        yield from self.stay(steps)

    @property
    def position(self) -> NDArray[np.float64]:
        return self.environment.gripper_position

    def place_of(self, body: str, offset: ArrayLike = (0.0, 0.0, 0.0)) -> NDArray[np.float64]:
        """Where the point `offset` of a body is."""
        return self.environment.point(body, offset)

    def above(self, body: str, height: float) -> NDArray[np.float64]:
        """The place `height` metres above a body's origin."""
        return self.place_of(body) + up(height)

    def yaw_of(self, body: str, turn: float = 0.0, *, same_after: float = _QUARTER) -> float:
        """A body's yaw plus `turn`, as the nearest of the equal ones to where the hand looks now.

        `same_after`: the rotation after which the body looks the same to the gripper, in radians.
        """
        yaw = self.environment.yaw(body) + turn
        return yaw - same_after * round((yaw - self.environment.goal_yaw) / same_after)

    def _action(self, steps: NDArray[np.float64], turn: float, speed: float) -> NDArray[np.float32]:
        steps = steps * min(1.0, speed / max(float(np.abs(steps).max()), 1e-9))
        turns = [np.clip(turn / STEP_RADIANS, -1, 1)] if self.environment.turns else []
        return np.array([*steps, *turns, self.grip], np.float32)
