"""Arms at a table (`sim.arms`), seen through a camera: Panda and Sawyer at the same tasks, from the same place.

An action is how the gripper's goal moves, in [-1, 1]: x, y and z (±1 is ±3 cm a control step of 0.1 s, x away from
the arm's foot, z up), in tasks that need it then a turn about the vertical (±1 is ±0.2 rad), and at last the gripper,
which opens below 0 and closes above. The gripper points down throughout. The goal stays within 6 cm of where the
gripper is and within the room above the table.

The ground-truth reward is 1 for the time step in which the task is first solved and 0 for all others. The episode goes
on to its time limit: all have one length, so that neither a likelihood below 0 makes ending early worth while nor one
above 0 makes finishing a loss, and videos show the solved state held.
"""

from __future__ import annotations

from sim import opengl

opengl.prepare_to_draw()

import difflib
import math
import xml.etree.ElementTree as ET
from typing import Any

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from sim.arms import controller
from sim.arms.controller import ARMS, CONTROL_SECONDS
from sim.arms.look import CAMERA, hide_marks, leave_out_meshes
from sim.arms.tasks import TASKS
from sim.env import ActionSpace, Description, Env, SimError, TimeStep
from sim.rendering import FrameRenderer

ARM = "panda"
"""The arm unless told otherwise."""
STEP_METRES = 0.03
STEP_RADIANS = 0.2
_LEASH_METRES = 0.06
_MOST_YAW = 1.8
"""Radians. A parallel gripper is the same again after a half turn, so this reaches every orientation."""
_SETTLING_STEPS = 6
"""Control steps before an episode's first time step, in which objects come to rest and the gripper opens."""


def tasks() -> tuple[str, ...]:
    """robosuite's tasks and RLBench's, by their names in snake case."""
    return tuple(sorted(TASKS))


def make(
    task: str,
    *,
    image_size: tuple[int, int],
    action_repeat: int | None,
    seed: int,
    arm: str = ARM,
    camera: int | str = CAMERA,
    fast_render: bool = True,
) -> ArmEnv:
    """See `sim.make`. Options: `arm`, panda or sawyer; `camera`, an index or name of the model; `fast_render`, see
    `sim.rendering.FrameRenderer` and `sim.arms.look.leave_out_meshes`."""
    if arm not in ARMS:
        near = difflib.get_close_matches(arm, ARMS, n=1, cutoff=0.4) or ARMS
        raise SimError(f"no arm {arm!r}: did you mean {' or '.join(near)}?")
    return ArmEnv(task, image_size, action_repeat or 1, seed, arm, camera, fast_render)


