"""What makes one training of a video model another than the next."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from viper_model.errors import ModelError
from viper_model.video_model.fit.schedule import TrainingSchedule
from viper_model.video_model.sizes import VideoModelConfig
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.dataset import Dataset, Video

PROCEDURE = 6
"""Counts the changes of what the same settings and videos end with."""
FINISHED = "training.json"
"""What a finished model was trained on and how, beside it."""
TRAINED_ON = "trained_on"
"""Its key for `pictures_of` the videos: nothing to compare, but to know them again."""


def training_identity(
    config: VideoModelConfig,
    schedule: TrainingSchedule,
    background: str,
    seed: int,
    dataset: Dataset,
    videos: Sequence[Video],
) -> dict[str, Any]:
    """All that decides what a training ends with, as JSON has it, by what a user would call it.

    videos: all that are trained on or that choose among what was trained.
    """
    names = "\n".join(f"{video.name} {len(video.frames)}" for video in videos)
    pictures = hashlib.sha256()
    for video in videos:
        pictures.update(_some_frames(video))
    return {
        "procedure": PROCEDURE,
        **settings_identity(config, schedule, seed),
        "background": background,
        "videos": hashlib.sha256(names.encode(errors="surrogateescape")).hexdigest(),
        "pictures": pictures.hexdigest(),
        "videos.yaml": [dataset.settings.of(task).key() for task in dataset.tasks],
    }


def pictures_of(video: Video) -> str:
    """What tells a video's pictures from another's, whatever it is called and wherever it lies."""
    return hashlib.sha256(_some_frames(video)).hexdigest()[:16]


def _some_frames(video: Video) -> memoryview:
    return np.ascontiguousarray(video.frames[:: max(1, len(video.frames) // 4)]).data


def trained_on(folder: Path) -> frozenset[str]:
    """`pictures_of` the videos that a finished model was trained on; empty where that was not kept. Raises ModelError
    where the file is damaged."""
    there = read_identity(folder)
    videos = there.get(TRAINED_ON, ()) if isinstance(there, dict) else ()
    return frozenset(map(str, videos)) if isinstance(videos, list) else frozenset()


def settings_identity(config: VideoModelConfig, schedule: TrainingSchedule, seed: int) -> dict[str, Any]:
    """What of that follows from settings alone."""
    return {**_kinds(config), "steps": _as_json(schedule), "seed": seed}


def finished_identity(folder: Path, model: VideoModel, wanted: dict[str, Any]) -> Any:
    """Of a model that `fit` did not make, only its kind is known: the rest is taken to be as `wanted`.

    Raises ModelError where what stands there is damaged.
    """
    there = read_identity(folder)
    return {**wanted, **_kinds(model.config)} if there is None else there


def read_identity(folder: Path) -> Any:
    """What stands beside a finished model; None where `fit` did not make it. Raises ModelError where it is damaged."""
    path = folder / FINISHED
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is damaged: {error}") from error


def refuse_another(folder: Path, what: str, there: Any, wanted: dict[str, Any]) -> None:
    """Raises ModelError where the training in a folder is not the one that is wanted. there: as it was read."""
    known = there if isinstance(there, dict) else {}
    others = [name for name, value in wanted.items() if name not in known or known[name] != value]
    if others:
        raise ModelError(
            f"{folder} holds {what} with other {', '.join(others)}: "
            "choose another folder, or delete this one to begin anew"
        )


def _kinds(config: VideoModelConfig) -> dict[str, Any]:
    return {
        "tokenizer": {"kind": type(config.tokenizer).__name__, **_as_json(config.tokenizer)},
        "code_model": {"kind": type(config.code_model).__name__, **_as_json(config.code_model)},
        "frame_skip": config.frame_skip,
    }


def _as_json(settings: Any) -> dict[str, Any]:
    """With lists for tuples, so that it equals what was written and read."""
    document: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(settings)))
    return document
