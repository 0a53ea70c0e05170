"""An environment as dm_env's: for agents of Acme, dm_control's wrappers and the like."""

from __future__ import annotations

import dm_env
import numpy as np
from dm_env import specs
from numpy.typing import NDArray

from sim.env import Env, TimeStep


class DmEnv(dm_env.Environment):
    """Observations are frames, uint8 [height, width, 3]; rewards are the task's ground truth.

    Actions are float32 [size] in [-1, 1], or the number of one. The discount is 0 where the task itself ended, and 1 at
    all other time steps, the last one before time runs out included.
    """

    def __init__(self, env: Env) -> None:
        self._env = env
        self._running = False

    def reset(self) -> dm_env.TimeStep:
        self._running = True
        return dm_env.restart(self._env.reset().image)

    def step(self, action: NDArray[np.float32] | int) -> dm_env.TimeStep:
        """Begins an episode, whatever the action, where none is under way. Raises SimError for an impossible action."""
        if not self._running:
            return self.reset()
        space = self._env.description.action_space
        vector = space.one_hot(int(action)) if space.kind == "discrete" else np.asarray(action, np.float32)
        time_step = self._env.step(vector)
        self._running = not time_step.is_last
        return _converted(time_step)

    def observation_spec(self) -> specs.BoundedArray:
        return specs.BoundedArray((*self._env.description.image_size, 3), np.uint8, 0, 255, name="image")

    def action_spec(self) -> specs.BoundedArray | specs.DiscreteArray:
        space = self._env.description.action_space
        if space.kind == "discrete":
            return specs.DiscreteArray(space.size, name="action")
        return specs.BoundedArray((space.size,), np.float32, -1, 1, name="action")

    def close(self) -> None:
        self._env.close()


def _converted(time_step: TimeStep) -> dm_env.TimeStep:
    reward = float(time_step.task_reward)
    if time_step.is_terminal:
        return dm_env.termination(reward, time_step.image)
    if time_step.is_last:
        return dm_env.truncation(reward, time_step.image)
    return dm_env.transition(reward, time_step.image)
