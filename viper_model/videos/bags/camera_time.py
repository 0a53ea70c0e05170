"""When the pictures of a camera were taken, as far as its stamps can be believed.

Drivers stamp nothing, stamp whole seconds, or stamp two pictures alike; then the time at which the recorder received
each picture counts. A clock that is set back, as where a simulator is reset, begins another video, as it does for the
reward node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

STRAGGLER_NANOSECONDS = 1_000_000_000
"""A picture that is older than the newest by less has come late, or again; by more: the clock was set back."""


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
    videos: list[int | None] = []
    newest, video, again, late = 0, -1, 0, 0
    seen: set[int] = set()
    for shot in shots:
        time = shot.received if distrust else shot.stamp
        if video < 0 or newest - time >= STRAGGLER_NANOSECONDS:
            video, newest = video + 1, time
            seen.clear()
        elif not distrust and time <= newest:
            again += time in seen
            late += time not in seen
            videos.append(None)
            continue
        seen.add(time)
        newest = max(newest, time)
        videos.append(video)
    seconds = tuple((shot.received if distrust else shot.stamp) / 1e9 for shot in shots)
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
    whole = len(stamps) > 1 and not any(stamp % 10**9 for stamp in stamps)
    newest = -1
    checksums: dict[int, int] = {}
    for shot in shots:
        if newest - shot.stamp >= STRAGGLER_NANOSECONDS:
            newest = -1
            checksums.clear()
        if shot.stamp in checksums:
            if whole:
                return "stamps whole seconds"
            if checksums[shot.stamp] != shot.checksum:
                return "stamps different pictures alike"
        checksums[shot.stamp] = shot.checksum
        newest = max(newest, shot.stamp)
    return ""
