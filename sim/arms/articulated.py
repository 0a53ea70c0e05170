"""RLBench's tasks with things that open, close, slide and turn, rebuilt from boxes, balls and cylinders.

Success is RLBench's: the joint has moved by so much since the episode's start. Each body that moves has its joint's
name.
"""

from __future__ import annotations

from typing import ClassVar

from sim.arms.shapes import BLUE, BROWN, DARK, GREEN, GREY, RED, WHITE, YELLOW, ball, body, box, cylinder, moving, tub
from sim.arms.table import TableTask


class Articulated(TableTask):
    """The joint has moved by more than `moves`."""

    joint: ClassVar[str]
    moves: ClassVar[float]
    """Radians or metres, as those of `begins`."""
    begins: ClassVar[tuple[float, float]] = (0.0, 0.0)
    """Where the joint may be at the episode's start."""
    at: ClassVar[tuple[tuple[float, float], tuple[float, float]]] = ((-0.15, 0.0), (-0.15, 0.15))
    """Where the thing may stand: its least and greatest x, its least and greatest y."""
    turned: ClassVar[float] = 0.3
    """By how much it may be turned to either side, in radians."""

    def place(self) -> None:
        x, y = self.at
        ((x0, y0),) = self.scatter(1, 0.0, x, y)
        self.put("base", x0, y0, yaw=self.rng.uniform(-self.turned, self.turned))
        self._began = self.rng.uniform(*self.begins)
        self.sim.data.set_joint_qpos(self.joint, self._began)

    def _check_success(self) -> bool:
        return bool(abs(self.sim.data.get_joint_qpos(self.joint) - self._began) > self.moves)


def _knob(name: str, place: tuple[float, float, float]) -> str:
    return ball(name, 0.016, place, DARK)


_CHEST = (
    box("top", (0.17, 0.2, 0.01), (-0.085, 0, 0.085), BROWN)
    + box("bottom", (0.17, 0.2, 0.01), (-0.085, 0, 0.005), BROWN)
    + box("back", (0.01, 0.2, 0.07), (-0.165, 0, 0.045), BROWN)
    + box("left", (0.17, 0.01, 0.07), (-0.085, -0.095, 0.045), BROWN)
    + box("right", (0.17, 0.01, 0.07), (-0.085, 0.095, 0.045), BROWN)
    + moving(
        "drawer",
        "slide",
        (1, 0, 0),
        (0, 0.16),
        (0, 0, 0.045),
        box("front", (0.012, 0.19, 0.075), (0.007, 0, 0), YELLOW)
        + box("bed", (0.15, 0.17, 0.006), (-0.075, 0, -0.026), YELLOW)
        + box("side0", (0.15, 0.006, 0.04), (-0.075, 0.08, -0.006), YELLOW)
        + box("side1", (0.15, 0.006, 0.04), (-0.075, -0.08, -0.006), YELLOW)
        + box("end", (0.006, 0.16, 0.04), (-0.147, 0, -0.006), YELLOW)
        + box("neck", (0.03, 0.012, 0.012), (0.027, 0, 0.01), DARK)
        + cylinder("handle", 0.011, 0.06, (0.05, 0, 0.02), DARK),
        friction=1.0,
        damping=2.0,
    )
)
"""A chest with a drawer, its front at the origin."""


class OpenDrawer(Articulated):
    """The drawer is 15 cm farther out."""

    bodies = body("base", _CHEST, loose=False)
    joint, moves, at = "drawer", 0.15, ((-0.15, -0.05), (-0.15, 0.15))


class CloseDrawer(OpenDrawer):
    """The drawer is 6 cm farther in."""

    moves, begins = 0.06, (0.07, 0.14)


