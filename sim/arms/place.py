"""RLBench's tasks of putting something somewhere, rebuilt from boxes, balls and cylinders."""

from __future__ import annotations

import numpy as np

from sim.arms.shapes import (
    BLUE,
    BROWN,
    DARK,
    GREEN,
    GREY,
    ORANGE,
    RED,
    WHITE,
    YELLOW,
    ball,
    body,
    box,
    cylinder,
    patch,
    tub,
    tube,
)
from sim.arms.table import TABLE_HEIGHT, TableTask
from sim.arms.take import TakeToiletRollOffStand


class PutRubbishInBin(TableTask):
    """The rubbish is in the bin. Two tomatoes are to be left alone."""

    bodies = (
        body("rubbish", box("rubbish", (0.035, 0.035, 0.035), (0, 0, 0), WHITE, 0.02), loose=True)
        + body("tomato0", ball("tomato0", 0.022, (0, 0, 0), RED), loose=True)
        + body("tomato1", ball("tomato1", 0.022, (0, 0, 0), RED), loose=True)
        + body("bin", tub("bin", 0.065, 0.12, DARK), loose=False)
    )

    def place(self) -> None:
        side = self.rng.choice([-1, 1])
        for name, (x, y) in zip(("rubbish", "tomato0", "tomato1"), self.scatter(3, 0.1, y=(-0.15, 0.15)), strict=True):
            self.put(name, x, y - 0.07 * side, 0.022)
        self.put("bin", self.rng.uniform(-0.08, 0.05), side * self.rng.uniform(0.22, 0.27))

    def _check_success(self) -> bool:
        offset = self.position("rubbish") - self.position("bin")
        return bool(np.linalg.norm(offset[:2]) < 0.065 and 0 < offset[2] < 0.1)


class PhoneOnBase(TableTask):
    """The phone lies on its base, and nothing is grasped."""

    bodies = body("phone", box("phone", (0.12, 0.03, 0.025), (0, 0, 0.0125), DARK, 0.04), loose=True) + body(
        "base",
        box("plate", (0.1, 0.08, 0.03), (0, 0, 0.015), RED)
        + box("left", (0.1, 0.012, 0.01), (0, 0.034, 0.035), RED)
        + box("right", (0.1, 0.012, 0.01), (0, -0.034, 0.035), RED),
        loose=False,
    )

    def place(self) -> None:
        phone, base = self.scatter(2, 0.17)
        self.put("phone", phone[0], phone[1], 0.002)
        self.put("base", *base)

    def _check_success(self) -> bool:
        offset = self.position("phone") - self.position("base")
        return bool(np.linalg.norm(offset[:2]) < 0.035 and 0.025 < offset[2] < 0.04 and not self.grasps("phone"))


class PutToiletRollOnStand(TableTask):
    """The roll is on its stand, and nothing is grasped."""

    bodies = TakeToiletRollOffStand.bodies

    def place(self) -> None:
        stand, roll = self.scatter(2, 0.17)
        self.put("stand", *stand)
        self.put("roll", *roll)

    def _check_success(self) -> bool:
        return self.within("roll", "stand", 0.02, (0.0, 0.03)) and not self.grasps("roll")


class BasketballInHoop(TableTask):
    """The ball is in the hoop or falls out of it."""

    bodies = body("ball", ball("ball", 0.026, (0, 0, 0), ORANGE), loose=True) + body(
        "hoop",
        box("hoop_foot", (0.12, 0.12, 0.012), (0, -0.11, 0.006), GREY)
        + box("post", (0.02, 0.02, 0.24), (0, -0.11, 0.13), GREY)
        + box("board", (0.14, 0.01, 0.1), (0, -0.095, 0.24), WHITE)
        + box("arm", (0.012, 0.03, 0.012), (0, -0.077, 0.2), RED)
        + tube("ring", 0.055, (0.195, 0.207), RED)
        + tube("net", 0.052, (0.14, 0.195), WHITE, wall=0.003),
        loose=False,
    )

    def place(self) -> None:
        side = self.rng.choice([-1, 1])
        self.put("ball", self.rng.uniform(-0.15, 0.08), -side * self.rng.uniform(0.1, 0.2), 0.026)
        self.put("hoop", self.rng.uniform(-0.12, 0.0), side * self.rng.uniform(0.12, 0.16), yaw=np.pi / 2 * (1 + side))

    def _check_success(self) -> bool:
        return self.within("ball", "hoop", 0.05, (0.03, 0.19))


