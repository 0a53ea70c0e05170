"""Scripted experts of the arm tasks: waypoints above, at and beyond what is to be moved, for any arm.

They read the world's state, close the loop on it in every step, and try a grasp again that came up empty.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sim.env import Env, SimError
from sim.experts.hand import Hand, Motion
from sim.robosuite import ArmWorld

_TRIES = 4
_CLEAR = 0.12
"""Metres above things at which the hand travels."""


def make_expert(task: str, seed: int) -> Scripted:
    """The expert of a task. It is the same for every `seed`: what differs between its films is the world."""
    return Scripted(_SCRIPTS[task])


class Scripted:
    """A behaviour that follows a script, and then holds still."""

    def __init__(self, script: Callable[[Hand], Motion]) -> None:
        self._script = script

    def reset(self, env: Env) -> None:
        if not isinstance(env, ArmWorld):
            raise SimError(f"the scripted expert can't act in {env.description.sim}: choose another behaviour")
        self._hand = Hand(env)
        self._motion = self._script(self._hand)

    def act(self, env: Env) -> NDArray[np.float32]:
        """The next action, float32 [size]. The world doesn't move."""
        action = next(self._motion, None)
        return next(self._hand.stay(1)) if action is None else action


def _pick(
    hand: Hand,
    body: str,
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0),
    *,
    lift: float = _CLEAR,
    yaw: Callable[[], float] = lambda: 0.0,
) -> Motion:
    """Grasp a body at `offset` from its origin and lift it by `lift`, again if it stays behind."""
    for _ in range(_TRIES):
        stood = hand.place_of(body)[2]
        hand.grip = -1.0
        yield from hand.go(hand.place_of(body) + offset + [0, 0, _CLEAR], yaw=yaw(), tolerance=0.01)
        yield from hand.go(hand.place_of(body) + offset)
        yield from hand.close()
        yield from hand.go(hand.world.gripper_position + [0, 0, lift], tolerance=0.015)
        if hand.place_of(body)[2] > stood + lift / 2:
            return


def _release_above(hand: Hand, body: str, place: NDArray[np.float64], *, travel: float, yaw: float | None = None) -> Motion:
    """Carry a held body until it is at `place`, coming from the height `travel`, and let it go."""
    hold = hand.world.gripper_position - hand.place_of(body)
    yield from hand.go([*(place + hold)[:2], travel], yaw=yaw, tolerance=0.01)
    hold = hand.world.gripper_position - hand.place_of(body)
    yield from hand.go(place + hold, speed=0.7, tolerance=0.005, steps=20)
    yield from hand.open()
    yield from hand.go(hand.world.gripper_position + [0, 0, _CLEAR], tolerance=0.02)


def _reach_target(hand: Hand) -> Motion:
    yield from hand.go(hand.place_of("target"))


def _push_button(hand: Hand) -> Motion:
    yield from hand.close(1)
    yield from hand.go(hand.above("button", 0.08), tolerance=0.01)
    yield from hand.go(hand.above("button", -0.02), speed=0.5, steps=12)
    yield from hand.go(hand.above("button", 0.1), tolerance=0.02)


def _pick_and_lift(hand: Hand) -> Motion:
    yield from _pick(hand, "block")
    yield from hand.go(hand.place_of("target"))


def _pick_up_cup(hand: Hand) -> Motion:
    yield from _pick(hand, "cup", (0, 0, 0.05), lift=0.15)


def _put_rubbish_in_bin(hand: Hand) -> Motion:
    yield from _pick(hand, "rubbish", lift=0.2)
    yield from _release_above(hand, "rubbish", hand.above("bin", 0.13), travel=1.02)


def _take_lid_off_saucepan(hand: Hand) -> Motion:
    yield from _pick(hand, "lid", (0, 0, 0.035), lift=0.16)


def _take_umbrella(hand: Hand) -> Motion:
    yield from _pick(hand, "umbrella", (0, 0, 0.225), lift=0.16)


def _phone_on_base(hand: Hand) -> Motion:
    yield from _pick(hand, "phone", (0, 0, 0.015))
    yield from _release_above(hand, "phone", hand.above("base", 0.033), travel=0.95)


