"""CoppeliaSim with one of RLBench's tasks, in a process of its own: it wants the main thread, and may crash.

`python -m sim.rlbench_process <file descriptor of a socket>`, which answers a `sim.rlbench.RLBenchEnv` until that
hangs up.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyrep.const import RenderMode
from rlbench.action_modes.action_mode import MoveArmThenGripper
from rlbench.action_modes.arm_action_modes import EndEffectorPoseViaIK
from rlbench.action_modes.gripper_action_modes import Discrete
from rlbench.backend.exceptions import InvalidActionError, TaskEnvironmentError
from rlbench.backend.observation import Observation
from rlbench.backend.scene import Scene
from rlbench.environment import Environment
from rlbench.observation_config import ObservationConfig
from rlbench.utils import name_to_task_class
from scipy.spatial.transform import Rotation

from sim.env import SimError
from sim.rlbench import STEP_METRES, STEP_RADIANS, Pose

_PLACINGS = 10
"""How often a task is placed anew where RLBench finds no way to do it."""
_SAME_PLACE = 0.01
"""Of every number of the task's state (m, rad, quaternion): what counts as the same start."""


class MoveWherePossible(MoveArmThenGripper):
    """A pose relative to the gripper's and whether it is open, float [8]. The arm goes as far as it can."""

    def action(self, scene: Scene, action: NDArray[np.float64]) -> None:
        turn = Rotation.from_quat(action[3:7]).as_rotvec()
        for share in (1.0, 0.5, 0.25):
            move = np.concatenate([share * action[:3], Rotation.from_rotvec(share * turn).as_quat()])
            if not scene.check_target_in_workspace(scene.robot.arm.get_tip().get_position() + move[:3]):
                continue
            try:
                self.arm_action_mode.action(scene, move)
                break
            except InvalidActionError:
                continue
        else:
            scene.step()
        self.gripper_action_mode.action(scene, action[7:])


class TaskScene:
    """A task of RLBench before a camera."""

    def __init__(self, settings: dict[str, Any], seed: int) -> None:
        """`settings`: task, arm, camera, image_size (height, width), fast_render."""
        np.random.seed(seed)  # where RLBench takes its chance from
        config = ObservationConfig()
        config.set_all(False)
        self._image = f"{settings['camera']}_rgb"
        camera = getattr(config, f"{settings['camera']}_camera")
        camera.rgb = True
        camera.image_size = settings["image_size"][::-1]
        camera.render_mode = RenderMode.OPENGL if settings["fast_render"] else RenderMode.OPENGL3
        config.gripper_pose = config.gripper_open = config.task_low_dim_state = True
        self._environment = Environment(
            MoveWherePossible(EndEffectorPoseViaIK(absolute_mode=False), Discrete()),
            obs_config=config,
            headless=True,
            robot_setup=settings["arm"],
        )
        self._environment.launch()
        self._task = self._environment.get_task(name_to_task_class(settings["task"]))

    def reset(self) -> tuple[NDArray[np.uint8], Pose]:
        for _ in range(_PLACINGS):
            self._chance = np.random.get_state()
            try:
                _, self._start = self._task.reset()
            except TaskEnvironmentError:
                continue
            return getattr(self._start, self._image), _pose(self._start)
        raise SimError(f"RLBench could not place the task in {_PLACINGS} tries: try another seed or arm")

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.uint8], Pose, bool]:
        turn = Rotation.from_rotvec(STEP_RADIANS * action[3:6]).as_quat()
        is_open = 1.0 if action[6] < 0 else 0.0
        observation, reward, _ = self._task.step(np.concatenate([STEP_METRES * action[:3], turn, [is_open]]))
        return getattr(observation, self._image), _pose(observation), reward > 0

    def plan(self) -> list[Pose]:
        """A live demonstration's poses, and the episode from its start again."""
        np.random.set_state(self._chance)
        try:
            (demo,) = self._task.get_demos(1, live_demos=True, max_attempts=1)
        except RuntimeError:  # RLBench's word for a planner that found no way
            np.random.set_state(self._chance)
            self._task.reset()
            return []
        _, start = self._task.reset_to_demo(demo)
        if not np.allclose(start.task_low_dim_state, self._start.task_low_dim_state, atol=_SAME_PLACE):
            return []
        return [_pose(observation) for observation in demo]


def _pose(observation: Observation) -> Pose:
    pose = np.array(observation.gripper_pose, np.float64)
    return Pose(pose[:3], pose[3:], bool(observation.gripper_open))


@contextmanager
def _screen() -> Iterator[None]:
    """Somewhere to draw: the screen that there is, or one in memory."""
    if os.environ.get("DISPLAY"):
        yield
        return
    ours, theirs = os.pipe()
    command = ["Xvfb", "-displayfd", str(theirs), "-screen", "0", "1280x1024x24", "-nolisten", "tcp"]
    screen = subprocess.Popen(command, pass_fds=[theirs])
    os.close(theirs)
    try:
        number = os.read(ours, 16).decode().strip()
        if not number:
            raise SimError("Xvfb did not start: run `Xvfb :9` to see why, or set DISPLAY")
        os.environ["DISPLAY"] = f":{number}"
        yield
    finally:
        screen.terminate()
        os.close(ours)


def serve(connection: Connection) -> None:
    """Answer requests until the other side hangs up."""
    scene: TaskScene | None = None
    while True:
        try:
            request, arguments = connection.recv()
        except (EOFError, ConnectionResetError):
            return
        try:
            if request == "start":
                scene = TaskScene(*arguments)
                answer = None
            else:
                answer = getattr(scene, request)(*arguments)
        except SimError as error:
            connection.send(("error", str(error)))
        else:
            connection.send(("answer", answer))


def main() -> None:
    connection: Connection = Connection(int(sys.argv[1]))
    try:
        with _screen():
            serve(connection)
    except SimError as error:
        connection.recv()
        connection.send(("error", str(error)))
    os._exit(0)  # CoppeliaSim's threads would hold an orderly exit up


if __name__ == "__main__":
    main()
