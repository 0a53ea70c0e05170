"""Scripted experts of the arm tasks: waypoints above, at and beyond what is to be moved, for any arm.

They read the environment's state, close the loop on it in every step, and try a grasp again that came up empty.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.env import Env, SimError
from sim.experts.hand import OPEN, Hand, Motion, up
from sim.robosuite import ArmEnv

_TRIES = 4
_CARRYING_SPEED = 0.7
"""Of the hand's greatest."""
_LOST = 0.04
"""Metres: a body that has moved farther in the hand has slipped out of it."""
_CLEAR = 0.12
"""Metres above things at which the hand travels."""


def make_expert(task: str, seed: int) -> Scripted:
    """The expert of a task. It is the same for every `seed`: what differs between its videos is the environment."""
    return Scripted(_SCRIPTS[task])


class Scripted:
    """A behaviour that follows a script, and then holds still."""

    def __init__(self, script: Callable[[Hand], Motion]) -> None:
        self._script = script

    def reset(self, env: Env) -> None:
        if not isinstance(env, ArmEnv):
            raise SimError(f"the scripted expert can't act in {env.description.sim}: choose another behaviour")
        self._hand = Hand(env)
        self._motion = self._script(self._hand)

    def act(self, env: Env) -> NDArray[np.float32]:
        """The next action, float32 [size]. The environment doesn't move."""
        action = next(self._motion, None)
        return next(self._hand.stay(1)) if action is None else action


def _pick(
    hand: Hand,
    body: str,
    offset: ArrayLike = (0.0, 0.0, 0.0),
    *,
    lift: float = _CLEAR,
    yaw: Callable[[], float] = lambda: 0.0,
) -> Motion:
    """Grasp a body at `offset` from its origin and lift it by `lift`, again if it stays behind."""
    for _ in range(_TRIES):
        stood = hand.place_of(body)[2]
        hand.grip = OPEN
        yield from hand.go(hand.place_of(body) + np.asarray(offset) + up(_CLEAR), yaw=yaw(), tolerance=0.01)
        yield from hand.go(hand.place_of(body) + np.asarray(offset))
        yield from hand.close()
        yield from hand.go(hand.position + up(lift), speed=_CARRYING_SPEED, tolerance=0.015)
        if hand.place_of(body)[2] > stood + lift / 2:
            return


def _pick_and_place(
    hand: Hand,
    body: str,
    place: Callable[[], NDArray[np.float64]],
    *,
    offset: ArrayLike = (0.0, 0.0, 0.0),
    lift: float = _CLEAR,
    travel: float,
    yaw: Callable[[], float] = lambda: 0.0,
) -> Motion:
    """Grasp a body, carry it at the height `travel` (metres) over its new place, lower it and let go. What slips out
    of the hand on the way is picked up again."""
    for _ in range(_TRIES):
        yield from _pick(hand, body, offset, lift=lift, yaw=yaw)
        grasped_at = hand.position - hand.place_of(body)
        yield from hand.go([*(place() + grasped_at)[:2], travel], speed=_CARRYING_SPEED, tolerance=0.01)
        held_at = hand.position - hand.place_of(body)
        if np.linalg.norm(held_at - grasped_at) < _LOST:
            yield from hand.go(place() + held_at, speed=_CARRYING_SPEED, tolerance=0.005, steps=20)
            yield from hand.open()
            yield from hand.go(hand.position + up(_CLEAR), tolerance=0.02)
            return


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
    yield from _pick_and_place(hand, "rubbish", lambda: hand.above("bin", 0.13), lift=0.2, travel=1.02)


def _take_lid_off_saucepan(hand: Hand) -> Motion:
    yield from _pick(hand, "lid", (0, 0, 0.035), lift=0.16)


def _take_umbrella(hand: Hand) -> Motion:
    yield from _pick(hand, "umbrella", (0, 0, 0.225), lift=0.16)


def _phone_on_base(hand: Hand) -> Motion:
    grasp = (0.0, 0.0, 0.015)
    yield from _pick_and_place(hand, "phone", lambda: hand.above("base", 0.033), offset=grasp, travel=0.95)


def _lift(hand: Hand) -> Motion:
    yield from _pick(hand, "cube_main", yaw=lambda: hand.yaw_of("cube_main"))


def _stack(hand: Hand) -> Motion:
    def yaw() -> float:
        return hand.yaw_of("cubeA_main")

    yield from _pick_and_place(hand, "cubeA_main", lambda: hand.above("cubeB_main", 0.047), travel=0.98, yaw=yaw)


def _bin_centre(number: int) -> NDArray[np.float64]:
    """The middle of one of the four parts of robosuite's second bin."""
    return np.array([0.1 + (0.0975 if number % 2 else -0.0975), 0.28 + (0.1225 if number > 1 else -0.1225), 0.0])


def _pick_place(body: str, number: int, grasp_height: float, same_after: float = np.pi / 2) -> Callable[[Hand], Motion]:
    def script(hand: Hand) -> Motion:
        def yaw() -> float:
            return hand.yaw_of(body, same_after=same_after)

        centre = _bin_centre(number) + up(0.92)
        grasp = (0.0, 0.0, grasp_height)
        yield from _pick_and_place(hand, body, lambda: centre, offset=grasp, lift=0.18, travel=1.1, yaw=yaw)

    return script


def _nut(body: str, peg: str, reach: float) -> Callable[[Hand], Motion]:
    def script(hand: Hand) -> Motion:
        def yaw() -> float:
            return hand.yaw_of(body, same_after=np.pi)

        for _ in range(_TRIES):
            handle = hand.place_of(body, (reach, 0, 0.004)) - hand.place_of(body)
            yield from _pick(hand, body, handle, lift=0.2, yaw=yaw)
            square = hand.environment.goal_yaw - yaw()
            over = hand.place_of(peg)
            hand.yaw = square
            yield from hand.go([*over[:2] + (hand.position - hand.place_of(body))[:2], 1.07], tolerance=0.01)
            for height in (1.05, 0.97, 0.9, 0.86):
                hold = hand.position - hand.place_of(body)
                yield from hand.go([*(over + hold)[:2], height], tolerance=0.004, speed=0.6, steps=12)
            yield from hand.open()
            yield from hand.go(hand.position + up(_CLEAR), tolerance=0.02)
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
    "pick_place_cereal": _pick_place("Cereal_main", 2, 0.05, np.pi),
    "nut_assembly_square": _nut("SquareNut_main", "peg1", 0.06),
    "nut_assembly_round": _nut("RoundNut_main", "peg2", 0.06),
    "door": _door,
}
