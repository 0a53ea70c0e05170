"""What a data folder holds, told without decoding it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from viper_model.errors import ModelError
from viper_model.videos.find import EXPERT, FoundVideo, find_videos, look
from viper_model.videos.preparation import mixed_rates
from viper_model.videos.settings import VideoSettings
from viper_model.videos.source import SETTINGS, Facts
from viper_model.videos.split import SHORTEST, held_out_names


@dataclass(frozen=True)
class Group:
    """Videos of one task, embodiment, behaviour and format that can be used."""

    pair: str
    """See `find.pair_name`."""
    behaviour: str
    format: str
    videos: tuple[FoundVideo, ...]
    facts: tuple[Facts, ...]
    """Of each video, as recorded."""
    held_out: int
    """How many of the videos are kept from training."""

    @property
    def frames(self) -> int:
        return sum(facts.frames or 0 for facts in self.facts)

    @property
    def seconds(self) -> float | None:
        """Length of all videos together; None where a video's rate is not known."""
        if not all(facts.rate for facts in self.facts):
            return None
        return sum((facts.frames or 0) / facts.rate for facts in self.facts if facts.rate)


@dataclass(frozen=True)
class Survey:
    groups: tuple[Group, ...]
    problems: dict[str, str]
    """What is wrong, by the name of a video, task or file."""


def survey(root: Path) -> Survey:
    """Look at every video under `root`. Raises ModelError without such a folder and for a bad videos.yaml."""
    settings = VideoSettings.load(root)
    found = find_videos(root, settings.camera)
    problems = dict(found.broken)
    usable: dict[FoundVideo, Facts] = {}
    for video in found.videos:
        try:
            facts = look(video.source)
            frames = settings.of(video.task).frames_of(facts)
        except ModelError as error:
            problems[video.name] = str(error)
            continue
        if frames is not None and frames < SHORTEST:
            problems[video.name] = f"it has {frames} frames; {SHORTEST} are needed"
        else:
            usable[video] = facts
    held_out = held_out_names(usable)
    keys = sorted({(video.pair, video.behaviour, video.source.format) for video in usable})
    groups = []
    for key in keys:
        videos = tuple(video for video in usable if (video.pair, video.behaviour, video.source.format) == key)
        kept = sum(video.name in held_out for video in videos)
        groups.append(Group(*key, videos, tuple(usable[video] for video in videos), kept))
    tasks = {video.task for video in found.videos}
    for task in tasks:
        experts = [video for video in usable if video.task == task and video.behaviour == EXPERT]
        if len(experts) < 2:
            too_few = f"{len(experts)} usable {EXPERT} videos: two are needed, one to train on and one to hold out"
            problems[task] = "; ".join(filter(None, (problems.get(task), too_few)))
    if not settings.rate and (mixed := mixed_rates(facts.rate for facts in usable.values())):
        problems[str(root)] = mixed
    for task in settings.masks.keys() - tasks:
        problems[SETTINGS] = f"it has a mask for '{task}', but there are no videos of such a task"
    return Survey(tuple(groups), problems)
