"""An environment as Gymnasium's, for Stable-Baselines3, CleanRL and the like: `pip install -r
requirements/gymnasium.txt`."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from sim.env import Env

Observation = NDArray[np.uint8]
Action = NDArray[np.float32] | int


class GymnasiumEnv(gymnasium.Env[Observation, Action]):
    """Observations are frames, uint8 [height, width, 3]; rewards are the task's ground truth.

    Actions are float32 [size] in [-1, 1], or the number of one.
    """

    def __init__(self, env: Env) -> None:
        self._env = env
        self._image: Observation | None = None
        described = env.description
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": round(1 / described.step_seconds)}
        self.render_mode = "rgb_array"
        self.observation_space = gymnasium.spaces.Box(0, 255, (*described.image_size, 3), np.uint8)
        self._discrete = described.action_space.kind == "discrete"
        size = described.action_space.size
        self.action_space: gymnasium.Space[Any] = (
            gymnasium.spaces.Discrete(size) if self._discrete else gymnasium.spaces.Box(-1, 1, (size,), np.float32)
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """There are no `options`. Raises SimError for a seed above 2**32 - 1."""
        super().reset(seed=seed)
        self._image = self._env.reset(seed).image
        return self._image, {}

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Raises SimError outside an episode and for an impossible action."""
        space = self._env.description.action_space
        vector = space.one_hot(int(action)) if self._discrete else np.asarray(action, np.float32)
        time_step = self._env.step(vector)
        self._image = time_step.image
        truncated = time_step.is_last and not time_step.is_terminal
        return self._image, float(time_step.task_reward), time_step.is_terminal, truncated, {}

    def render(self) -> Observation | None:
        """The last frame; None before the first reset."""
        return self._image

    def close(self) -> None:
        self._env.close()
