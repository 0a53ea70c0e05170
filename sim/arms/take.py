"""RLBench's tasks of grasping something and taking it away, rebuilt from boxes, balls and cylinders."""

from __future__ import annotations

import numpy as np

from sim.arms.shapes import (
    BLUE,
    DARK,
    GREEN,
    GREY,
    RED,
    VIOLET,
    WHITE,
    YELLOW,
    body,
    box,
    cylinder,
    mark,
    patch,
    tub,
    tube,
)
from sim.arms.table import TABLE_HEIGHT, TableTask


class PickAndLift(TableTask):
    """The red block is grasped and in the ball above the table. Two other blocks are to be left alone."""

    bodies = (
        body("block", box("block", (0.04, 0.04, 0.04), (0, 0, 0), RED, 0.05), loose=True)
        + body("distractor0", box("distractor0", (0.04, 0.04, 0.04), (0, 0, 0), GREEN, 0.05), loose=True)
        + body("distractor1", box("distractor1", (0.04, 0.04, 0.04), (0, 0, 0), BLUE, 0.05), loose=True)
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

    bodies = body("cup", tub("cup", 0.022, 0.07, RED), loose=True) + body(
        "distractor", tub("distractor", 0.022, 0.07, BLUE), loose=True
    )

    def place(self) -> None:
        (self._stood, other) = self.scatter(2, 0.15)
        self.put("cup", *self._stood)
        self.put("distractor", *other)

    def _check_success(self) -> bool:
        moved = np.linalg.norm(self.position("cup") - [*self._stood, TABLE_HEIGHT]) > 0.1
        return bool(moved and self.grasps("cup"))


class TakeLidOffSaucepan(TableTask):
    """The lid is grasped and well above the saucepan."""

    bodies = body(
        "saucepan",
        tub("saucepan", 0.07, 0.07, GREY) + box("handle", (0.03, 0.12, 0.015), (0, 0.13, 0.055), DARK),
        loose=False,
    ) + body(
        "lid",
        cylinder("lid", 0.08, 0.008, (0, 0, 0), BLUE, 0.05) + box("knob", (0.03, 0.03, 0.045), (0, 0, 0.026), DARK),
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

    bodies = body("stand", tub("stand", 0.03, 0.1, DARK), loose=False) + body(
        "umbrella",
        cylinder("canopy", 0.02, 0.15, (0, 0, 0.075), VIOLET, 0.04)
        + cylinder("stick", 0.006, 0.06, (0, 0, 0.18), GREY, 0.005)
        + box("grip", (0.025, 0.025, 0.05), (0, 0, 0.22), YELLOW, 0.01),
        loose=True,
    )

    def place(self) -> None:
        ((x, y),) = self.scatter(1, 0.0)
        self.put("stand", x, y)
        self.put("umbrella", x, y, 0.008)

    def _check_success(self) -> bool:
        return bool(self.position("umbrella")[2] > TABLE_HEIGHT + 0.1)


class TakeToiletRollOffStand(TableTask):
    """The roll is off its stand."""

    bodies = body(
        "stand",
        cylinder("stand_foot", 0.05, 0.012, (0, 0, 0.006), DARK) + cylinder("rod", 0.008, 0.09, (0, 0, 0.057), DARK),
        loose=False,
    ) + body("roll", tube("roll", 0.016, (0, 0.08), WHITE, wall=0.014), loose=True)

    def place(self) -> None:
        ((x, y),) = self.scatter(1, 0.0)
        self.put("stand", x, y)
        self.put("roll", x, y, 0.013)

    def _check_success(self) -> bool:
        return not self.within("roll", "stand", 0.05, (0.0, 0.1))


class TakeOffWeighingScales(TableTask):
    """The green pepper is beside the scales, on the green patch, and nothing is grasped. Two others stay."""

    PEPPERS = ("green", "red", "yellow")
    bodies = (
        body(
            "scales",
            cylinder("pan", 0.085, 0.012, (0, 0, 0.056), GREY)
            + box("scales_case", (0.12, 0.12, 0.05), (0, 0, 0.025), WHITE)
            + cylinder("dial", 0.02, 0.004, (0.061, 0, 0.025), RED),
            loose=False,
        )
        + "".join(
            body(name, cylinder(name, 0.018, 0.04, (0, 0, 0.02), colour, 0.03), loose=True)
            for name, colour in zip(PEPPERS, (GREEN, RED, YELLOW), strict=True)
        )
        + body("target", patch("target", 0.05, GREEN), loose=False)
    )

    def place(self) -> None:
        side = self.rng.choice([-1, 1])
        x, y = self.rng.uniform((-0.15, 0.08), (0.0, 0.14))
        self.put("scales", x, side * y)
        angle = self.rng.uniform(0, 2 * np.pi)
        for index, name in enumerate(self.PEPPERS):
            where = angle + 2 * np.pi * index / 3
            self.put(name, x + 0.05 * np.cos(where), side * y + 0.05 * np.sin(where), 0.063)
        self.put("target", self.rng.uniform(-0.12, 0.03), -side * self.rng.uniform(0.08, 0.16))

    def _check_success(self) -> bool:
        return self.within("green", "target", 0.05, (-0.01, 0.03)) and not self.grasps("green")


class UnplugCharger(TableTask):
    """The charger is out of the socket."""

    bodies = body(
        "socket",
        box("wall0", (0.03, 0.2, 0.06), (-0.015, 0, 0.03), GREY)
        + box("wall1", (0.03, 0.2, 0.022), (-0.015, 0, 0.085), GREY)
        + box("wall2", (0.03, 0.089, 0.014), (-0.015, 0.0555, 0.067), GREY)
        + box("wall3", (0.03, 0.089, 0.014), (-0.015, -0.0555, 0.067), GREY),
        loose=False,
    ) + body(
        "charger",
        box("case", (0.045, 0.035, 0.04), (0.025, 0, 0), DARK, 0.03)
        + box("prong", (0.03, 0.019, 0.011), (-0.012, 0, 0), YELLOW, 0.01),
        loose=True,
    )

    def place(self) -> None:
        ((x, y),) = self.scatter(1, 0.0, x=(-0.12, 0.0))
        self.put("socket", x, y)
        self.put("charger", x, y, 0.067)

    def _check_success(self) -> bool:
        return bool((self.position("charger") - self.position("socket"))[0] > 0.05)