class CloseMicrowave(Articulated):
    """The door is 40 degrees nearer to the oven."""

    bodies = body(
        "base",
        box("case", (0.15, 0.22, 0.13), (-0.08, 0, 0.065), GREY)
        + box("inside", (0.01, 0.16, 0.11), (-0.002, 0.02, 0.065), DARK)
        + moving(
            "door",
            "hinge",
            (0, 0, 1),
            (0, 1.6),
            (0.012, 0.11, 0.065),
            box("panel", (0.012, 0.2, 0.12), (0, -0.1, 0), GREY)
            + box("glass", (0.016, 0.13, 0.08), (0, -0.1, 0), DARK),
            damping=0.05,
        ),
        loose=False,
    )
    joint, moves, begins, at = "door", 0.7, (0.75, 1.2), ((-0.15, -0.05), (-0.12, 0.12))


class CloseFridge(Articulated):
    """The door is 30 degrees nearer to the fridge."""

    bodies = body(
        "base",
        box("case", (0.12, 0.14, 0.2), (-0.065, 0, 0.1), WHITE)
        + box("inside", (0.006, 0.12, 0.18), (-0.003, 0, 0.1), GREY)
        + box("shelf", (0.008, 0.12, 0.008), (-0.003, 0, 0.12), WHITE)
        + moving(
            "door",
            "hinge",
            (0, 0, -1),
            (0, 1.6),
            (0.012, -0.07, 0.1),
            box("panel", (0.014, 0.14, 0.2), (0, 0.07, 0), BLUE)
            + box("handle", (0.012, 0.012, 0.1), (0.012, 0.12, 0), DARK),
            damping=0.05,
        ),
        loose=False,
    )
    joint, moves, begins, at = "door", 0.52, (0.6, 1.1), ((-0.15, -0.05), (-0.12, 0.12))


_BOX = (
    box("bed", (0.12, 0.16, 0.008), (0.06, 0, 0.004), BROWN)
    + box("wall0", (0.008, 0.16, 0.07), (0.004, 0, 0.043), BROWN)
    + box("wall1", (0.008, 0.16, 0.07), (0.116, 0, 0.043), BROWN)
    + box("wall2", (0.12, 0.008, 0.07), (0.06, 0.076, 0.043), BROWN)
    + box("wall3", (0.12, 0.008, 0.07), (0.06, -0.076, 0.043), BROWN)
    + moving(
        "lid",
        "hinge",
        (0, -1, 0),
        (0, 2.85),
        (0, 0, 0.088),
        box("plate", (0.12, 0.16, 0.01), (0.06, 0, 0), GREEN)
        + box("neck", (0.03, 0.012, 0.008), (0.133, 0, 0), DARK)
        + _knob("knob", (0.155, 0, 0)),
        friction=0.12,
        damping=0.05,
    )
)
"""A box with a lid, its hinge at the side of the arm."""


class OpenBox(Articulated):
    """The lid is a quarter turn farther up."""

    bodies = body("base", _BOX, loose=False)
    joint, moves, at = "lid", 1.57, ((-0.1, 0.0), (-0.15, 0.15))


class CloseBox(OpenBox):
    """The lid has turned by 2.6 radians, down onto the box."""

    moves, begins = 2.6, (2.65, 2.8)


class CloseLaptopLid(Articulated):
    """The screen has turned by 1.79 radians, down onto the keyboard."""

    bodies = body(
        "base",
        box("case", (0.14, 0.2, 0.014), (0.07, 0, 0.007), GREY)
        + box("keys", (0.07, 0.17, 0.002), (0.05, 0, 0.015), DARK)
        + moving(
            "screen",
            "hinge",
            (0, -1, 0),
            (0, 2.1),
            (0, 0, 0.022),
            box("cover", (0.14, 0.2, 0.008), (0.07, 0, 0), GREY)
            + box("picture", (0.12, 0.18, 0.002), (0.07, 0, -0.005), BLUE),
            friction=0.15,
            damping=0.05,
        ),
        loose=False,
    )
    joint, moves, begins, at = "screen", 1.79, (1.85, 2.0), ((-0.12, 0.0), (-0.15, 0.15))


