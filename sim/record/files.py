"""What a recorded episode is.

Two files in `<directory>/<task>/<behaviour>/`. The first has the video, `00000.npz`:

    image        uint8   [time, height, width, 3]
    action       float32 [time, action size], the answer to the frame of the same index; zeros at the last
    task_reward  float64 [time], for reaching the frame of the same index; 0 at the first

The second has what is known of it, `00000.yaml`, an `EpisodeRecord`. It is written last: a video without it does not
count.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from sim.env import SimError


@dataclass(frozen=True)
class RecordingSettings:
    """How videos are made. All videos of one folder share it."""

    sim: str
    task: str
    behaviour: str
    image_size: tuple[int, int]
    action_repeat: int
    options: dict[str, Any]
    """The simulator's own, as `Description.options` has them."""
    # What older records don't say is what was done then: nothing of it.
    hold_steps: int | None = field(default=None, kw_only=True)
    """How many steps a video goes on after the first reward above 0; to the episode's end where None."""
    episode_steps: int = field(default=0, kw_only=True)
    """How many steps a video has at most; up to the episode's end where 0."""
    disturbance_steps: int = field(default=0, kw_only=True)
    """How many steps, at most, a random action is held before the video begins."""


@dataclass(frozen=True)
class EpisodeRecord(RecordingSettings):
    """What is known of a video."""

    seed: int
    task_return: float
    """The sum of the task's ground-truth rewards in the video."""
    versions: dict[str, str]
    """Of the simulator's packages."""


def list_episodes(directory: Path) -> dict[Path, EpisodeRecord]:
    """Every recorded episode under `directory`, sorted, by the path of its YAML file."""
    return {path: _read(path) for path in sorted(directory.rglob("[0-9]*.yaml"))}


def first_episode(folder: Path) -> EpisodeRecord | None:
    """Of a folder's recorded episodes, which all share their settings; None where there are none."""
    path = min(folder.glob("[0-9]*.yaml"), default=None)
    return _read(path) if path else None


def returns(directory: Path) -> dict[Path, float]:
    """The ground-truth return of every episode under `directory`, sorted, by the path of its video."""
    return {path.with_suffix(".npz"): episode.task_return for path, episode in list_episodes(directory).items()}


def paths(folder: Path, index: int) -> tuple[Path, Path]:
    """Of an episode's video and of its record."""
    return folder / f"{index:05}.npz", folder / f"{index:05}.yaml"


def make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SimError(f"can't record in {folder}: {error.strerror}") from error


def write_episode(folder: Path, index: int, video: dict[str, NDArray[Any]], episode: EpisodeRecord) -> None:
    """Raises SimError where there is no room."""
    video_path, episode_path = paths(folder, index)
    document = asdict(episode) | {"image_size": list(episode.image_size)}
    try:
        with _partial(video_path).open("wb") as file:
            np.savez_compressed(file, **video)
        os.replace(_partial(video_path), video_path)
        _partial(episode_path).write_text(yaml.safe_dump(document, sort_keys=False))
        os.replace(_partial(episode_path), episode_path)
    except OSError as error:
        reason = f"{error.strerror}: free some space or choose another directory, then run this again"
        raise SimError(f"can't write {video_path}: {reason}") from error


def remove_partial_files(folder: Path) -> None:
    """Remove what writers that were stopped left behind."""
    for partial in folder.glob(".*.partial"):
        partial.unlink()


def refuse_other(settings: RecordingSettings, episode: EpisodeRecord, path: Path) -> None:
    """Raise SimError where the episode at `path` was recorded with other settings."""
    for name in (each.name for each in fields(RecordingSettings)):
        wanted, found = getattr(settings, name), getattr(episode, name)
        if wanted != found:
            raise SimError(
                f"{path.parent} has videos with {name} {found}, not {wanted}: choose another directory, or "
                f"record with {name} {found}"
            )


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")


def _read(path: Path) -> EpisodeRecord:
    try:
        document = yaml.safe_load(path.read_text())
        return EpisodeRecord(**document | {"image_size": tuple(document["image_size"])})
    except (OSError, ValueError, TypeError, KeyError, RecursionError, yaml.YAMLError) as error:
        raise SimError(f"{path} does not describe an episode: remove it, and the video beside it") from error
