"""Sampling-based model-predictive control: an expert without training.

At each step, noisy variations of the plan so far are rolled out in the simulator, the best few are averaged into the
new plan, and its first action is taken (predictive sampling, Howell et al. 2022, with the elite mean of the
cross-entropy method).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from sim.env import Env, SimError


@dataclass(frozen=True)
class PlannerSettings:
    horizon_seconds: float = 0.8
    """How far ahead the rewards count."""
    knot_seconds: float = 0.16
    """Time between the knots of the noise, which is linear in between."""
    samples: int = 16
    elites: int = 4
    noise: float = 0.7
    """Standard deviation of the noise, in actions from -1 to 1. Samples have from `calmest` of it to all of it,
    the first none."""
    calmest: float = 0.0
    iterations: int = 1
    """Times that the plan is varied and averaged before its first action is taken."""
    reward: Callable[[Any], float] | None = None
    """The task's own, physics -> reward, where there is a faster way to it than the task's."""
    shaping: Callable[[Any], float] | None = None
    """Added to the reward in planning only: physics -> a hint where the task's own reward is flat."""
    coarseness: int = 1
    """How many times as long as the environment's own physics steps those of planning are: cheaper, not exact."""


@runtime_checkable
class Imaginable(Protocol):
    """An environment that can say what would follow from actions. See `sim.dmc.DMC.rollout_rewards`."""

    def rollout_rewards(
        self,
        actions: NDArray[np.float32],
        reward: Callable[[Any], float] | None = None,
        shaping: Callable[[Any], float] | None = None,
        coarseness: int = 1,
    ) -> NDArray[np.float64]: ...


class Planner:
    """A behaviour that plans at the step of the environment it acts in, so that a policy could do what it does."""

    def __init__(self, settings: PlannerSettings, seed: int) -> None:
        self._settings = settings
        self._rng = np.random.default_rng(seed)

    def reset(self, env: Env) -> None:
        if not isinstance(env, Imaginable):
            raise SimError(f"the planner can't look ahead in {env.description.sim}: choose another behaviour")
        settings, seconds = self._settings, env.description.step_seconds
        self._environment: Imaginable = env
        horizon = max(2, round(settings.horizon_seconds / seconds))
        spacing = max(1, round(settings.knot_seconds / seconds))
        knots = np.arange(0, horizon + spacing - 1, spacing)
        # What each step takes from each knot, [horizon, knots].
        self._spread = np.stack([np.interp(np.arange(horizon), knots, one) for one in np.eye(len(knots))], axis=1)
        self._plan = np.zeros((horizon, env.description.action_space.size), np.float32)

    def act(self, env: Env) -> NDArray[np.float32]:
        """The next action, float32 [size]. The environment doesn't move."""
        settings = self._settings
        for _ in range(settings.iterations):
            samples = self._variations()
            rewards = self._environment.rollout_rewards(
                samples, reward=settings.reward, shaping=settings.shaping, coarseness=settings.coarseness
            )
            elites = np.argsort(-rewards.sum(axis=1), kind="stable")[: settings.elites]
            self._plan = samples[elites].mean(axis=0)
        action = np.array(self._plan[0])
        self._plan = np.concatenate([self._plan[1:], self._plan[-1:]])
        return action

    def _variations(self) -> NDArray[np.float32]:
        """The plan itself and `samples - 1` smooth variations of it, [samples, horizon, size] in [-1, 1]."""
        samples, size = self._settings.samples, self._plan.shape[1]
        shares = np.linspace(self._settings.calmest, 1, samples)
        shares[0] = 0
        scale = self._settings.noise * shares[:, None, None]
        knots = scale * self._rng.standard_normal((samples, self._spread.shape[1], size))
        variations: NDArray[np.float32] = (self._plan + self._spread @ knots).clip(-1, 1).astype(np.float32)
        return variations
