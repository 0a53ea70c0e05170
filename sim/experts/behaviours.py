"""Who acts in a video: an expert, a random one, or something between."""

from __future__ import annotations

import importlib
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sim.env import Env, SimError


class Behaviour(Protocol):
    def reset(self, env: Env) -> None:
        """Begin an episode in `env`, which has just been reset."""

    def act(self, env: Env) -> NDArray[np.float32]:
        """The action that answers the time step `env` is at, float32 [action_space.size]."""


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


def make_behaviour(name: str, sim: str, task: str, seed: int) -> Behaviour:
    """A behaviour for videos of `task` in `sim`. Raises SimError for a name that is not in `BEHAVIOURS`.

    The simulator's expert is what `sim/experts/<sim>.py` makes: `make_expert(task, seed) -> Behaviour`.
    """
    if name not in BEHAVIOURS:
        raise SimError(f"no behaviour {name!r}: choose {', '.join(BEHAVIOURS)}")
    if name == "random":
        return Random(seed)
    expert: Behaviour = importlib.import_module(f"sim.experts.{sim}").make_expert(task, seed)
    return expert if name == "expert" else Noisy(expert, seed)
