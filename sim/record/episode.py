"""One episode of a behaviour, and whether it is good enough for a video of an expert."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.env import Env, TimeStep
from sim.experts import make_behaviour
from sim.record.files import RecordingSettings

ATTEMPTS = 3
"""How often an episode is tried where the expert fails."""
SOLVED = 0.9
"""Share of the most that a step can bring from which the task counts as solved in it."""
_END_STEPS = 20
"""At the end of a video that was cut, in which the task has to be solved."""
_DISTURBANCE = 1
"""Tells the disturbance's random numbers from all others that an episode's seed decides."""


@dataclass(frozen=True)
class Recording:
    """One episode, as recorded."""

    video: dict[str, NDArray[Any]]
    """The arrays of a video file: see `sim.record.files`."""
    seed: int
    score: float
    """How good it is, 1 being the best or, in games, as good as a human."""
    least_score: float
    """Of an expert's videos."""

    @property
    def task_return(self) -> float:
        return float(self.video["task_reward"].sum())


def record_episode(
    environment: Env,
    settings: RecordingSettings,
    index: int,
    seed: int,
    min_score: float,
    say: Callable[[str], None],
) -> Recording:
    """Record the episode of number `index` in an environment of these settings, of whatever seed.

    An expert's is tried again, with other numbers drawn, where it scores less than it has to; the best of `ATTEMPTS` is
    returned. A whole episode has to reach `min_score` of the return range. One that was cut has to end solved: its last
    steps have to bring `SOLVED` of the most that they can, where the task rewards every step; where it rewards the one
    in which it is solved, that has to be in it; the points of a game that was cut say nothing. `say` hears of failures.
    """
    best: Recording | None = None
    for attempt in range(ATTEMPTS):
        episode_seed = int(np.random.SeedSequence([seed, index, attempt]).generate_state(1)[0])
        recording = _record(environment, settings, index, episode_seed, min_score)
        if best is None or recording.score > best.score:
            best = recording
        if settings.behaviour != "expert" or recording.score >= recording.least_score:
            break
        then = "recording again" if attempt + 1 < ATTEMPTS else f"keeping the best, {best.task_return:.0f}"
        reached = f"{recording.task_return:.0f}, a score of {recording.score:.0%}, not {recording.least_score:.0%}"
        say(f"episode {index}: the expert reached {reached}: {then}")
    assert best is not None
    return best


def _record(environment: Env, settings: RecordingSettings, index: int, seed: int, min_score: float) -> Recording:
    behaviour = make_behaviour(settings.behaviour, settings.sim, settings.task, seed, index)
    time_steps, actions = [start(environment, settings.disturbance_steps, seed)], []
    behaviour.reset(environment)
    steps_left = settings.episode_steps or math.inf
    while not time_steps[-1].is_last and steps_left > 0:
        actions.append(behaviour.act(environment))
        time_steps.append(environment.step(actions[-1]))
        steps_left -= 1
        if _solved(environment, time_steps[-1]) and settings.behaviour == "background":
            time_steps.pop()  # How a task looks that is done, the background isn't to know.
            actions.pop()
            break
        if settings.hold_steps is not None and _solved(environment, time_steps[-1]):
            steps_left = min(steps_left, settings.hold_steps)
    rewards = np.array([time_step.task_reward for time_step in time_steps])
    video = {
        "image": np.stack([time_step.image for time_step in time_steps]),
        "action": np.stack([*actions, np.zeros(environment.description.action_space.size, np.float32)]),
        "task_reward": rewards,
    }
    if time_steps[-1].is_last or environment.task_rewards == "once":
        return Recording(video, seed, environment.description.normalised_score(rewards.sum()), min_score)
    if environment.task_rewards == "points":
        return Recording(video, seed, score=1.0, least_score=0.0)
    return Recording(video, seed, rewards[1:][-_END_STEPS:].mean() / settings.action_repeat, SOLVED)


def start(environment: Env, disturbance_steps: int, seed: int) -> TimeStep:
    """The first time step of an episode, after a random action has been held for 0 to `disturbance_steps` steps.

    An episode that ends in these steps, or whose task they solve, is begun again.
    """
    rng = np.random.default_rng([seed, _DISTURBANCE])
    time_step = environment.reset(seed)

    def draw() -> tuple[NDArray[np.float32], int]:
        return environment.description.action_space.sample(rng), int(rng.integers(disturbance_steps + 1))

    action, steps_left = draw()
    while steps_left > 0:
        time_step = environment.step(action)
        steps_left -= 1
        if time_step.is_last or _solved(environment, time_step):
            time_step = environment.reset()
            action, steps_left = draw()
    return replace(time_step, task_reward=0.0)


def _solved(environment: Env, time_step: TimeStep) -> bool:
    """Whether this is the time step in which a task that pays once is solved."""
    return environment.task_rewards == "once" and time_step.task_reward > 0
