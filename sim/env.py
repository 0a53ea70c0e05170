"""The contract that every environment meets.

An environment is a subclass of `Env` that says its `description` and `task_rewards` and fills in `_reseed`, `_reset`,
`_step` and `_close`. The base class does what all environments owe their callers: it checks actions, keeps the order of
calls, and refuses use after close. `sim.contract.EnvContract` is the test suite that holds an environment to it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


class SimError(Exception):
    """A user's mistake or a broken simulator, told in one line that says what to do."""


class SimDiedError(SimError):
    """The simulator's process is gone, and its episode with it. The environment's next `reset` starts another."""


@dataclass(frozen=True)
class ActionSpace:
    """The actions an environment understands, always as a float32 vector of length `size`.

    `continuous`: one value a dimension in [-1, 1], the ends being the actuators' limits. `discrete`: one-hot.
    """

    kind: Literal["continuous", "discrete"]
    size: int

    def validated(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
        """A float32 copy of `action`, clipped to the space (discrete: the nearest one-hot).

        Raises SimError where the length is wrong or a value is not finite: no environment can act on that.
        """
        action = np.array(action, np.float32)
        if action.shape != (self.size,):
            raise SimError(f"an action of shape {action.shape} for a space of {self.size} {self.kind} values")
        if not np.isfinite(action).all():
            raise SimError(f"an action that is not finite: {action}")
        if self.kind == "discrete":
            return self.one_hot(int(action.argmax()))
        return np.clip(action, -1, 1)

    def sample(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """A uniformly random action, float32 [size]."""
        if self.kind == "discrete":
            return self.one_hot(int(rng.integers(self.size)))
        return rng.uniform(-1, 1, self.size).astype(np.float32)

    def one_hot(self, index: int) -> NDArray[np.float32]:
        """The discrete action of a number, float32 [size]. Raises SimError where there is none."""
        if not 0 <= index < self.size:
            raise SimError(f"no action {index}: the {self.size} actions are numbered from 0")
        action = np.zeros(self.size, np.float32)
        action[index] = 1
        return action


@dataclass(frozen=True)
class Description:
    """What is true of an environment for as long as it lives."""

    sim: str
    """The simulator's name, as in `sim.make`."""
    task: str
    """The label that conditions the video model. It says nothing of the arm, which the picture shows: so an arm may be
    asked for a task that only another was seen at."""
    action_space: ActionSpace
    image_size: tuple[int, int]
    """Height and width of a frame in pixels."""
    step_seconds: float
    """Environment time between two steps, action repeat included."""
    return_range: tuple[float, float]
    """The ground-truth return of doing nothing useful and the most that an episode can bring, or where there is no such
    most, a human's: what scores compare with."""
    options: dict[str, Any]
    """The simulator's own settings, its defaults filled in: environments that differ in them look or behave
    differently."""

    def normalised_score(self, task_return: float) -> float:
        """A ground-truth return on the scale on which `return_range` is from 0 to 1.

        On Atari the human-normalised score (Mnih et al. 2015): 0 for a random player, 1 for a human, more for
        better ones.
        """
        return normalised_score(task_return, self.return_range)


def normalised_score(task_return: float, return_range: tuple[float, float]) -> float:
    """See `Description.normalised_score`."""
    low, high = return_range
    return (task_return - low) / (high - low)


@dataclass(frozen=True)
class TimeStep:
    """One time step of an episode."""

    image: NDArray[np.uint8]
    """uint8 [height, width, 3], RGB."""
    task_reward: float
    """The task's ground-truth reward for reaching this time step, summed over the action repeat. For evaluation
    only."""
    is_first: bool
    is_last: bool
    is_terminal: bool
    """The episode ended because the task did, not because time ran out."""


class Env(ABC):
    """One environment. Not thread-safe: an environment is used by the thread that made it (OpenGL contexts belong to
    threads)."""

    description: Description
    task_rewards: Literal["every_step", "once", "points"]
    """`every_step`: up to 1 for each control step, according to how well the task is done. `once`: 1 for the time step
    in which the task is first solved. `points`: for events, as they come."""

    def __init__(self) -> None:
        self._running = False
        self._closed = False

    def reset(self, seed: int | None = None) -> TimeStep:
        """Begin an episode and return its first time step.

        With a `seed`, from 0 to 2**32 - 1, this and what follows are as in a new environment of that seed.
        """
        self._refuse_if_closed()
        self._running = True
        if seed is not None:
            self._reseed(seed)
        return self._reset()

    def step(self, action: NDArray[np.float32]) -> TimeStep:
        """Apply `action` (float32 [action_space.size]) for one step and return the time step reached.

        Out-of-range values are clipped. Raises SimError where the action has the wrong length or is not finite (the
        environment has then not moved), before the first reset, and after the episode's last time step.
        """
        self._refuse_if_closed()
        if not self._running:
            raise SimError("step() outside an episode: call reset() first")
        time_step = self._step(self.description.action_space.validated(action))
        self._running = not time_step.is_last
        return time_step

    def close(self) -> None:
        """Give back what the environment holds. Closing twice is harmless; anything else after it raises SimError."""
        if not self._closed:
            self._closed = True
            self._close()

    def __enter__(self) -> Env:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise SimError("this environment is closed: make a new one")

    @abstractmethod
    def _reseed(self, seed: int) -> None: ...

    @abstractmethod
    def _reset(self) -> TimeStep: ...

    @abstractmethod
    def _step(self, action: NDArray[np.float32]) -> TimeStep: ...

    @abstractmethod
    def _close(self) -> None: ...
