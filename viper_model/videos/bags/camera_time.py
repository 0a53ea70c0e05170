"""When the pictures of a camera were taken, as far as its stamps can be believed.

Drivers stamp nothing, stamp whole seconds, or stamp two pictures alike; then the time at which the recorder received
each picture counts. A clock that is set back, as where a simulator is reset, begins another video, as it does for the
reward node; where it is by less than a second, then once two pictures one after the other are older than the newest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

STRAGGLER_NANOSECONDS = 1_000_000_000
"""A single picture that is older than the newest by less has come late, or again; by more: the clock was set back."""


@dataclass(frozen=True)
class Shot:
    """One picture's place in time, as it was recorded."""

    stamp: int
    """Of its header; nanoseconds, as all times here."""
    received: int
    """By the recorder."""
    checksum: int
    """Equal for equal pictures."""


@dataclass(frozen=True)
class CameraTime:
    """What becomes of each picture."""

    videos: tuple[int | None, ...]
    """Which video each belongs to, counted from 0; None where it is left out."""
    seconds: tuple[float, ...]
    """When each was taken, in seconds."""
    distrust: str
    """Why stamps don't count; empty where they do."""
    again: int
    """How many pictures are left out since they were there already."""
    late: int
    """How many are left out since they came after a newer one."""


def camera_time(shots: Sequence[Shot]) -> CameraTime:
    """Place pictures, given in the order in which they were recorded."""
    distrust = _distrust(shots)
    seconds = tuple((shot.received if distrust else shot.stamp) / 1e9 for shot in shots)
    videos: list[int | None] = []
    newest, video, again, late = 0, -1, 0, 0
    straggler: int | None = None
    """Index of the picture that came late, since the newest."""
    seen: dict[int, int] = {}
    """Checksums by time, of this video."""
    for index, shot in enumerate(shots):
        time = shot.received if distrust else shot.stamp
        behind = video >= 0 and not distrust and time <= newest
        if behind and newest - time < STRAGGLER_NANOSECONDS:
            if seen.get(time) == shot.checksum:
                again += 1
                videos.append(None)
                continue
            if straggler is None or time <= shots[straggler].stamp:
                late += 1
                straggler = index
                videos.append(None)
                continue
        if video < 0 or behind or newest - time >= STRAGGLER_NANOSECONDS:
            video += 1
            seen.clear()
            newest = time
            if straggler is not None and behind and time > shots[straggler].stamp:
                videos[straggler] = video  # It was the first after the clock had been set back.
                seen[shots[straggler].stamp] = shots[straggler].checksum
                late -= 1
        seen[time] = shot.checksum
        newest, straggler = max(newest, time), None
        videos.append(video)
    return CameraTime(tuple(videos), seconds, distrust, again, late)


def _distrust(shots: Sequence[Shot]) -> str:
    """What is wrong with the stamps; empty where nothing is."""
    stamps = [shot.stamp for shot in shots]
    if len(stamps) > 1 and not any(stamps):
        return "stamps nothing"
    beside = zip(stamps, stamps[1:] + stamps[-2:-1], strict=False)  # The next one; for the last, the one before.
    # A simulator's clock begins at 0, and goes on from there.
    if any(stamp == 0 and other >= STRAGGLER_NANOSECONDS for stamp, other in beside):
        return "leaves some pictures without a stamp"
    alike = [(shot, after) for shot, after in pairwise(shots) if shot.stamp == after.stamp]
    if alike and not any(stamp % 10**9 for stamp in stamps):
        return "stamps whole seconds"
    if any(shot.stamp == 0 or shot.checksum != after.checksum for shot, after in alike):
        return "stamps different pictures alike"
    return ""