class ToiletSeatDown(Articulated):
    """The seat has turned by 1.7 radians, down onto the bowl."""

    bodies = body(
        "base",
        f'<body name="bowl" pos="0.09 0 0">{tub("bowl", 0.065, 0.08, WHITE, wall=0.01)}</body>'
        + box("tank", (0.05, 0.16, 0.17), (-0.075, 0, 0.085), WHITE)
        + box("foot", (0.08, 0.1, 0.06), (-0.02, 0, 0.03), WHITE)
        + moving(
            "seat",
            "hinge",
            (0, -1, 0),
            (0, 1.95),
            (0, 0, 0.09),
            cylinder("ring", 0.08, 0.012, (0.09, 0, 0), RED),
            friction=0.1,
            damping=0.05,
        ),
        loose=False,
    )
    joint, moves, begins, at = "seat", 1.7, (1.75, 1.85), ((-0.1, 0.0), (-0.15, 0.15))


class SlideCabinetOpen(Articulated):
    """The door has slid aside by 6 cm, and nothing is grasped."""

    bodies = body(
        "base",
        box("case", (0.1, 0.28, 0.1), (-0.06, 0, 0.05), BROWN)
        + box("inside", (0.006, 0.26, 0.08), (-0.008, 0, 0.05), DARK)
        + moving(
            "door",
            "slide",
            (0, 1, 0),
            (0, 0.13),
            (0.01, -0.065, 0.05),
            box("panel", (0.012, 0.13, 0.09), (0, 0, 0), WHITE)
            + box("neck", (0.03, 0.012, 0.012), (0.02, -0.03, 0), DARK)
            + cylinder("handle", 0.011, 0.05, (0.04, -0.03, 0), DARK),
            friction=0.5,
            damping=2.0,
        )
        + box("fixed", (0.012, 0.13, 0.09), (-0.003, 0.07, 0.05), WHITE),
        loose=False,
    )
    joint, moves, at = "door", 0.06, ((-0.12, 0.0), (-0.12, 0.12))

    def _check_success(self) -> bool:
        return super()._check_success() and not self.grasps("door")


class TurnTap(Articulated):
    """The handle of the tap has turned by a quarter."""

    bodies = body(
        "base",
        cylinder("foot", 0.035, 0.01, (0, 0, 0.005), GREY)
        + cylinder("column", 0.014, 0.1, (0, 0, 0.05), GREY)
        + box("spout", (0.1, 0.018, 0.016), (0.06, 0, 0.06), GREY)
        + box("mouth", (0.018, 0.018, 0.03), (0.105, 0, 0.045), GREY)
        + moving(
            "handle",
            "hinge",
            (0, 0, 1),
            (0, 2.5),
            (0, 0, 0.112),
            box("bar", (0.12, 0.016, 0.016), (0, 0, 0), RED) + box("cross", (0.016, 0.12, 0.016), (0, 0, 0), RED),
            friction=0.02,
            damping=0.02,
        ),
        loose=False,
    )
    joint, moves, at = "handle", 1.57, ((-0.15, 0.05), (-0.2, 0.2))


class TurnOvenOn(Articulated):
    """The knob has turned by 1.5 radians."""

    bodies = body(
        "base",
        box("case", (0.2, 0.24, 0.06), (0.0, 0, 0.03), WHITE)
        + cylinder("plate0", 0.04, 0.004, (-0.05, 0.055, 0.062), DARK)
        + cylinder("plate1", 0.04, 0.004, (-0.05, -0.055, 0.062), DARK)
        + moving(
            "knob",
            "hinge",
            (0, 0, 1),
            (-0.8, 1.0),
            (0.06, 0, 0.062),
            cylinder("disc", 0.03, 0.01, (0, 0, 0.006), GREY) + box("ridge", (0.05, 0.018, 0.035), (0, 0, 0.028), RED),
            friction=0.02,
            damping=0.02,
        ),
        loose=False,
    )
    joint, moves, begins, at, turned = "knob", 1.5, (-0.8, -0.8), ((-0.12, 0.0), (-0.15, 0.15)), 0.15