class InsertOntoSquarePeg(TableTask):
    """The ring is on the peg, and nothing is grasped."""

    bodies = body(
        "ring",
        box("ring0", (0.08, 0.02, 0.024), (0, 0.03, 0.012), ORANGE, 0.01)
        + box("ring1", (0.08, 0.02, 0.024), (0, -0.03, 0.012), ORANGE, 0.01)
        + box("ring2", (0.02, 0.04, 0.024), (0.03, 0, 0.012), ORANGE, 0.005)
        + box("ring3", (0.02, 0.04, 0.024), (-0.03, 0, 0.012), ORANGE, 0.005),
        loose=True,
    ) + body(
        "peg",
        box("peg_foot", (0.1, 0.1, 0.015), (0, 0, 0.0075), BROWN)
        + box("peg", (0.024, 0.024, 0.06), (0, 0, 0.045), BLUE),
        loose=False,
    )

    def place(self) -> None:
        ring, peg = self.scatter(2, 0.17)
        self.put("ring", *ring)
        self.put("peg", *peg)

    def _check_success(self) -> bool:
        return self.within("ring", "peg", 0.02, (0.005, 0.035)) and not self.grasps("ring")


class MeatOnGrill(TableTask):
    """The steak is on the grill, and nothing is grasped. The chicken is to be left alone."""

    bodies = (
        body(
            "grill",
            box("body", (0.16, 0.2, 0.05), (0, 0, 0.025), DARK)
            + "".join(
                box(f"bar{index}", (0.16, 0.008, 0.008), (0, -0.09 + 0.03 * index, 0.054), GREY) for index in range(7)
            )
            + box("shelf", (0.12, 0.06, 0.012), (0, 0.13, 0.044), BROWN),
            loose=False,
        )
        + body("steak", box("steak", (0.06, 0.035, 0.022), (0, 0, 0.011), RED, 0.04), loose=True)
        + body("chicken", box("chicken", (0.05, 0.035, 0.025), (0, 0, 0.0125), "0.9 0.7 0.4 1", 0.04), loose=True)
    )

    def place(self) -> None:
        side = self.rng.choice([-1, 1])
        self.put("grill", self.rng.uniform(-0.1, 0.0), side * self.rng.uniform(0.08, 0.12), yaw=np.pi / 2 * (1 - side))
        steak, chicken = self.scatter(2, 0.08, x=(-0.15, 0.08), y=(0.09, 0.2))
        self.put("steak", steak[0], -side * steak[1])
        self.put("chicken", chicken[0], -side * chicken[1])

    def _check_success(self) -> bool:
        return self.on_grill("steak") and not self.grasps("steak")

    def on_grill(self, meat: str) -> bool:
        offset = np.abs(self.position(meat) - self.position("grill"))
        return bool(offset[0] < 0.08 and offset[1] < 0.1 and offset[2] < 0.075)


class MeatOffGrill(MeatOnGrill):
    """The steak lies beside the grill, and nothing is grasped. The chicken is to be left alone."""

    def place(self) -> None:
        side = self.rng.choice([-1, 1])
        x, y = self.rng.uniform(-0.1, 0.0), side * self.rng.uniform(0.08, 0.12)
        self.put("grill", x, y, yaw=np.pi / 2 * (1 - side))
        steak, chicken = self.scatter(2, 0.07, x=(-0.05, 0.05), y=(-0.075, 0.075))
        self.put("steak", x + steak[0], y + steak[1], 0.059)
        self.put("chicken", x + chicken[0], y + chicken[1], 0.059)

    def _check_success(self) -> bool:
        on_table = self.position("steak")[2] < TABLE_HEIGHT + 0.02
        return bool(on_table and not self.on_grill("steak") and not self.grasps("steak"))


