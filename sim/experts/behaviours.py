"""Who acts in a film: an expert, a random one, or something between."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sim.env import Env, SimError
from sim.experts import dmc
from sim.experts.planner import Planner


class Behaviour(Protocol):
    def reset(self, env: Env) -> None:
        """Begin an episode in `env`, which has just been reset."""

    def act(self, env: Env) -> NDArray[np.float32]:
        """The action that answers the moment `env` is at, float32 [action_space.size]."""


class Random:
    """A new uniformly random action at each step."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def reset(self, env: Env) -> None:
        pass

    def act(self, env: Env) -> NDArray[np.float32]:
        return env.description.action_space.sample(self._rng)


class Noisy:
    """An expert whose action is replaced by a random one with a probability drawn for each episode from U(0.1, 0.9)."""

    def __init__(self, expert: Behaviour, seed: int) -> None:
        self._expert = expert
        self._rng = np.random.default_rng(seed)
        self._noise = 0.0

    def reset(self, env: Env) -> None:
        self._noise = self._rng.uniform(0.1, 0.9)
        self._expert.reset(env)

    def act(self, env: Env) -> NDArray[np.float32]:
        action = self._expert.act(env)
        if self._rng.random() < self._noise:
            return env.description.action_space.sample(self._rng)
        return action


BEHAVIOURS = ("expert", "random", "noisy")


def make_behaviour(name: str, task: str, seed: int) -> Behaviour:
    """A behaviour for films of `task`. Raises SimError for a name that is not in `BEHAVIOURS`."""
    if name == "random":
        return Random(seed)
    if name == "expert":
        return Planner(dmc.planner_settings(task), seed)
    if name == "noisy":
        return Noisy(Planner(dmc.planner_settings(task), seed), seed)
    raise SimError(f"no behaviour {name!r}: choose {', '.join(BEHAVIOURS)}")
