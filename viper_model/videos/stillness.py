"""Where nothing moves in a video."""

from __future__ import annotations

import numpy as np

STAYING_FRAMES, STAYING_CHANGE = 4, 0.3
"""A picture stays where it changes in so many frames by less than this share of what it changes by where it changes
most (the 90% quantile)."""


def stays(frames: np.ndarray) -> np.ndarray:
    """Whether a video's picture hardly changes around each of its frames, uint8 [time, height, width, 3]: bool
    [time]."""
    index = np.arange(len(frames))
    other = np.where(index + STAYING_FRAMES < len(frames), index + STAYING_FRAMES, index - STAYING_FRAMES).clip(min=0)
    change = np.array(
        [np.abs(frames[i].astype(np.int16) - frames[j]).mean() for i, j in zip(index, other, strict=True)]
    )
    still: np.ndarray = change <= STAYING_CHANGE * np.quantile(change, 0.9)
    return still


def resting_frames(frames: np.ndarray) -> int:
    """For how many frames at its end a video, uint8 [time, height, width, 3], `stays`."""
    return int(np.logical_and.accumulate(stays(frames)[::-1]).sum())


def approach(frames: np.ndarray, resting: int, shortest: int) -> np.ndarray:
    """A video, uint8 [time, height, width, 3], up to where it comes to rest for its `resting_frames`: its first frame
    is held before it where that is less than `shortest` frames."""
    moving = frames[: max(1, len(frames) - resting - STAYING_FRAMES)]
    held = np.repeat(moving[:1], max(0, shortest - len(moving)), axis=0)
    return np.concatenate([held, moving])