class ArmEnv(Env):
    """One arm at one task. Where it is and what it would do next is for experts to read."""

    task_rewards = "once"
    solved: bool
    """Whether the task has been solved in this episode."""

    def __init__(
        self,
        task: str,
        image_size: tuple[int, int],
        action_repeat: int,
        seed: int,
        arm: str,
        camera: int | str,
        fast_render: bool,
    ) -> None:
        super().__init__()
        self.arm = arm
        self._task = TASKS[task]
        self._action_repeat = action_repeat
        self._suite_env = self._make_suite_env(arm, fast_render)
        self._reseed(seed)
        model = self._suite_env.sim.model._model
        hide_marks(model)
        self._renderer = FrameRenderer(model, image_size, camera, fast=fast_render)
        self.description = Description(
            sim="robosuite",
            task=task,
            action_space=ActionSpace("continuous", 5 if self._task.turns else 4),
            image_size=image_size,
            step_seconds=CONTROL_SECONDS * action_repeat,
            return_range=(0.0, 1.0),
            options={"arm": arm, "camera": self._renderer.camera, "fast_render": fast_render},
        )

    @property
    def gripper_position(self) -> NDArray[np.float64]:
        """Between the fingertips, float64 [3] in metres."""
        return np.array(self._suite_env.sim.data.site_xpos[self._suite_env.robots[0].eef_site_id["right"]])

    @property
    def turns(self) -> bool:
        """Whether actions turn the gripper."""
        return self._task.turns

    def point(self, body: str, offset: ArrayLike = (0.0, 0.0, 0.0)) -> NDArray[np.float64]:
        """Where the point `offset` [3] of a body is in the world frame, float64 [3] in metres."""
        place, rotation = self._pose(body)
        return np.asarray(place + rotation @ np.asarray(offset))

    def joint(self, name: str) -> float:
        """Where a joint is, in radians or metres."""
        return float(self._suite_env.sim.data.get_joint_qpos(name))

    def point_ahead(self, joint: str, offset: ArrayLike, metres: float) -> NDArray[np.float64]:
        """Where the point `offset` [3] of the body of a joint's name would be, had the joint moved it on by so much:
        float64 [3] in metres."""
        data = self._suite_env.sim.data._data
        index = self._suite_env.sim.model.joint_name2id(joint)
        place, axis = self.point(joint, offset), np.array(data.xaxis[index])
        if self._suite_env.sim.model.jnt_type[index] == mujoco.mjtJoint.mjJNT_SLIDE:
            return place + metres * axis
        arm = place - data.xanchor[index]
        radius = float(np.linalg.norm(np.cross(axis, arm)))
        return np.asarray(data.xanchor[index] + Rotation.from_rotvec(metres / radius * axis).apply(arm))

    def yaw(self, body: str) -> float:
        """A body's turn about the vertical, in radians."""
        _, rotation = self._pose(body)
        return math.atan2(rotation[1, 0], rotation[0, 0])

    def _pose(self, body: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        simulation = self._suite_env.sim
        index = simulation.model.body_name2id(body)
        return np.array(simulation.data.body_xpos[index]), simulation.data.body_xmat[index].reshape(3, 3)

    def _make_suite_env(self, arm: str, fast_render: bool) -> Any:
        options = {
            "robots": ARMS[arm],
            "controller_configs": controller.controller_config(),
            "use_camera_obs": False,
            "has_renderer": False,
            "has_offscreen_renderer": False,
            "renderer": "mujoco",
            "hard_reset": False,
            "seed": 0,  # of sizes, which robosuite draws once for all episodes
        }
        view = self._task.view

        class Seen(self._task.environment):  # type: ignore[name-defined]
            def edit_model_xml(env, text: str) -> str:  # noqa: N805
                mjcf = ET.fromstring(super().edit_model_xml(text))
                view.add_to(mjcf)
                controller.free_first_joint(mjcf)
                if fast_render:
                    leave_out_meshes(mjcf)
                return ET.tostring(mjcf, encoding="unicode")

        suite_env: Any = Seen(**options, **self._task.options)
        return suite_env

    def _reseed(self, seed: int) -> None:
        # In place: what puts objects down holds the same generator.
        self._suite_env.rng.bit_generator.state = np.random.default_rng(seed).bit_generator.state

    def _reset(self) -> TimeStep:
        self._suite_env.reset()
        self._steps, self.solved = 0, False
        self.goal_position, self.goal_yaw = self.gripper_position, 0.0
        for _ in range(_SETTLING_STEPS):
            controller.run(self._suite_env, self.goal_position, self.goal_position, 0.0, 0.0, -1.0)
        return TimeStep(self._frame(), 0.0, is_first=True, is_last=False, is_terminal=False)

    def _step(self, action: NDArray[np.float32]) -> TimeStep:
        reward = 0.0
        turn = float(action[3]) if self._task.turns else 0.0
        for _ in range(self._action_repeat):
            yaw = float(np.clip(self.goal_yaw + STEP_RADIANS * turn, -_MOST_YAW, _MOST_YAW))
            goal = self._within_reach(self.goal_position + STEP_METRES * action[:3])
            controller.run(self._suite_env, self.goal_position, goal, self.goal_yaw, yaw, float(action[-1]))
            self.goal_position, self.goal_yaw = goal, yaw
            self._steps += 1
            if not self.solved and self._suite_env._check_success():
                self.solved = True
                reward = 1.0
            if self._steps == self._task.steps:
                break
        is_last = self._steps == self._task.steps
        return TimeStep(self._frame(), reward, is_first=False, is_last=is_last, is_terminal=False)

    def _within_reach(self, goal: NDArray[np.float64]) -> NDArray[np.float64]:
        here = self.gripper_position
        lead = goal - here
        distance = float(np.linalg.norm(lead))
        if distance > _LEASH_METRES:
            goal = here + lead * (_LEASH_METRES / distance)
        return np.clip(goal, self._task.room.low, self._task.room.high)

    def _frame(self) -> NDArray[np.uint8]:
        return self._renderer.render(self._suite_env.sim.data._data)

    def _close(self) -> None:
        self._renderer.close()
        self._suite_env.close()
