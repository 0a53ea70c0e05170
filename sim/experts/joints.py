"""Things with joints, moved. A body that moves has its joint's name."""

from __future__ import annotations

import math

from sim.experts.grasping import CLEAR, TRIES
from sim.experts.hand import Hand, Motion, up
from sim.experts.scripts import Script

Point = tuple[float, float, float]

_SPEED = 0.7
"""Of the hand's greatest."""
_LEFT_OVER = 0.03
"""Share of a joint's way that may be missing at its end."""


def pull(joint: str, to: float, at: Point) -> Script:
    """Grasp the point `at` of a body and take it along until the joint is at `to`."""

    def script(hand: Hand) -> Motion:
        began = hand.environment.joint(joint)
        for _ in range(TRIES):
            yield from hand.open(1)
            yield from hand.go(hand.place_of(joint, at) + up(CLEAR), tolerance=0.01)
            yield from hand.go(hand.place_of(joint, at), steps=15)
            yield from hand.close()
            yield from hand.follow(joint, at, to, speed=_SPEED)
            yield from hand.open(3)
            yield from hand.go(hand.position + up(CLEAR), tolerance=0.02)
            if _is_at(hand, joint, began, to):
                return

    return script


def push(joint: str, to: float, at: Point, beside: Point) -> Script:
    """Come down to the point `beside` of a body with closed fingers, and take its point `at` from there until the joint
    is at `to`."""

    def script(hand: Hand) -> Motion:
        began = hand.environment.joint(joint)
        for _ in range(TRIES):
            yield from hand.close(1)
            yield from hand.go(hand.place_of(joint, beside) + up(CLEAR), tolerance=0.01)
            yield from hand.go(hand.place_of(joint, beside), tolerance=0.01, steps=15)
            yield from hand.follow(joint, at, to, speed=_SPEED)
            yield from hand.go(hand.position + up(CLEAR), tolerance=0.02)
            if _is_at(hand, joint, began, to):
                return

    return script


def turn(joint: str, by: float, at: Point) -> Script:
    """Grasp the point `at` of a body that turns about the vertical, and turn it by `by` radians."""

    def script(hand: Hand) -> Motion:
        yaw = hand.yaw_of(joint, same_after=math.pi)
        yield from hand.go(hand.place_of(joint, at) + up(CLEAR), yaw=yaw, tolerance=0.01)
        yield from hand.go(hand.place_of(joint, at))
        yield from hand.close()
        yield from hand.go(hand.position, yaw=yaw + by)
        yield from hand.stay(4)
        yield from hand.open(3)
        yield from hand.go(hand.position + up(CLEAR), tolerance=0.02)

    return script


def _is_at(hand: Hand, joint: str, began: float, to: float) -> bool:
    return abs(hand.environment.joint(joint) - to) <= _LEFT_OVER * abs(began - to)
