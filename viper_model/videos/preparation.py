"""How recorded frames become a model's frames: subsampled in time, masked, cropped, resized."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np

from viper_model.errors import ModelError
from viper_model.videos.source import SETTINGS, Chunk, Facts

EARLY_TOLERANCE = 0.25
"""How much too early a frame may come and still count as the next one, as a share of the time between two frames,
recorded or chosen, whichever is shorter."""
LOWEST_RATE_SHARE = 0.9
"""A video is refused whose recorded rate is below this share of the chosen one: it has too few frames to choose from,
and would seem to run fast."""


@dataclass(frozen=True)
class Crop:
    top: int
    left: int
    height: int
    width: int
    of: tuple[int, int] | None = field(default=None, repr=False)
    """Width and height of the frames that it is cut from, where they are known: of others it is another part. It
    changes no frame, and so is no part of `Preparation.key`."""

    def misfit(self, width: int, height: int) -> str | None:
        """Why it isn't cut from frames of that size; None where it is."""
        if self.of not in (None, (width, height)):
            of = "{}×{}".format(*self.of)
            return (
                f"the crop in {SETTINGS} is of frames of {of} pixels, and these have {width}×{height}: "
                "use a camera or videos of that size"
            )
        if self.top + self.height > height or self.left + self.width > width:
            return f"the crop in {SETTINGS} reaches beyond the video's frames of {width}×{height} pixels"
        return None


@dataclass(frozen=True, eq=False)
class Preparation:
    """How the videos of one task are prepared."""

    rate: float | None = None
    """Hz; as recorded where None."""
    recorded_rate: float | None = None
    """Hz, of videos that don't say."""
    crop: Crop | None = None
    mask: np.ndarray | None = None
    """bool [height, width] of the recorded frames: what is shown."""

    def key(self) -> str:
        """Equal for preparations that make the same frames."""
        mask = None if self.mask is None else (self.mask.shape, hashlib.sha256(self.mask.tobytes()).hexdigest())
        return repr((self.rate, self.recorded_rate, self.crop, mask))

    def frames(self, frames: np.ndarray, size: int) -> np.ndarray:
        """uint8 [n, height, width, 3] as recorded → uint8 [n, size, size, 3]. Raises ModelError."""
        height, width = frames.shape[1:3]
        if self.mask is not None:
            if self.mask.shape != (height, width):
                rows, columns = self.mask.shape
                raise ModelError(
                    f"the mask is {columns}×{rows} pixels and the video {width}×{height}: "
                    "make the mask from one of the video's frames"
                )
            frames = frames * self.mask[..., None]
        if self.crop is not None:
            crop = self.crop
            if misfit := crop.misfit(width, height):
                raise ModelError(misfit)
            frames = frames[:, crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]
        return resize(frames, size)

    def frames_of(self, facts: Facts) -> int | None:
        """How many frames of such a video the model sees.

        Raises ModelError as `video` does, where the facts suffice to tell.
        """
        self.frames(np.zeros((1, facts.height, facts.width, 3), np.uint8), 1)
        if not self.rate or facts.frames is None:
            return facts.frames
        clock = Clock(self.rate)
        seen = clock.ticks(np.arange(facts.frames) / (facts.rate or self._unsaid_rate()))
        clock.check()
        return int(seen.sum())

    def video(self, chunks: Iterator[Chunk], size: int) -> Iterator[Chunk]:
        """A video as the model sees it. Rewards of frames left out are added to that of the next frame kept.

        Raises ModelError where the video has no rate to subsample from, or a lower one than chosen.
        """
        clock = Clock(self.rate) if self.rate else None
        seen = 0
        owed = 0.0
        for chunk in chunks:
            frames, seconds, reward = chunk.frames, chunk.seconds, chunk.task_reward
            if clock:
                if seconds is None:
                    seconds = (seen + np.arange(len(frames))) / self._unsaid_rate()
                kept = clock.ticks(seconds)
                if reward is not None:
                    total = np.concatenate([[0.0], owed + np.cumsum(reward)])  # before each frame, and after the last
                    after = total[1:][kept]
                    owed, reward = total[-1] - (after[-1] if len(after) else 0.0), np.diff(after, prepend=0.0)
                frames, seconds = frames[kept], seconds[kept]
            seen += len(chunk.frames)
            if len(frames):
                yield Chunk(self.frames(frames, size), seconds, reward)
        if clock:
            clock.check()

    def _unsaid_rate(self) -> float:
        """Hz, of a video whose format doesn't say. Raises ModelError where the settings don't either."""
        if self.recorded_rate is None:
            raise ModelError(f"its rate is unknown: set `recorded_rate` in {SETTINGS} beside `rate`")
        return self.recorded_rate


def mixed_rates(rates: Iterable[float | None]) -> str | None:
    """What is wrong with videos of these rates, in Hz where they are known, without a chosen one; None where nothing
    is."""
    known = [rate for rate in rates if rate]
    if not known or min(known) >= LOWEST_RATE_SHARE * max(known):
        return None
    return (
        f"its videos have {min(known):.3g} to {max(known):.3g} frames a second, so the same motion is faster in some "
        f"than in others: set `rate` in {SETTINGS} to {min(known):.3g} or less"
    )


class Clock:
    """Chooses frames at a rate: the first of each interval."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._start: float | None = None
        self._interval = -1
        self._last = 0.0
        self._kept = 0

    def ticks(self, seconds: np.ndarray) -> np.ndarray:
        """Which of the next frames to keep: bool [n]. seconds: when they were recorded, float64 [n]."""
        if self._start is None:
            self._start = self._last = float(seconds[0])
        gaps = np.diff(seconds, prepend=self._last) * self._rate
        early = EARLY_TOLERANCE * np.clip(gaps, 0, 1)
        intervals = np.floor((seconds - self._start) * self._rate + early).astype(np.int64)
        before = np.maximum.accumulate(np.concatenate([[self._interval], intervals]))
        kept = before[1:] > before[:-1]
        self._interval = int(before[-1])
        self._last = float(seconds[-1])
        self._kept += int(kept.sum())
        return kept

    def check(self) -> None:
        """Raises ModelError where there were too few frames for the rate."""
        if self._start is None:  # there was no frame, which is told where frames are counted
            return
        lasted = self._last - self._start
        if self._kept - 1 < LOWEST_RATE_SHARE * math.floor(lasted * self._rate):
            slow = f"{(self._kept - 1) / lasted:.3g} frames a second"
            raise ModelError(f"it has {slow}, less than the `rate` of {self._rate:g} in {SETTINGS}")


def resize(frames: np.ndarray, size: int) -> np.ndarray:
    """Frames at a model's size, each new pixel the mean of the area it covers.

    uint8 [time, height, width, 3] → uint8 [time, size, size, 3].
    """
    if frames.shape[1:3] == (size, size):
        return frames
    smaller = size < max(frames.shape[1:3])
    # INTER_AREA can only shrink; enlarged frames repeat their pixels.
    how = cv2.INTER_AREA if smaller else cv2.INTER_NEAREST
    return np.stack([cv2.resize(frame, (size, size), interpolation=how) for frame in frames])
