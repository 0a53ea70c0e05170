"""Which videos are used, and which of them are kept from training."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from viper_model.videos.find import BACKGROUND, EXPERT, FoundVideo

SHORTEST = 16
"""Videos of fewer frames are not used: they show too little motion to learn from."""
HELD_OUT = 0.2
"""Share of each task's expert videos, and of its background, that is kept from training."""


def held_out_names(videos: Iterable[FoundVideo]) -> set[str]:
    """Names of the videos that are kept from training; whole videos, chosen by nothing but names.

    Of each task's experts, and of its background, those in a folder `test`, or, where there are none, a fixed,
    arbitrary choice of HELD_OUT of them, at least one; of each embodiment's, where the folders tell several, and the
    same as in the embodiment's, or the task's, own data folder. All videos of other behaviours.
    """
    held_out: set[str] = set()
    trained_on: dict[tuple[str, str], list[FoundVideo]] = {}

    def order(video: FoundVideo) -> bytes:
        name = video.name.removeprefix(f"{video.embodiment}/") if video.embodiment else video.name
        if name.startswith(f"{video.behaviour}/"):  # in the task's own folder
            name = f"{video.task}/{name}"
        return hashlib.sha256(name.encode(errors="surrogateescape")).digest()

    for video in videos:
        if video.behaviour in (EXPERT, BACKGROUND):
            trained_on.setdefault((video.pair, video.behaviour), []).append(video)
        else:
            held_out.add(video.name)
    for alike in trained_on.values():
        chosen = {video.name for video in alike if video.held_out}
        if not chosen:
            chosen = {video.name for video in sorted(alike, key=order)[: max(1, round(HELD_OUT * len(alike)))]}
        held_out |= chosen
    return held_out
