"""Joining what belongs to one moment by its stamp, in whatever order it arrives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")


@dataclass
class Joiner(Generic[A, B]):
    """Pairs two kinds of message by stamp. Stamps of one environment only grow.

    A pair comes out once, and in order of stamps: a pair completed after a later one is dropped, as is what can't
    complete a pair any more. At most `capacity` halves wait.
    """

    capacity: int = 32

    def __post_init__(self) -> None:
        self._left: dict[int, A] = {}
        self._right: dict[int, B] = {}
        self.newest = -1
        """The stamp of the last pair that came out."""

    def left(self, stamp: int, value: A) -> tuple[int, A, B] | None:
        """Take a left half; returns (stamp, left, right) where that completes a pair."""
        self._take(self._left, stamp, value)
        return self._pair(stamp)

    def right(self, stamp: int, value: B) -> tuple[int, A, B] | None:
        """Take a right half; returns (stamp, left, right) where that completes a pair."""
        self._take(self._right, stamp, value)
        return self._pair(stamp)

    def _take(self, side: dict[int, A] | dict[int, B], stamp: int, value: object) -> None:
        if stamp > self.newest:
            side[stamp] = value  # type: ignore[assignment]
            while len(side) > self.capacity:
                del side[min(side)]

    def _pair(self, stamp: int) -> tuple[int, A, B] | None:
        if stamp not in self._left or stamp not in self._right:
            return None
        pair = (stamp, self._left[stamp], self._right[stamp])
        self.newest = stamp
        for side in (self._left, self._right):
            for old in [s for s in side if s <= stamp]:
                del side[old]
        return pair
