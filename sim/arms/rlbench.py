"""Tasks of RLBench (James et al. 2020) rebuilt from boxes, balls and cylinders.

What counts as success are RLBench's conditions: an object is grasped (both fingers touch it) or nothing is, and an
object is seen or no longer seen by a sensor, here a simple volume around the object's origin. Where things stand is
drawn anew in each episode; their colours stay.
"""

from __future__ import annotations

import numpy as np

from sim.arms.shapes import ball, body, box, cylinder, mark, tub
from sim.arms.table import TABLE_HEIGHT, TableTask

_RED, _GREEN, _BLUE, _YELLOW = "0.8 0.1 0.1 1", "0.1 0.6 0.2 1", "0.1 0.2 0.8 1", "0.9 0.8 0.1 1"
_WHITE, _GREY, _DARK, _VIOLET = "0.95 0.95 0.95 1", "0.5 0.5 0.5 1", "0.15 0.15 0.15 1", "0.5 0.1 0.6 1"


class ReachTarget(TableTask):
    """The gripper is at the red ball. Two balls of other colours are to be left alone."""

    bodies = (
        body("target", mark("target", 0.025, _RED), loose=False)
        + body("distractor0", mark("distractor0", 0.025, _BLUE), loose=False)
        + body("distractor1", mark("distractor1", 0.025, _YELLOW), loose=False)
    )

    def place(self) -> None:
        places = self.scatter(3, 0.1)
        for name, (x, y) in zip(("target", "distractor0", "distractor1"), places, strict=True):
            self.put(name, x, y, self.rng.uniform(0.05, 0.25))

    def _check_success(self) -> bool:
        gripper = self.sim.data.site_xpos[self.robots[0].eef_site_id["right"]]
        return bool(np.linalg.norm(gripper - self.position("target")) < 0.025)


class PushButton(TableTask):
    """The button is pressed."""

    bodies = (
        '<body name="base">'
        + box("base", (0.1, 0.1, 0.03), (0, 0, 0.015), _GREY)
        + '<body name="button" pos="0 0 0.04"><joint name="button" type="slide" axis="0 0 1" range="-0.02 0" '
        + 'limited="true" damping="2" stiffness="40" frictionloss="0.1"/>'
        + cylinder("button", 0.025, 0.02, (0, 0, 0), _RED)
        + "</body></body>"
    )

    def place(self) -> None:
        ((x, y),) = self.scatter(1, 0.0)
        self.put("base", x, y)

    def _check_success(self) -> bool:
        return bool(self.sim.data.get_joint_qpos("button") < -0.008)


class PickAndLift(TableTask):
    """The red block is grasped and in the ball above the table. Two other blocks are to be left alone."""

    bodies = (
        body("block", box("block", (0.04, 0.04, 0.04), (0, 0, 0), _RED, 0.05), loose=True)
        + body("distractor0", box("distractor0", (0.04, 0.04, 0.04), (0, 0, 0), _GREEN, 0.05), loose=True)
        + body("distractor1", box("distractor1", (0.04, 0.04, 0.04), (0, 0, 0), _BLUE, 0.05), loose=True)
        + body("target", mark("target", 0.04, "0.9 0.4 0.4 0.4"), loose=False)
    )

    def place(self) -> None:
        for name, (x, y) in zip(("block", "distractor0", "distractor1"), self.scatter(3, 0.12), strict=True):
            self.put(name, x, y, 0.02)
        ((x, y),) = self.scatter(1, 0.0)
        self.put("target", x, y, 0.2)

    def _check_success(self) -> bool:
        near = np.linalg.norm(self.position("block") - self.position("target")) < 0.04
        return bool(near and self.grasps("block"))


class PickUpCup(TableTask):
    """The red cup is grasped and no longer where it stood. Another cup is to be left alone."""

    bodies = body("cup", tub("cup", 0.022, 0.07, _RED), loose=True) + body(
        "distractor", tub("distractor", 0.022, 0.07, _BLUE), loose=True
    )

    def place(self) -> None:
        (self._stood, other) = self.scatter(2, 0.15)
        self.put("cup", *self._stood)
        self.put("distractor", *other)

    def _check_success(self) -> bool:
        moved = np.linalg.norm(self.position("cup") - [*self._stood, TABLE_HEIGHT]) > 0.1
        return bool(moved and self.grasps("cup"))