def _lift(hand: Hand) -> Motion:
    yield from _pick(hand, "cube_main", yaw=lambda: hand.yaw_of("cube_main"))


def _stack(hand: Hand) -> Motion:
    yield from _pick(hand, "cubeA_main", yaw=lambda: hand.yaw_of("cubeA_main"))
    yield from _release_above(hand, "cubeA_main", hand.above("cubeB_main", 0.047), travel=0.98)


def _bin_centre(number: int) -> NDArray[np.float64]:
    """The middle of one of the four parts of robosuite's second bin."""
    x, y = (-0.0975, -0.1225) if number == 0 else (0.0975, -0.1225) if number == 1 else (-0.0975, 0.1225)
    if number == 3:
        x = 0.0975
    return np.array([0.1 + x, 0.28 + y, 0.0])


def _pick_place(body: str, number: int, grasp_height: float) -> Callable[[Hand], Motion]:
    def script(hand: Hand) -> Motion:
        yield from _pick(hand, body, (0, 0, grasp_height), lift=0.18, yaw=lambda: hand.yaw_of(body))
        centre = _bin_centre(number) + [0, 0, 0.92]
        yield from _release_above(hand, body, centre, travel=1.1)

    return script


def _nut(body: str, peg: str, reach: float) -> Callable[[Hand], Motion]:
    def script(hand: Hand) -> Motion:
        def yaw() -> float:
            return hand.yaw_of(body, same_after=np.pi)

        for _ in range(_TRIES):
            handle = hand.place_of(body, (reach, 0, -0.006)) - hand.place_of(body)
            yield from _pick(hand, body, handle, lift=0.2, yaw=yaw)
            square = hand.world.goal_yaw - yaw()
            over = hand.place_of(peg)
            hand.yaw = square
            yield from hand.go([*over[:2] + (hand.world.gripper_position - hand.place_of(body))[:2], 1.07], tolerance=0.01)
            for height in (1.05, 0.97, 0.9, 0.86):
                hold = hand.world.gripper_position - hand.place_of(body)
                yield from hand.go([*(over + hold)[:2], height], tolerance=0.004, speed=0.6, steps=12)
            yield from hand.open()
            yield from hand.go(hand.world.gripper_position + [0, 0, _CLEAR], tolerance=0.02)
            if np.linalg.norm((hand.place_of(body) - over)[:2]) < 0.03:
                return

    return script


def _door(hand: Hand) -> Motion:
    bar = (0.09, -0.1, 0.0)
    yield from hand.go(hand.place_of("Door_latch", bar) + [0, 0.02, 0.12], tolerance=0.01)
    yield from hand.go(hand.place_of("Door_latch", bar) + [0, 0, 0.12], tolerance=0.01)
    yield from hand.go(hand.place_of("Door_latch", bar), tolerance=0.01, steps=12)
    yield from hand.close()
    for _ in range(12):
        yield from hand.go(hand.world.gripper_position + [-0.004, 0.03, 0], steps=2, tolerance=0.01)


_SCRIPTS = {
    "reach_target": _reach_target,
    "push_button": _push_button,
    "pick_and_lift": _pick_and_lift,
    "pick_up_cup": _pick_up_cup,
    "put_rubbish_in_bin": _put_rubbish_in_bin,
    "take_lid_off_saucepan": _take_lid_off_saucepan,
    "take_umbrella_out_of_umbrella_stand": _take_umbrella,
    "phone_on_base": _phone_on_base,
    "lift": _lift,
    "stack": _stack,
    "pick_place_can": _pick_place("Can_main", 3, 0.02),
    "pick_place_milk": _pick_place("Milk_main", 0, 0.03),
    "pick_place_bread": _pick_place("Bread_main", 1, 0.0),
    "pick_place_cereal": _pick_place("Cereal_main", 2, 0.04),
    "nut_assembly_square": _nut("SquareNut_main", "peg1", 0.06),
    "nut_assembly_round": _nut("RoundNut_main", "peg2", 0.06),
    "door": _door,
}
