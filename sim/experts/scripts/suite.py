"""robosuite's own tasks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sim.experts.grasping import CLEAR, TRIES, pick, pick_and_place
from sim.experts.hand import Hand, Motion, up
from sim.experts.scripts import Script


def _lift(hand: Hand) -> Motion:
    yield from pick(hand, "cube_main", yaw=lambda: hand.yaw_of("cube_main"))


def _stack(hand: Hand) -> Motion:
    def yaw() -> float:
        return hand.yaw_of("cubeA_main")

    yield from pick_and_place(hand, "cubeA_main", lambda: hand.above("cubeB_main", 0.047), travel=0.98, yaw=yaw)


def _bin_centre(number: int) -> NDArray[np.float64]:
    """The middle of one of the four parts of robosuite's second bin."""
    return np.array([0.1 + (0.0975 if number % 2 else -0.0975), 0.28 + (0.1225 if number > 1 else -0.1225), 0.0])


def _pick_place(body: str, number: int, grasp_height: float, same_after: float = np.pi / 2) -> Callable[[Hand], Motion]:
    def script(hand: Hand) -> Motion:
        def yaw() -> float:
            return hand.yaw_of(body, same_after=same_after)

        centre = _bin_centre(number) + up(0.92)
        grasp = (0.0, 0.0, grasp_height)
        yield from pick_and_place(hand, body, lambda: centre, offset=grasp, lift=0.18, travel=1.1, yaw=yaw)

    return script


def _nut(body: str, peg: str, reach: float) -> Callable[[Hand], Motion]:
    def script(hand: Hand) -> Motion:
        def yaw() -> float:
            return hand.yaw_of(body, same_after=np.pi)

        for _ in range(TRIES):
            handle = hand.place_of(body, (reach, 0, 0.004)) - hand.place_of(body)
            yield from pick(hand, body, handle, lift=0.2, yaw=yaw)
            square = hand.environment.goal_yaw - yaw()
            over = hand.place_of(peg)
            hand.yaw = square
            yield from hand.go([*over[:2] + (hand.position - hand.place_of(body))[:2], 1.07], tolerance=0.01)
            for height in (1.05, 0.97, 0.9, 0.86):
                hold = hand.position - hand.place_of(body)
                yield from hand.go([*(over + hold)[:2], height], tolerance=0.004, speed=0.6, steps=12)
            yield from hand.open()
            yield from hand.go(hand.position + up(CLEAR), tolerance=0.02)
            if np.linalg.norm((hand.place_of(body) - over)[:2]) < 0.03:
                return

    return script


def _door(hand: Hand) -> Motion:
    bar = (0.09, -0.1, 0.0)
    yield from hand.go(hand.place_of("Door_latch", bar) + np.array([0, 0.02, 0.12]), tolerance=0.01)
    yield from hand.go(hand.place_of("Door_latch", bar) + up(0.12), tolerance=0.01)
    yield from hand.go(hand.place_of("Door_latch", bar), tolerance=0.01, steps=12)
    yield from hand.close()
    for _ in range(12):
        yield from hand.go(hand.position + np.array([-0.004, 0.03, 0]), steps=2, tolerance=0.01)


SCRIPTS: dict[str, Script] = {
    "lift": _lift,
    "stack": _stack,
    "pick_place_can": _pick_place("Can_main", 3, 0.02),
    "pick_place_milk": _pick_place("Milk_main", 0, 0.03),
    "pick_place_bread": _pick_place("Bread_main", 1, 0.0),
    "pick_place_cereal": _pick_place("Cereal_main", 2, 0.05, np.pi),
    "nut_assembly_square": _nut("SquareNut_main", "peg1", 0.06),
    "nut_assembly_round": _nut("RoundNut_main", "peg2", 0.06),
    "door": _door,
}