class PutKnifeOnChoppingBoard(TableTask):
    """The knife lies on the board, and nothing is grasped."""

    bodies = body(
        "knife",
        box("blade", (0.1, 0.004, 0.024), (0.06, 0, 0.012), GREY, 0.01)
        + box("grip", (0.07, 0.02, 0.024), (-0.025, 0, 0.012), DARK, 0.02),
        loose=True,
    ) + body("board", box("board", (0.2, 0.14, 0.016), (0, 0, 0.008), BROWN), loose=False)

    def place(self) -> None:
        side = self.rng.choice([-1, 1])
        self.put("knife", self.rng.uniform(-0.15, 0.05), side * self.rng.uniform(0.06, 0.2), 0.001)
        self.put("board", self.rng.uniform(-0.1, 0.03), -side * self.rng.uniform(0.08, 0.16))

    def _check_success(self) -> bool:
        return self.within("knife", "board", 0.06, (0.01, 0.03)) and not self.grasps("knife")


class StackBlocks(TableTask):
    """Two red blocks are stacked on the green patch, and nothing is grasped. Two blocks of another colour are to be
    left alone."""

    RED_BLOCKS, OTHERS = ("block0", "block1"), ("distractor0", "distractor1")
    bodies = (
        "".join(body(name, box(name, (0.04, 0.04, 0.04), (0, 0, 0), RED, 0.04), loose=True) for name in RED_BLOCKS)
        + "".join(body(name, box(name, (0.04, 0.04, 0.04), (0, 0, 0), BLUE, 0.04), loose=True) for name in OTHERS)
        + body("target", patch("target", 0.05, GREEN), loose=False)
    )

    def place(self) -> None:
        target, *places = self.scatter(5, 0.11)
        self.put("target", *target)
        for name, (x, y) in zip(self.RED_BLOCKS + self.OTHERS, places, strict=True):
            self.put(name, x, y, 0.02)

    def _check_success(self) -> bool:
        low, high = sorted(self.RED_BLOCKS, key=lambda name: self.position(name)[2])
        stacked = self.within(low, "target", 0.05, (0.0, 0.03)) and self.within(high, "target", 0.05, (0.05, 0.07))
        return stacked and not self.grasps(low) and not self.grasps(high)


class CloseJar(TableTask):
    """The lid is on the jar, and nothing is grasped."""

    bodies = body("jar", tub("jar", 0.035, 0.09, BLUE), loose=False) + body(
        "lid",
        cylinder("lid", 0.045, 0.008, (0, 0, 0.022), GREY, 0.03)
        + cylinder("plug", 0.026, 0.018, (0, 0, 0.009), GREY, 0.01)
        + box("knob", (0.025, 0.025, 0.03), (0, 0, 0.04), RED, 0.01),
        loose=True,
    )

    def place(self) -> None:
        jar, lid = self.scatter(2, 0.15)
        self.put("jar", *jar)
        self.put("lid", *lid)

    def _check_success(self) -> bool:
        return self.within("lid", "jar", 0.015, (0.065, 0.078)) and not self.grasps("lid")


class OpenJar(CloseJar):
    """The lid lies on the table beside the jar, and nothing is grasped."""

    def place(self) -> None:
        ((x, y),) = self.scatter(1, 0.0)
        self.put("jar", x, y, yaw=np.pi if y > 0 else 0.0)
        self.put("lid", x, y, 0.074)

    def _check_success(self) -> bool:
        return bool(self.position("lid")[2] < TABLE_HEIGHT + 0.02 and not self.grasps("lid"))


class PlaceShapeInShapeSorter(TableTask):
    """The cube is in the sorter, through the square hole."""

    bodies = body("shape", box("shape", (0.036, 0.036, 0.05), (0, 0, 0.025), YELLOW, 0.03), loose=True) + body(
        "sorter",
        box("sorter_bed", (0.13, 0.13, 0.01), (0, 0, 0.005), BROWN)
        + box("side0", (0.04, 0.13, 0.06), (0.0455, 0, 0.04), GREEN)
        + box("side1", (0.04, 0.13, 0.06), (-0.0455, 0, 0.04), GREEN)
        + box("side2", (0.051, 0.04, 0.06), (0, 0.0455, 0.04), GREEN)
        + box("side3", (0.051, 0.04, 0.06), (0, -0.0455, 0.04), GREEN),
        loose=False,
    )

    def place(self) -> None:
        shape, sorter = self.scatter(2, 0.17)
        self.put("shape", *shape)
        self.put("sorter", *sorter)

    def _check_success(self) -> bool:
        return self.within("shape", "sorter", 0.02, (0.0, 0.03)) and not self.grasps("shape")
