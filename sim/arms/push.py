"""RLBench's tasks of pushing something across the table, by hand or with a tool, rebuilt from boxes, balls and
cylinders. What counts as success are RLBench's conditions, its sensors being simple areas of the table."""

from __future__ import annotations

import numpy as np

from sim.arms.shapes import BLUE, BROWN, DARK, GREEN, RED, YELLOW, ball, body, box, patch
from sim.arms.table import TableTask


class SlideBlockToTarget(TableTask):
    """The red block is on the green patch."""

    bodies = body("block", box("block", (0.06, 0.06, 0.04), (0, 0, 0.02), RED, 0.05, smooth=True), loose=True) + body(
        "target", patch("target", 0.06, GREEN), loose=False
    )

    def place(self) -> None:
        ((x, y),) = self.scatter(1, 0.0, x=(-0.18, -0.08), y=(-0.15, 0.15))
        angle = self.rng.uniform(-0.6, 0.6)
        distance = self.rng.uniform(0.15, 0.2)
        self.put("block", x, y, yaw=angle)
        self.put("target", x + distance * np.cos(angle), y + distance * np.sin(angle))

    def _check_success(self) -> bool:
        return bool(np.linalg.norm((self.position("block") - self.position("target"))[:2]) < 0.035)


def _tool(name: str, width: float, reach: float, colour: str) -> str:
    """A handle that stands up, a stick of length `reach` from its foot along x, and a hook of `width` along y."""
    geoms = box("handle", (0.03, 0.024, 0.09), (0, 0, 0.05), DARK, 0.02)
    geoms += box("stick", (reach, 0.02, 0.014), (reach / 2, 0, 0.012), colour, 0.01)
    geoms += box("hook", (0.016, width, 0.024), (reach, width / 2, 0.013), colour, 0.01)
    return body(name, geoms, loose=True)


class ReachAndDrag(TableTask):
    """The stick has dragged the cube onto the patch."""

    bodies = (
        _tool("stick", 0.09, 0.2, YELLOW)
        + body("cube", box("cube", (0.035, 0.035, 0.035), (0, 0, 0), RED, 0.02, smooth=True), loose=True)
        + body("target", patch("target", 0.045, BLUE), loose=False)
    )

    def place(self) -> None:
        side = self.rng.choice([-1, 1])
        x, y = self.rng.uniform((0.06, 0.06), (0.12, 0.16))
        self.put("cube", x, side * y, 0.0175)
        self.put("target", x - self.rng.uniform(0.1, 0.14), side * y)
        self.put("stick", self.rng.uniform(-0.18, -0.1), -side * self.rng.uniform(0.03, 0.15))

    def _check_success(self) -> bool:
        return bool(np.linalg.norm((self.position("cube") - self.position("target"))[:2]) < 0.035)


class SweepToDustpan(TableTask):
    """All the dirt is in the dustpan."""

    DIRT = tuple(f"dirt{index}" for index in range(4))
    bodies = (
        body(
            "broom",
            box("brush", (0.024, 0.15, 0.03), (0, 0, 0.015), YELLOW, 0.04)
            + box("handle", (0.024, 0.024, 0.12), (0, 0, 0.09), BROWN, 0.01),
            loose=True,
        )
        + body(
            "dustpan",
            box("back", (0.008, 0.2, 0.03), (-0.1, 0, 0.015), BLUE)
            + box("side0", (0.1, 0.008, 0.03), (-0.05, 0.1, 0.015), BLUE)
            + box("side1", (0.1, 0.008, 0.03), (-0.05, -0.1, 0.015), BLUE)
            + box("bed", (0.1, 0.2, 0.002), (-0.05, 0, 0.001), BLUE),
            loose=False,
        )
        + "".join(
            body(name, box(name, (0.02, 0.02, 0.02), (0, 0, 0.01), DARK, 0.003, smooth=True), loose=True)
            for name in DIRT
        )
    )

    def place(self) -> None:
        x, y = self.rng.uniform((-0.14, -0.12), (-0.08, 0.12))
        self.put("dustpan", x, y)
        self.put("broom", x + self.rng.uniform(0.17, 0.2), y + self.rng.uniform(-0.015, 0.015))
        for name, (dx, dy) in zip(self.DIRT, self.scatter(4, 0.03, x=(0.03, 0.12), y=(-0.05, 0.05)), strict=True):
            self.put(name, x + dx, y + dy)

    def _check_success(self) -> bool:
        offsets = np.array([self.position(name) - self.position("dustpan") for name in self.DIRT])
        return bool(((offsets[:, 0] > -0.1) & (offsets[:, 0] < 0) & (np.abs(offsets[:, 1]) < 0.1)).all())


class Hockey(TableTask):
    """The ball is in the goal, and the stick is held."""

    bodies = (
        body(
            "stick",
            box("handle", (0.024, 0.024, 0.11), (0, 0, 0.07), BROWN, 0.02)
            + box("blade", (0.014, 0.1, 0.024), (0, 0, 0.013), YELLOW, 0.02)
            + box("end0", (0.03, 0.01, 0.024), (0.02, 0.045, 0.013), YELLOW, 0.01)
            + box("end1", (0.03, 0.01, 0.024), (0.02, -0.045, 0.013), YELLOW, 0.01)
            + box("heel", (0.03, 0.06, 0.024), (-0.015, 0, 0.013), YELLOW, 0.02),
            loose=True,
        )
        + body("ball", ball("ball", 0.02, (0, 0, 0.02), RED, smooth=True), loose=True)
        + body(
            "goal",
            box("net", (0.008, 0.2, 0.04), (0.08, 0, 0.02), BLUE)
            + box("post0", (0.08, 0.008, 0.04), (0.04, 0.1, 0.02), BLUE)
            + box("post1", (0.08, 0.008, 0.04), (0.04, -0.1, 0.02), BLUE),
            loose=False,
        )
    )

    def place(self) -> None:
        x, y = self.rng.uniform((-0.2, -0.15), (-0.12, 0.15))
        self.put("stick", x, y)
        self.put("ball", x + self.rng.uniform(0.06, 0.09), y + self.rng.uniform(-0.02, 0.02))
        self.put("goal", self.rng.uniform(0.1, 0.14), y + self.rng.uniform(-0.06, 0.06))

    def _check_success(self) -> bool:
        offset = self.position("ball") - self.position("goal")
        return bool(0.01 < offset[0] < 0.08 and abs(offset[1]) < 0.1 and self.grasps("stick"))


class WipeDesk(TableTask):
    """The sponge has been over all spots, each of which is gone when it has."""

    SPOTS = tuple(f"spot{index}" for index in range(5))
    bodies = body("sponge", box("sponge", (0.06, 0.04, 0.035), (0, 0, 0.0175), YELLOW, 0.02), loose=True) + "".join(
        body(name, patch(name, 0.016, DARK), loose=False) for name in SPOTS
    )

    def place(self) -> None:
        side = self.rng.choice([-1, 1])
        self.put("sponge", self.rng.uniform(-0.15, 0.05), side * self.rng.uniform(0.13, 0.2))
        for name, place in zip(self.SPOTS, self.scatter(5, 0.035, x=(-0.1, 0.05), y=(-0.06, 0.06)), strict=True):
            self.put(name, place[0], place[1] - 0.06 * side)
        self._left = set(self.SPOTS)

    def _check_success(self) -> bool:
        for name in sorted(self._left):
            offset = self.position("sponge") - self.position(name)
            if np.linalg.norm(offset[:2]) < 0.035 and offset[2] < 0.015:
                self._left.remove(name)
                self.put(name, 0.0, 0.0, -0.1)
        return not self._left
