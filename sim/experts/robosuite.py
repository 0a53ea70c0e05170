"""Scripted experts of the arm tasks: waypoints above, at and beyond what is to be moved, for any arm.

They read the environment's state, close the loop on it in every step, and try a grasp again that came up empty.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.env import Env, SimError
from sim.experts.hand import Hand
from sim.experts.scripts import Script, articulated, place, press, push, suite, take
from sim.robosuite import ArmEnv

_SCRIPTS = suite.SCRIPTS | articulated.SCRIPTS | press.SCRIPTS | take.SCRIPTS | place.SCRIPTS | push.SCRIPTS


def make_expert(task: str, seed: int) -> Scripted:
    """The expert of a task. It is the same for every `seed`: what differs between its videos is the environment."""
    return Scripted(_SCRIPTS[task])


class Scripted:
    """A behaviour that follows a script until the task is solved, and then holds still: what a video ends with is the
    goal, not the way home."""

    def __init__(self, script: Script) -> None:
        self._script = script

    def reset(self, env: Env) -> None:
        if not isinstance(env, ArmEnv):
            raise SimError(f"the scripted expert can't act in {env.description.sim}: choose another behaviour")
        self._env = env
        self._hand = Hand(env)
        self._motion = self._script(self._hand)

    def act(self, env: Env) -> NDArray[np.float32]:
        """The next action, float32 [size]. The environment doesn't move."""
        action = None if self._env.solved else next(self._motion, None)
        return next(self._hand.stay(1)) if action is None else action
