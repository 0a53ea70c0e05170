"""Pushing across the table, by hand or with a tool: `sim.arms.push`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.experts.grasping import CLEAR, TRIES, pick
from sim.experts.hand import Hand, Motion, up
from sim.experts.scripts import Script

_CONTACT = 0.045
"""Metres between the centres of the block and of the closed fingers that push it."""
_AHEAD = 0.03
_ON_TARGET = 0.01
_FREE = 0.012
"""Metres between the table and a stick that is led over it: one that rubs tilts in the fingers."""


def _slide_block_to_target(hand: Hand) -> Motion:
    def way() -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """From where to push, in which direction, and how far."""
        block = hand.above("block", 0.02)
        missing = (hand.place_of("target") - block) * [1, 1, 0]
        distance = float(np.linalg.norm(missing))
        return block - _CONTACT * missing / distance, missing / distance, distance

    yield from hand.close(1)
    for _ in range(TRIES):
        behind, direction, _ = way()
        yield from hand.go(behind - 0.03 * direction + up(CLEAR), tolerance=0.01)
        yield from hand.go(behind - 0.03 * direction, tolerance=0.01)
        for _ in range(40):
            behind, direction, distance = way()
            if distance < _ON_TARGET or np.dot(behind - hand.position, direction) < -0.03:
                break
            yield from hand.go(behind + _AHEAD * direction, steps=1, speed=0.5)
        yield from hand.go(hand.position + up(CLEAR), tolerance=0.02)
        if way()[2] < 0.03:
            return


def _reach_and_drag(hand: Hand) -> Motion:
    grip = (0, 0, 0.07)
    yield from pick(hand, "stick", grip, lift=0.07)
    held = hand.position - hand.place_of("stick")
    behind = hand.place_of("cube", (0.045, -0.04, -0.0175)) - [0.2, 0, 0] + held
    yield from hand.go(behind + up(0.06), speed=0.7, tolerance=0.01)
    yield from hand.go(behind + up(0.004), speed=0.7)
    missing = hand.place_of("target") - hand.place_of("cube")
    missing[2] = 0.0
    yield from hand.go(hand.position + missing - [0.02, 0, 0], speed=0.5, tolerance=0.004)


def _sweep_to_dustpan(hand: Hand) -> Motion:
    yield from pick(hand, "broom", (0, 0, 0.12), lift=0.05)
    held = hand.position - hand.place_of("broom")
    across = hand.place_of("dustpan")[1] - hand.place_of("broom")[1]
    yield from hand.go(hand.position + np.array([0, across, 0]), speed=0.5)
    yield from hand.go([*hand.position[:2], (hand.place_of("dustpan") + held)[2] + 0.003], speed=0.5)
    yield from hand.go(hand.place_of("dustpan", (-0.03, 0, 0.004)) + held, speed=0.5)


def _hockey(hand: Hand) -> Motion:
    yield from pick(hand, "stick", (0, 0, 0.1), lift=0.04)
    held = hand.position - hand.place_of("stick")
    low = (hand.place_of("goal") + held)[2] + _FREE
    behind = np.array([*hand.place_of("ball", (-0.05, 0, 0))[:2], low])
    yield from hand.go(behind + held * [1, 1, 0] + up(0.03), speed=0.6)
    yield from hand.go(behind + held * [1, 1, 0], speed=0.6)
    over = hand.place_of("goal", (0.02, 0, _FREE)) + held
    halfway = (hand.position[0] + over[0]) / 2
    yield from hand.go([halfway, *over[1:]], speed=0.4, tolerance=0.02)
    yield from hand.go(over, speed=0.4)


def _wipe_desk(hand: Hand) -> Motion:
    yield from pick(hand, "sponge", (0, 0, 0.025), lift=0.05)
    held = hand.position - hand.place_of("sponge")
    spots = [hand.place_of(f"spot{index}") for index in range(5)]
    low, high = np.min(spots, axis=0), np.max(spots, axis=0)
    row, forth = low[1] + 0.01, True
    yield from hand.go(np.array([low[0], row, low[2] + 0.03]) + held, speed=0.7, tolerance=0.015)
    while row < high[1] + 0.02:
        for x in (low[0], high[0]) if forth else (high[0], low[0]):
            yield from hand.go(np.array([x, row, low[2] + 0.003]) + held, speed=0.7, tolerance=0.012, steps=15)
        row, forth = row + 0.04, not forth


SCRIPTS: dict[str, Script] = {
    "slide_block_to_target": _slide_block_to_target,
    "reach_and_drag": _reach_and_drag,
    "sweep_to_dustpan": _sweep_to_dustpan,
    "hockey": _hockey,
    "wipe_desk": _wipe_desk,
}
