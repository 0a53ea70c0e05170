"""RLBench's own planner as an expert: its demonstration, followed closely with the actions that a policy has."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sim.env import Env, SimError
from sim.rlbench import STEP_METRES, STEP_RADIANS, Pose, RLBenchEnv

_NEAR_METRES, _NEAR_RADIANS = 0.008, 0.05
_PATIENCE = 4
"""Steps after which a pose that the arm doesn't come near to is left for the next: something may be in its way."""


def make_expert(task: str, seed: int) -> Follower:
    """The expert of a task: the planner's chance comes with the environment."""
    return Follower()


class Follower:
    """Follows a plan of poses, and holds the last. Where there is no plan it stands still."""

    def reset(self, env: Env) -> None:
        if not isinstance(env, RLBenchEnv):
            raise SimError(f"RLBench's planner can't act in {env.description.sim}: choose another behaviour")
        self._plan = env.plan()
        self._next = self._waited = 0

    def act(self, env: Env) -> NDArray[np.float32]:
        """The next action, float32 [7]. The environment doesn't move."""
        assert isinstance(env, RLBenchEnv)
        if not self._plan:
            return np.array([0, 0, 0, 0, 0, 0, -1], np.float32)
        self._choose_goal(env.pose)
        goal = self._plan[self._next]
        metres, turn = _difference(env.pose, goal)
        move = np.concatenate([metres / STEP_METRES, turn / STEP_RADIANS])
        move /= max(1.0, np.abs(move).max())
        return np.array([*move, -1.0 if goal.is_open else 1.0], np.float32)

    def _choose_goal(self, here: Pose) -> None:
        """The farthest pose that one step reaches, but no pose beyond one at which the gripper is to open or close."""
        self._waited += 1
        last = len(self._plan) - 1
        if self._next < last and (_within(here, self._plan[self._next]) or self._waited > _PATIENCE):
            self._next += 1
            self._waited = 0
        while self._next < last:
            following = self._plan[self._next + 1]
            if following.is_open != self._plan[self._next].is_open:
                return
            if not _within(here, following, STEP_METRES, STEP_RADIANS):
                return
            self._next += 1
            self._waited = 0


def _difference(here: Pose, there: Pose) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The way in m, float64 [3], and the turn as a rotation vector in rad, float64 [3], in the world frame."""
    turn = Rotation.from_quat(there.rotation) * Rotation.from_quat(here.rotation).inv()
    return there.position - here.position, turn.as_rotvec()


def _within(here: Pose, there: Pose, metres: float = _NEAR_METRES, radians: float = _NEAR_RADIANS) -> bool:
    way, turn = _difference(here, there)
    return math.dist(way, (0, 0, 0)) <= metres and math.dist(turn, (0, 0, 0)) <= radians
