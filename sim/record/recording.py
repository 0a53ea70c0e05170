"""Folders of videos of a behaviour, filled."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import sim as environments
from sim.experts import make_behaviour
from sim.record.files import RecordingSettings, list_episodes, make_folder, paths, refuse_other, returns
from sim.record.workers import Job, record_all

_DISTURBED = ("expert", "noisy")
"""The behaviours that are to find back."""


def record(
    sim: str,
    task: str,
    behaviour: str,
    episodes: int,
    directory: Path,
    *,
    image_size: tuple[int, int],
    action_repeat: int,
    seed: int = 0,
    workers: int | None = None,
    min_score: float = 0.8,
    disturbance_steps: int = 0,
    episode_steps: int = 0,
    hold_steps: int | None = None,
    **options: Any,
) -> list[float]:
    """Record until the folder of `task` and `behaviour` has `episodes` videos. Returns the ground-truth returns of all
    of them.

    Videos that are there already are kept and counted, so what was interrupted goes on. An expert's episode that
    reaches less than `min_score` of the environment's return range, or that is cut before the task is solved, is
    recorded again with other numbers drawn (`sim.record.episode`). `workers` processes (None: one a core) record side
    by side; what they record doesn't depend on their number. Each arm needs a `directory` of its own.

    `disturbance_steps`: before an expert, noisy or not, takes over and the video begins, a random action is held for 0
    to so many steps, drawn for each episode. From an environment's usual starts alone a model doesn't learn the way
    back from trouble.

    `episode_steps`: how many steps a video has at most, 0 for the whole episode. `hold_steps`, for tasks that reward
    once, when they are solved: so many steps are recorded after that. Videos that go on holding still teach that
    standing still is likely, wherever it is done.

    Raises SimError for what `sim.make` refuses, for a folder of videos made otherwise, and where a video can't be
    written.
    """
    with environments.make(sim, task, image_size=image_size, action_repeat=action_repeat, **options) as environment:
        settings = RecordingSettings(
            sim,
            task,
            behaviour,
            image_size,
            action_repeat,
            environment.description.options,
            hold_steps=hold_steps,
            episode_steps=episode_steps,
            disturbance_steps=disturbance_steps if behaviour in _DISTURBED else 0,
        )
        folder = directory / task / behaviour
    make_behaviour(behaviour, sim, task, seed)
    make_folder(folder)
    have = list_episodes(folder)
    for path, episode in have.items():
        refuse_other(settings, episode, path)
    missing = [index for index in range(episodes) if paths(folder, index)[1] not in have]
    if missing:
        record_all(
            Job(settings, folder, seed, min_score), missing, min(workers or len(os.sched_getaffinity(0)), len(missing))
        )
    return list(returns(folder).values())
