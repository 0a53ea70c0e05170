"""Who acts in a video: an expert, a random one, something between, or what a policy might try instead."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from itertools import combinations, islice, product
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sim.env import ActionSpace, Env, SimError


class Behaviour(Protocol):
    def reset(self, env: Env) -> None:
        """Take over in `env`, at or near the beginning of an episode."""

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


class Background:
    """What is not the task: random actions, each held for a random time.

    Of the actions a quarter are nothing, and of continuous ones another quarter at the actuators' limits.
    """

    _LONGEST_HOLDS = (1, 3, 8, 20, None)
    """Steps, of which each episode has one; None: its first action all along, so that the ends of what moves are
    seen."""

    def __init__(self, seed: int, episode: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._longest_hold = self._LONGEST_HOLDS[episode % len(self._LONGEST_HOLDS)]

    def reset(self, env: Env) -> None:
        self._steps_left: float = 0

    def act(self, env: Env) -> NDArray[np.float32]:
        if self._steps_left == 0:
            longest = self._longest_hold
            self._steps_left = math.inf if longest is None else int(self._rng.integers(1, longest + 1))
            self._action = self._draw(env.description.action_space)
        self._steps_left -= 1
        return self._action.copy()

    def _draw(self, space: ActionSpace) -> NDArray[np.float32]:
        action, kind = space.sample(self._rng), self._rng.random()
        if kind < 0.25:
            return _nothing(space)
        return np.sign(action) if space.kind == "continuous" and kind < 0.5 else action


class Parked:
    """One action all along, another in each episode.

    Continuous: first none, then each actuator by itself at either of its limits, then any two, and so on until all
    combinations of -1, 0 and 1 have been. Discrete: each in turn.
    """

    def __init__(self, episode: int) -> None:
        self._episode = episode

    def reset(self, env: Env) -> None:
        space = env.description.action_space
        if space.kind == "discrete":
            self._action = space.one_hot(self._episode % space.size)
        else:
            self._action = next(islice(_parkings(space.size), self._episode % 3**space.size, None))

    def act(self, env: Env) -> NDArray[np.float32]:
        return self._action.copy()


class Stopped:
    """An expert that stops on its way: from a step on, another in each episode, it does nothing more in every other
    episode, and in those between holds its last action.
    """

    _LATEST = 100
    """The step before which it stops; half of the episodes stop before its square root, as some tasks take few."""

    def __init__(self, expert: Behaviour, episode: int) -> None:
        self._expert = expert
        golden = (math.sqrt(5) - 1) / 2  # its multiples, modulo 1, fill [0, 1] evenly however many there are
        self._expert_steps = int(self._LATEST ** ((episode + 1) * golden % 1))
        self._holds = episode % 2 == 1

    def reset(self, env: Env) -> None:
        self._expert.reset(env)
        self._steps = 0
        self._action = _nothing(env.description.action_space)

    def act(self, env: Env) -> NDArray[np.float32]:
        if self._steps < self._expert_steps:
            self._steps += 1
            action = self._expert.act(env)
            if self._holds:
                self._action = action.copy()
            return action
        return self._action.copy()


def _nothing(space: ActionSpace) -> NDArray[np.float32]:
    """Zero; discrete: the first action, which is to do nothing where there is such a one."""
    return space.one_hot(0) if space.kind == "discrete" else np.zeros(space.size, np.float32)


def _parkings(size: int) -> Iterator[NDArray[np.float32]]:
    """Every vector of -1, 0 and 1, float32 [size], those with more zeros first."""
    for pushed in range(size + 1):
        for actuators in combinations(range(size), pushed):
            for ends in product((-1, 1), repeat=pushed):
                action = np.zeros(size, np.float32)
                action[list(actuators)] = ends
                yield action


BEHAVIOURS = ("expert", "random", "noisy", "background", "parked", "stopped")


def make_behaviour(name: str, sim: str, task: str, seed: int, episode: int = 0) -> Behaviour:
    """A behaviour for videos of `task` in `sim`. Raises SimError for a name that is not in `BEHAVIOURS`.

    `episode` is the number of the video among those of the behaviour: some go through what there is in turn.
    The simulator's expert is what `sim/experts/<sim>.py` makes: `make_expert(task, seed) -> Behaviour`.
    """
    if name not in BEHAVIOURS:
        raise SimError(f"no behaviour {name!r}: choose {', '.join(BEHAVIOURS)}")
    if name == "random":
        return Random(seed)
    if name == "background":
        return Background(seed, episode)
    if name == "parked":
        return Parked(episode)
    expert: Behaviour = importlib.import_module(f"sim.experts.{sim}").make_expert(task, seed)
    if name == "stopped":
        return Stopped(expert, episode)
    return expert if name == "expert" else Noisy(expert, seed)
