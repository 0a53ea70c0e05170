"""Tasks on robosuite's table, of which each is a few bodies, where they stand, and what counts as success."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from robosuite.environments.manipulation.manipulation_env import ManipulationEnv
from robosuite.models.arenas import TableArena
from robosuite.models.tasks import ManipulationTask

TABLE_HEIGHT = 0.8
"""Metres."""


class TableTask(ManipulationEnv):
    """A task whose bodies are MJCF. Subclasses say `bodies`, `place` and `_check_success`.

    `_check_success` is asked once after each control step until it is true: tasks in which an order counts remember
    there what has been done, from `place` on.
    """

    bodies: ClassVar[str]
    """MJCF body elements. Those with a free joint are loose, the others stand where they are placed."""

    def place(self) -> None:
        """Put the bodies where an episode begins, drawing from `self.rng`."""
        raise NotImplementedError

    def reward(self, action: Any = None) -> float:
        return float(self._check_success())

    def position(self, body: str) -> NDArray[np.float64]:
        """Where a body is, float64 [3] in metres."""
        return np.array(self.sim.data.body_xpos[self.sim.model.body_name2id(body)])

    def grasps(self, body: str) -> bool:
        """Whether both fingers touch a body."""
        model = self.sim.model
        index = model.body_name2id(body)
        geoms = [name for name in model.geom_names if name and model.geom_bodyid[model.geom_name2id(name)] == index]
        return bool(self._check_grasp(self.robots[0].gripper, geoms))

    def within(self, body: str, other: str, radius: float, heights: tuple[float, float]) -> bool:
        """Whether a body's origin is in an upright cylinder over another one's: RLBench's sensors."""
        offset = self.position(body) - self.position(other)
        return bool(np.linalg.norm(offset[:2]) < radius and heights[0] < offset[2] < heights[1])

    def put(self, body: str, x: float, y: float, z: float = 0.0, yaw: float = 0.0) -> None:
        """Put a body on the table, its origin `z` metres above it."""
        place = np.array([x, y, TABLE_HEIGHT + z])
        turn = np.array([math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)])
        model = self.sim.model
        index = model.body_name2id(body)
        if model.body_jntnum[index]:
            self.sim.data.set_joint_qpos(model.joint_names[model.body_jntadr[index]], np.concatenate([place, turn]))
        else:
            model.body_pos[index] = place
            model.body_quat[index] = turn

    def scatter(
        self, count: int, apart: float, x: tuple[float, float] = (-0.15, 0.1), y: tuple[float, float] = (-0.2, 0.2)
    ) -> NDArray[np.float64]:
        """Random places on the table, all at least `apart` metres from each other: float64 [count, 2]."""
        while True:
            places = self.rng.uniform((x[0], y[0]), (x[1], y[1]), (count, 2))
            distances = np.linalg.norm(places[:, None] - places[None], axis=-1) + apart * np.eye(count)
            if (distances >= apart).all():
                return np.asarray(places)

    def _load_model(self) -> None:
        super()._load_model()
        size = (0.8, 0.8, 0.05)
        robot = self.robots[0].robot_model
        robot.set_base_xpos(robot.base_xpos_offset["table"](size[0]))
        arena = TableArena(table_full_size=size, table_offset=(0, 0, TABLE_HEIGHT))
        arena.set_origin([0, 0, 0])
        for body in ET.fromstring(f"<bodies>{self.bodies}</bodies>"):
            arena.worldbody.append(body)
        self.model = ManipulationTask(mujoco_arena=arena, mujoco_robots=[robot])

    def _reset_internal(self) -> None:
        super()._reset_internal()
        self.place()
