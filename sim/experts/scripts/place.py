"""Putting something somewhere: `sim.arms.place`."""

from __future__ import annotations

from sim.experts.grasping import CLEAR, pick_and_place
from sim.experts.hand import Hand, Motion
from sim.experts.scripts import Script

Point = tuple[float, float, float]


def _put(body: str, grasp: Point, target: str, at: Point, *, travel: float, lift: float = CLEAR) -> Script:
    """Put a body, which is held at the place `grasp` from its origin, on the point `at` of the body `target`. See
    `pick_and_place`."""

    def script(hand: Hand) -> Motion:
        yield from pick_and_place(hand, body, lambda: hand.place_of(target, at), offset=grasp, lift=lift, travel=travel)

    return script


def _stack_blocks(hand: Hand) -> Motion:
    for block, height in (("block0", 0.022), ("block1", 0.064)):
        yield from _put(block, (0, 0, 0), "target", (0, 0, height), travel=0.97)(hand)


SCRIPTS: dict[str, Script] = {
    "put_rubbish_in_bin": _put("rubbish", (0, 0, 0), "bin", (0, 0, 0.13), travel=1.02, lift=0.2),
    "phone_on_base": _put("phone", (0, 0, 0.015), "base", (0, 0, 0.033), travel=0.95),
    "put_toilet_roll_on_stand": _put("roll", (0, 0, 0.068), "stand", (0, 0, 0.02), travel=1.03, lift=0.18),
    "basketball_in_hoop": _put("ball", (0, 0, 0), "hoop", (0, 0, 0.23), travel=1.07, lift=0.24),
    "insert_onto_square_peg": _put("ring", (0, 0.03, 0.016), "peg", (0, 0, 0.02), travel=0.96),
    "meat_on_grill": _put("steak", (0, 0, 0.012), "grill", (0, 0, 0.061), travel=0.97),
    "meat_off_grill": _put("steak", (0, 0, 0.012), "grill", (0, -0.17, 0.004), travel=0.97),
    "put_knife_on_chopping_board": _put("knife", (-0.025, 0, 0.014), "board", (0, 0, 0.02), travel=0.95),
    "stack_blocks": _stack_blocks,
    "close_jar": _put("lid", (0, 0, 0.045), "jar", (0, 0, 0.076), travel=1.03),
    "open_jar": _put("lid", (0, 0, 0.045), "jar", (0, 0.14, 0.003), travel=1.03),
    "place_shape_in_shape_sorter": _put("shape", (0, 0, 0.04), "sorter", (0, 0, 0.04), travel=1.0),
}
