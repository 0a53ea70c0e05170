"""RLBench's tasks of reaching something and pressing it, rebuilt from boxes, balls and cylinders.

A button or a switch is pressed, in RLBench's words, when its joint has moved by so much.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from sim.arms.shapes import BLUE, DARK, GREEN, GREY, RED, WHITE, YELLOW, ball, body, box, cylinder, mark, moving
from sim.arms.table import TableTask


class ReachTarget(TableTask):
    """The gripper is at the red ball. Two balls of other colours are to be left alone."""

    ball: ClassVar[str] = "target"
    bodies = (
        body("target", mark("target", 0.025, RED), loose=False)
        + body("distractor0", mark("distractor0", 0.025, BLUE), loose=False)
        + body("distractor1", mark("distractor1", 0.025, YELLOW), loose=False)
    )

    def place(self) -> None:
        places = self.scatter(3, 0.1)
        for name, (x, y) in zip(("target", "distractor0", "distractor1"), places, strict=True):
            self.put(name, x, y, self.rng.uniform(0.05, 0.25))

    def _check_success(self) -> bool:
        gripper = self.sim.data.site_xpos[self.robots[0].eef_site_id["right"]]
        return bool(np.linalg.norm(gripper - self.position(self.ball)) < 0.025)


class ReachBlueTarget(ReachTarget):
    """The gripper is at the blue ball, in the scene of `ReachTarget`."""

    ball = "distractor0"


def _button(name: str, colour: str, size: float = 0.1) -> str:
    """A button called `name` in a square base."""
    return box(f"{name}_base", (size, size, 0.03), (0, 0, 0.015), GREY) + moving(
        name,
        "slide",
        (0, 0, 1),
        (-0.02, 0),
        (0, 0, 0.04),
        cylinder(name, 0.025, 0.02, (0, 0, 0), colour),
        friction=0.1,
        damping=2,
        stiffness=40,
    )


class PushButton(TableTask):
    """The button is pressed."""

    bodies = body("base", _button("button", RED), loose=False)

    def place(self) -> None:
        ((x, y),) = self.scatter(1, 0.0)
        self.put("base", x, y)

    def _check_success(self) -> bool:
        return self.pressed("button")

    def pressed(self, button: str) -> bool:
        return bool(self.sim.data.get_joint_qpos(button) < -0.008)


class PushButtons(PushButton):
    """The buttons have been pressed, first the red one, then the green one, then the blue one."""

    BUTTONS = ("red", "green", "blue")
    order: ClassVar[tuple[str, ...]] = BUTTONS
    bodies = "".join(
        body(f"base_{name}", _button(name, colour, 0.08), loose=False)
        for name, colour in zip(BUTTONS, (RED, GREEN, BLUE), strict=True)
    )

    def place(self) -> None:
        for name, (x, y) in zip(self.BUTTONS, self.scatter(3, 0.13), strict=True):
            self.put(f"base_{name}", x, y)
        self._done = 0

    def _check_success(self) -> bool:
        if self._done < len(self.order) and self.pressed(self.order[self._done]):
            self._done += 1
        return self._done == len(self.order)


class PushBlueButton(PushButtons):
    """The blue button has been pressed, in the scene of `PushButtons`."""

    order = ("blue",)


class LampOn(PushButton):
    """The button is pressed, by which the lamp shines."""

    bodies = PushButton.bodies + body(
        "lamp",
        cylinder("foot", 0.04, 0.015, (0, 0, 0.0075), DARK)
        + cylinder("column", 0.008, 0.14, (0, 0, 0.08), DARK)
        + ball("bulb", 0.04, (0, 0, 0.18), WHITE),
        loose=False,
    )
    before: ClassVar[str] = DARK
    after: ClassVar[str] = "1 0.9 0.2 1"

    def place(self) -> None:
        button, lamp = self.scatter(2, 0.17)
        self.put("base", *button)
        self.put("lamp", *lamp)
        self._shine(self.before)

    def _check_success(self) -> bool:
        if pressed := super()._check_success():
            self._shine(self.after)
        return pressed

    def _shine(self, colour: str) -> None:
        model = self.sim.model
        model.geom_rgba[model.geom_name2id("bulb")] = [float(part) for part in colour.split()]


class LampOff(LampOn):
    """The button is pressed, by which the lamp goes out."""

    before, after = LampOn.after, LampOn.before


class PressSwitch(TableTask):
    """The switch has tipped over by 1 radian."""

    bodies = body(
        "base",
        box("frame0", (0.014, 0.09, 0.03), (0.06, 0, 0.015), WHITE)
        + box("frame1", (0.014, 0.09, 0.03), (-0.06, 0, 0.015), WHITE)
        + box("frame2", (0.134, 0.014, 0.03), (0, 0.038, 0.015), WHITE)
        + box("frame3", (0.134, 0.014, 0.03), (0, -0.038, 0.015), WHITE)
        + box("pit", (0.12, 0.07, 0.006), (0, 0, 0.003), DARK)
        + moving(
            "switch",
            "hinge",
            (0, 1, 0),
            (-0.53, 0.53),
            (0, 0, 0.038),
            box("half0", (0.045, 0.05, 0.014), (0.0225, 0, 0), RED)
            + box("half1", (0.045, 0.05, 0.014), (-0.0225, 0, 0), GREY),
            friction=0.03,
            damping=0.02,
        ),
        loose=False,
    )

    def place(self) -> None:
        ((x, y),) = self.scatter(1, 0.0)
        self.put("base", x, y, yaw=self.rng.uniform(-0.5, 0.5))
        self.sim.data.set_joint_qpos("switch", -0.52)

    def _check_success(self) -> bool:
        return bool(self.sim.data.get_joint_qpos("switch") > -0.52 + 1.0)