class PutRubbishInBin(TableTask):
    """The rubbish is in the bin. Two tomatoes are to be left alone."""

    bodies = (
        body("rubbish", box("rubbish", (0.035, 0.035, 0.035), (0, 0, 0), _WHITE, 0.02), loose=True)
        + body("tomato0", ball("tomato0", 0.022, (0, 0, 0), _RED), loose=True)
        + body("tomato1", ball("tomato1", 0.022, (0, 0, 0), _RED), loose=True)
        + body("bin", tub("bin", 0.065, 0.12, _DARK), loose=False)
    )

    def place(self) -> None:
        side = self.rng.choice([-1, 1])
        for name, (x, y) in zip(("rubbish", "tomato0", "tomato1"), self.scatter(3, 0.1, y=(-0.15, 0.15)), strict=True):
            self.put(name, x, y - 0.07 * side, 0.022)
        self.put("bin", self.rng.uniform(-0.08, 0.05), side * self.rng.uniform(0.22, 0.27))

    def _check_success(self) -> bool:
        offset = self.position("rubbish") - self.position("bin")
        return bool(np.linalg.norm(offset[:2]) < 0.065 and 0 < offset[2] < 0.1)


class TakeLidOffSaucepan(TableTask):
    """The lid is grasped and well above the saucepan."""

    bodies = body(
        "saucepan",
        tub("saucepan", 0.07, 0.07, _GREY) + box("handle", (0.03, 0.12, 0.015), (0, 0.13, 0.055), _DARK),
        loose=False,
    ) + body(
        "lid",
        cylinder("lid", 0.08, 0.008, (0, 0, 0), _BLUE, 0.05) + box("knob", (0.03, 0.03, 0.045), (0, 0, 0.026), _DARK),
        loose=True,
    )

    def place(self) -> None:
        ((x, y),) = self.scatter(1, 0.0, y=(-0.15, 0.15))
        self.put("saucepan", x, y, yaw=self.rng.choice([0.0, np.pi]))
        self.put("lid", x, y, 0.075)

    def _check_success(self) -> bool:
        offset = self.position("lid") - self.position("saucepan")
        return bool(np.linalg.norm(offset[:2]) < 0.1 and offset[2] > 0.17 and self.grasps("lid"))


class TakeUmbrellaOutOfUmbrellaStand(TableTask):
    """No part of the umbrella is in the stand any more."""

    bodies = body("stand", tub("stand", 0.03, 0.1, _DARK), loose=False) + body(
        "umbrella",
        cylinder("canopy", 0.02, 0.15, (0, 0, 0.075), _VIOLET, 0.04)
        + cylinder("stick", 0.006, 0.06, (0, 0, 0.18), _GREY, 0.005)
        + box("grip", (0.025, 0.025, 0.05), (0, 0, 0.22), _YELLOW, 0.01),
        loose=True,
    )

    def place(self) -> None:
        ((x, y),) = self.scatter(1, 0.0)
        self.put("stand", x, y)
        self.put("umbrella", x, y, 0.008)

    def _check_success(self) -> bool:
        return bool(self.position("umbrella")[2] > TABLE_HEIGHT + 0.1)


class PhoneOnBase(TableTask):
    """The phone lies on its base, and nothing is grasped."""

    bodies = body("phone", box("phone", (0.12, 0.03, 0.025), (0, 0, 0.0125), _DARK, 0.04), loose=True) + body(
        "base",
        box("plate", (0.1, 0.08, 0.03), (0, 0, 0.015), _RED)
        + box("left", (0.1, 0.012, 0.01), (0, 0.034, 0.035), _RED)
        + box("right", (0.1, 0.012, 0.01), (0, -0.034, 0.035), _RED),
        loose=False,
    )

    def place(self) -> None:
        phone, base = self.scatter(2, 0.17)
        self.put("phone", phone[0], phone[1], 0.002)
        self.put("base", *base)

    def _check_success(self) -> bool:
        offset = self.position("phone") - self.position("base")
        return bool(np.linalg.norm(offset[:2]) < 0.035 and 0.025 < offset[2] < 0.04 and not self.grasps("phone"))
