"""Things that open, close, slide and turn: `sim.arms.articulated`."""

from __future__ import annotations

from sim.experts.joints import pull, push, turn
from sim.experts.scripts import Script

SCRIPTS: dict[str, Script] = {
    "open_drawer": pull("drawer", 0.158, (0.05, 0, 0.035)),
    "close_drawer": push("drawer", 0.0, at=(0.03, 0, 0.045), beside=(0.1, 0, 0.045)),
    "close_microwave": push("door", 0.0, at=(0.025, -0.17, 0.04), beside=(0.07, -0.17, 0.04)),
    "close_fridge": push("door", 0.0, at=(0.03, 0.1, 0.08), beside=(0.07, 0.1, 0.08)),
    "open_box": pull("lid", 1.7, (0.155, 0, 0)),
    "close_box": pull("lid", 0.0, (0.155, 0, 0)),
    "close_laptop_lid": push("screen", 0.0, at=(0.12, 0, 0.02), beside=(0.12, 0, 0.06)),
    "toilet_seat_down": push("seat", 0.0, at=(0.15, 0, 0.022), beside=(0.17, 0, 0.05)),
    "slide_cabinet_open": push("door", 0.11, at=(0.04, -0.055, 0), beside=(0.04, -0.08, 0)),
    "turn_tap": push("handle", 1.8, at=(0.05, -0.022, 0), beside=(0.05, -0.04, 0)),
    "turn_oven_on": turn("knob", 1.8, (0, 0, 0.03)),
}
