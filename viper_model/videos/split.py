"""Which videos are used, and which of them are kept from training."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from viper_model.videos.find import EXPERT, FoundVideo

SHORTEST = 16
"""Videos of fewer frames are not used: there is no motion to learn from."""
HELD_OUT = 0.2
"""Share of each task's expert videos that is kept from training."""


def held_out_names(videos: Iterable[FoundVideo]) -> set[str]:
    """Names of the videos that are kept from training; whole videos, chosen by nothing but names.

    All that are not experts'. Of each task's experts those in its folder `test`, or, where it has none, a fixed,
    arbitrary choice of HELD_OUT of them, at least one.
    """
    held_out: set[str] = set()
    experts: dict[str, list[FoundVideo]] = {}
    for video in videos:
        if video.behaviour == EXPERT:
            experts.setdefault(video.task, []).append(video)
        else:
            held_out.add(video.name)
    for task_videos in experts.values():
        chosen = {video.name for video in task_videos if video.held_out}
        if not chosen:
            names = sorted(
                (video.name for video in task_videos), key=lambda name: hashlib.sha256(name.encode()).digest()
            )
            chosen = set(names[: max(1, round(HELD_OUT * len(names)))])
        held_out |= chosen
    return held_out
