"""Grasps, and things carried from place to place."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.experts.hand import OPEN, Hand, Motion, up

TRIES = 4
CARRYING_SPEED = 0.7
"""Of the hand's greatest."""
CLEAR = 0.12
"""Metres above things at which the hand travels."""
_LOST = 0.04
"""Metres: a body that has moved farther in the hand has slipped out of it."""


def pick(
    hand: Hand,
    body: str,
    offset: ArrayLike = (0.0, 0.0, 0.0),
    *,
    lift: float = CLEAR,
    yaw: Callable[[], float] = lambda: 0.0,
) -> Motion:
    """Grasp a body at `offset` from its origin and lift it by `lift`, again if it stays behind."""
    for _ in range(TRIES):
        stood = hand.place_of(body)[2]
        hand.grip = OPEN
        yield from hand.go(hand.place_of(body) + np.asarray(offset) + up(CLEAR), yaw=yaw(), tolerance=0.01)
        yield from hand.go(hand.place_of(body) + np.asarray(offset))
        yield from hand.close()
        yield from hand.go(hand.position + up(lift), speed=CARRYING_SPEED, tolerance=0.015)
        if hand.place_of(body)[2] > stood + lift / 2:
            return


def pick_and_place(
    hand: Hand,
    body: str,
    place: Callable[[], NDArray[np.float64]],
    *,
    offset: ArrayLike = (0.0, 0.0, 0.0),
    lift: float = CLEAR,
    travel: float,
    yaw: Callable[[], float] = lambda: 0.0,
) -> Motion:
    """Grasp a body, carry it at the height `travel` (metres) over its new place, lower it and let go. What slips out
    of the hand on the way is picked up again."""
    for _ in range(TRIES):
        yield from pick(hand, body, offset, lift=lift, yaw=yaw)
        grasped_at = hand.position - hand.place_of(body)
        yield from hand.go([*(place() + grasped_at)[:2], travel], speed=CARRYING_SPEED, tolerance=0.01)
        held_at = hand.position - hand.place_of(body)
        if np.linalg.norm(held_at - grasped_at) < _LOST:
            yield from hand.go(place() + held_at, speed=CARRYING_SPEED, tolerance=0.005, steps=20)
            yield from hand.open()
            yield from hand.go(hand.position + up(CLEAR), tolerance=0.02)
            return
