"""Reaching and pressing: `sim.arms.press`."""

from __future__ import annotations

from sim.experts.hand import Hand, Motion
from sim.experts.joints import push
from sim.experts.scripts import Script


def _reach(ball: str) -> Script:
    def script(hand: Hand) -> Motion:
        yield from hand.go(hand.place_of(ball))

    return script


_NEAR = 0.08
"""Metres above a button."""
_OVER_LAMP = 0.25
"""Metres above the button from which no lamp is in the hand's way."""


def _press(*buttons: str, over: float = _NEAR) -> Script:
    """Press buttons, one after the other, coming down on each from the height `over` above it."""

    def script(hand: Hand) -> Motion:
        yield from hand.close(1)
        for button in buttons:
            yield from hand.go(hand.above(button, over), tolerance=0.01)
            yield from hand.go(hand.above(button, _NEAR), tolerance=0.01)
            yield from hand.go(hand.above(button, -0.02), speed=0.5, steps=12)
            yield from hand.go(hand.above(button, 0.1), tolerance=0.02)

    return script


SCRIPTS: dict[str, Script] = {
    "reach_target": _reach("target"),
    "reach_blue_target": _reach("distractor0"),
    "push_button": _press("button"),
    "push_buttons": _press("red", "green", "blue"),
    "push_blue_button": _press("blue"),
    "lamp_on": _press("button", over=_OVER_LAMP),
    "lamp_off": _press("button", over=_OVER_LAMP),
    "press_switch": push("switch", 0.53, at=(0.035, 0, 0.018), beside=(0.035, 0, 0.04)),
}
