"""Things with joints, moved."""

from __future__ import annotations

import math

from sim.experts.grasping import CLEAR, TRIES
from sim.experts.hand import Hand, Motion, up
from sim.experts.scripts import Script

Point = tuple[float, float, float]

_NEAR = 0.1
"""Radians or metres from which a joint is where it was to be brought."""


def pull(joint: str, to: float, at: Point, *, speed: float = 0.7) -> Script:
    """Grasp the point `at` of a body and take it along until the joint of its name is at `to`."""

    def script(hand: Hand) -> Motion:
        for _ in range(TRIES):
            yield from hand.open(1)
            yield from hand.go(hand.place_of(joint, at) + up(CLEAR), tolerance=0.01)
            yield from hand.go(hand.place_of(joint, at), steps=15)
            yield from hand.close()
            yield from hand.follow(joint, at, to, speed=speed)
            yield from hand.open(3)
            yield from hand.go(hand.position + up(CLEAR), tolerance=0.02)
            if abs(hand.environment.joint(joint) - to) < _NEAR:
                return

    return script


def push(joint: str, to: float, at: Point, beside: Point, *, speed: float = 0.7) -> Script:
    """Come down to the point `beside` of a body with closed fingers, and take its point `at` from there until the joint
    of its name is at `to`."""

    def script(hand: Hand) -> Motion:
        for _ in range(TRIES):
            yield from hand.close(1)
            yield from hand.go(hand.place_of(joint, beside) + up(CLEAR), tolerance=0.01)
            yield from hand.go(hand.place_of(joint, beside), tolerance=0.01, steps=15)
            yield from hand.follow(joint, at, to, speed=speed)
            yield from hand.go(hand.position + up(CLEAR), tolerance=0.02)
            if abs(hand.environment.joint(joint) - to) < _NEAR:
                return

    return script


def turn(joint: str, by: float, at: Point) -> Script:
    """Grasp the point `at` of a body that turns about the vertical, and turn it."""

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
