"""Joining what belongs to one time step by its stamp, in whatever order it arrives."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")


SET_BACK = 60_000_000_000
"""Nanoseconds. What is older than the newest by less is a straggler, however slow the loop."""
REMEMBERED = 8
"""Stamps of pairs that came out and may be shown again."""


@dataclass
class Joiner(Generic[A, B]):
    """Pairs two kinds of message by stamp. Stamps of one environment only grow.

    A pair comes out once, and in order of stamps: a pair completed after a later one is dropped, as is what can't
    complete a pair any more. Stamps that go back by more than SET_BACK begin anew: a clock was set, or a bag is played
    again. At most `capacity` halves wait, those that came last.
    """

    capacity: int = 32
    admits: Callable[[A, B], bool] = lambda left, right: True
    """Whether a pair may come out; one that may not is as if it had never come."""

    def __post_init__(self) -> None:
        self._left: dict[int, A] = {}
        self._right: dict[int, B] = {}
        self._out: deque[int] = deque(maxlen=REMEMBERED)

    @property
    def newest(self) -> int | None:
        """The stamp of the last pair that came out."""
        return self._out[-1] if self._out else None

    def left(self, stamp: int, value: A) -> tuple[int, A, B] | None:
        """Take a left half; returns (stamp, left, right) where that completes a pair."""
        self._take(self._left, stamp, value)
        return self._pair(stamp)

    def right(self, stamp: int, value: B) -> tuple[int, A, B] | None:
        """Take a right half; returns (stamp, left, right) where that completes a pair."""
        self._take(self._right, stamp, value)
        return self._pair(stamp)

    def _take(self, side: dict[int, A] | dict[int, B], stamp: int, value: object) -> None:
        newest = self.newest
        if newest is None or stamp > newest or (stamp < newest - SET_BACK and stamp not in self._out):
            side.pop(stamp, None)
            side[stamp] = value  # type: ignore[assignment]
            while len(side) > self.capacity:
                del side[next(iter(side))]

    def _pair(self, stamp: int) -> tuple[int, A, B] | None:
        if stamp not in self._left or stamp not in self._right:
            return None
        pair = (stamp, self._left[stamp], self._right[stamp])
        if not self.admits(*pair[1:]):
            del self._left[stamp], self._right[stamp]
            return None
        self._out.append(stamp)
        for side in (self._left, self._right):
            for old in [s for s in side if s <= stamp]:
                del side[old]
        return pair
