"""Grasping and taking away: `sim.arms.take`."""

from __future__ import annotations

import numpy as np

from sim.experts.grasping import CLEAR, pick, pick_and_place
from sim.experts.hand import Hand, Motion, up
from sim.experts.scripts import Script


def _pick_and_lift(hand: Hand) -> Motion:
    yield from pick(hand, "block")
    yield from hand.go(hand.place_of("target"))


def _pick_up_cup(hand: Hand) -> Motion:
    yield from pick(hand, "cup", (0, 0, 0.05), lift=0.15)


def _take_lid_off_saucepan(hand: Hand) -> Motion:
    yield from pick(hand, "lid", (0, 0, 0.035), lift=0.16)


def _take_umbrella(hand: Hand) -> Motion:
    yield from pick(hand, "umbrella", (0, 0, 0.225), lift=0.16)


def _take_off_weighing_scales(hand: Hand) -> Motion:
    grasp = (0, 0, 0.03)
    yield from pick_and_place(hand, "green", lambda: hand.above("target", 0.004), offset=grasp, lift=0.08, travel=0.97)


def _unplug_charger(hand: Hand) -> Motion:
    case = (0.03, 0, 0.008)
    yield from hand.go(hand.place_of("charger", case) + up(CLEAR), tolerance=0.01)
    yield from hand.go(hand.place_of("charger", case))
    yield from hand.close()
    yield from hand.go(hand.position + np.array([0.1, 0, 0]), speed=0.5)


SCRIPTS: dict[str, Script] = {
    "pick_and_lift": _pick_and_lift,
    "pick_up_cup": _pick_up_cup,
    "take_lid_off_saucepan": _take_lid_off_saucepan,
    "take_umbrella_out_of_umbrella_stand": _take_umbrella,
    "take_toilet_roll_off_stand": lambda hand: pick(hand, "roll", (0, 0, 0.068), lift=0.16),
    "take_off_weighing_scales": _take_off_weighing_scales,
    "unplug_charger": _unplug_charger,
}
