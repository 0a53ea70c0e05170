"""The expert videos that a discriminator compares with what the agent sees."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sim import Description
from viper_lab.errors import UserError
from viper_model.videos.dataset import EXPERT, Video, load_dataset
from viper_model.videos.find import find_videos, look
from viper_model.videos.source import SETTINGS


class Frames(Sequence[np.ndarray]):
    """Of each of several videos, uint8 [time, image_size, image_size, 3]. Their files are opened as they are looked at:
    a process may have only so many open."""

    def __init__(self, videos: Sequence[Video]) -> None:
        self._videos = videos

    def __len__(self) -> int:
        return len(self._videos)

    def __getitem__(self, index: Any) -> Any:
        return self._videos[index].frames


@dataclass(frozen=True)
class ExpertVideos:
    tasks: tuple[str, ...]
    frames: Frames

    def document(self) -> dict[str, Any]:
        """What they are, for a run's config.yaml."""
        content = hashlib.sha256()
        for video in self.frames:
            content.update(repr(video.shape).encode())
            content.update(np.ascontiguousarray(video).data)
        return {"tasks": list(self.tasks), "videos": len(self.frames), "sha256": content.hexdigest()}


def load_expert_videos(root: Path, environment: Description, all_tasks: bool, image_size: int) -> ExpertVideos:
    """Those under `root` that a video model would learn from, of the environment's task or of all tasks there.

    The agent sees an environment's frames whole, and so must the discriminator its videos. Raises UserError where they
    are cropped, masked, brought to another rate or of another size than the environment's frames, which would give them
    away, and where there are none of all tasks' that are of the environment's; ModelError where there are none that can
    be used.
    """
    tasks = None if all_tasks else (environment.task,)
    dataset = load_dataset(root, image_size, tasks)
    if environment.task not in dataset.tasks:
        raise UserError(
            f"{root} has no expert videos of {environment.task}: put two or more into {root}/{environment.task}"
        )
    if dataset.settings.rate:
        raise UserError(f"{root / SETTINGS} sets a rate: AMP compares videos as they are with steps; leave that out")
    if dataset.settings.crop or dataset.settings.masks.keys() & set(dataset.tasks):
        raise UserError(f"{root / SETTINGS} crops or masks videos: AMP compares them with whole frames; leave that out")
    videos = dataset.select(EXPERT, held_out=False)
    sources = {video.name: video.source for video in find_videos(root, dataset.settings.camera).videos}
    height, width = environment.image_size
    for video in videos:
        facts = look(sources[video.name])
        if (facts.height, facts.width) != (height, width):
            raise UserError(
                f"{root / video.name} is {facts.width}×{facts.height} pixels, the environment's frames are "
                f"{width}×{height}: AMP would tell them apart by that; record both alike"
            )
    return ExpertVideos(dataset.tasks, Frames(videos))
