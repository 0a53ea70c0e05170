"""When the frames of a camera alone were taken, as far as its stamps can be believed.

No rclpy: times are nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STRAGGLER_NANOSECONDS = 1_000_000_000
"""A frame that is older than the newest by less has come late, or again; by more: the clock was set back."""
SECOND = 1_000_000_000


@dataclass(frozen=True)
class FrameTime:
    """Of a frame that counts."""

    nanoseconds: int
    """Larger than that of the frame before, unless the frame `begins`."""
    begins: bool
    """Another video begins with it."""


class FrameTimes:
    """Takes a camera's frames in the order in which they come.

    Drivers stamp nothing, stamp whole seconds, or stamp two frames alike: from then on the time at which a frame comes
    counts. A clock that is set back begins another video, also where it is by less than a second: then two frames come
    one after the other that are older than the newest.
    """

    def __init__(self) -> None:
        self.distrust = ""
        """Why stamps don't count; empty where they do."""
        self.late = 0
        """How many frames were left out since they came after a newer one."""
        self.again = 0
        """How many were left out since they had come before."""
        self._newest: int | None = None
        """The time of the newest frame that counts."""
        self._straggler: int | None = None
        """The time of the late frame that came last, since the newest."""
        self._stamp: int | None = None
        self._data = np.empty(0, np.uint8)
        """Stamp and data of the newest frame that counts."""

    def take(self, stamp: int, arrival: int, data: np.ndarray) -> FrameTime | None:
        """A frame's time: its `stamp`, or its `arrival`. None for one that doesn't count: late, or the same again.

        data: the message's, uint8 [bytes].
        """
        if not self.distrust and (distrust := self._why_distrust(stamp, data)):
            self.distrust, self._newest = distrust, None
        time, newest = arrival if self.distrust else stamp, self._newest
        set_back = newest is not None and newest - time >= STRAGGLER_NANOSECONDS
        if newest is not None and time <= newest and not set_back:
            if self.distrust:
                time = newest + 1
            elif time == newest:
                self.again += 1
                return None
            elif self._straggler is None or time <= self._straggler:
                self.late += 1
                self._straggler = time
                return None
            else:
                set_back = True
        self._newest, self._stamp, self._straggler, self._data = time, stamp, None, data
        return FrameTime(time, set_back or newest is None)

    def _why_distrust(self, stamp: int, data: np.ndarray) -> str:
        before = self._stamp
        if stamp == before == 0:
            return "stamps nothing"
        if before == 0 and stamp >= STRAGGLER_NANOSECONDS:  # A simulator's clock begins at 0, and goes on from there.
            return "leaves some frames without a stamp"
        if stamp == before and not np.array_equal(data, self._data):
            return "stamps whole seconds" if stamp % SECOND == 0 else "stamps different frames alike"
        return ""
