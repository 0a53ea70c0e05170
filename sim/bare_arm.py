"""An arm alone on the floor, in MuJoCo: joints that follow positions, a gripper, a camera.

The models are those that robosuite ships (`pip install robosuite==1.5.2`), used as files: its code is not imported.
"""

from __future__ import annotations

from sim import opengl

opengl.prepare_to_draw()

import importlib.util
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim.env import SimError
from sim.rendering import FrameRenderer

GRIPPERS = {"panda": ("panda_gripper", 0.04), "sawyer": ("rethink_gripper", 0.0208)}
"""An arm's gripper, and how far each finger is out when it is open, in m."""
STIFFNESS = (4500.0, 4500.0, 3500.0, 3500.0, 2000.0, 2000.0, 2000.0)
"""N·m/rad of each joint's position servo, critically damped: stiff, as the makers' joint controllers are."""
TABLE_VIEW = ((1.6, 0.0, 0.8), (0.0, 1.0, 0.0, -0.35, 0.0, 0.94))
"""The camera's place in m and its x and y axes: from before the arm, looking at it and a little down."""


class BareArm:
    """One arm. Its seven joints follow `drive`, its fingers `grip`."""

    def __init__(self, name: str, home: NDArray[np.float64], image_size: tuple[int, int] = (64, 64)) -> None:
        """`home`: float64 [7] in rad. Raises SimError for an unknown arm and where robosuite is not installed."""
        if name not in GRIPPERS:
            raise SimError(f"no simulated arm '{name}': choose {' or '.join(GRIPPERS)}")
        spec = _spec(name)
        self._model = spec.compile()
        self._data = mujoco.MjData(self._model)
        fingers = [joint.name for joint in spec.joints[7:]]
        self._servos = [self._model.actuator(joint.name).id for joint in spec.joints[:7]]
        # An actuator carries its joint's name behind the gripper's prefix.
        self._fingers = [self._model.actuator(f"gripper_{name}").id for name in fingers]
        ranges = self._model.actuator_ctrlrange[self._fingers]
        self._outward = np.sign(ranges[np.arange(len(fingers)), np.abs(ranges).argmax(1)])
        self.grip(GRIPPERS[name][1])
        self._data.qpos[7:] = self._data.ctrl[self._fingers]
        self.place(home)
        self._hand = next(i for i in range(self._model.nsite) if self._model.site(i).name.endswith("grip_site"))
        self._renderer = FrameRenderer(self._model, image_size, "table_view", fast=True)

    @property
    def time(self) -> float:
        """Seconds of the environment."""
        return float(self._data.time)

    @property
    def positions(self) -> NDArray[np.float64]:
        """float64 [7], rad."""
        return self._data.qpos[:7].copy()

    @property
    def velocities(self) -> NDArray[np.float64]:
        """float64 [7], rad/s."""
        return self._data.qvel[:7].copy()

    @property
    def hand(self) -> NDArray[np.float64]:
        """float64 [3], m: the point between the fingertips."""
        return self._data.site_xpos[self._hand].copy()

    def place(self, positions: NDArray[np.float64]) -> None:
        """Put the joints somewhere, at rest. float64 [7], rad."""
        self._data.qpos[:7] = self._data.ctrl[self._servos] = positions
        self._data.qvel[:] = 0
        mujoco.mj_forward(self._model, self._data)

    def drive(self, positions: NDArray[np.float64]) -> None:
        """Where the joints' servos are to go: float64 [7], rad."""
        self._data.ctrl[self._servos] = positions

    def grip(self, distance: float) -> None:
        """Where the fingers are to go: each finger's joint in m, growing outwards."""
        self._data.ctrl[self._fingers] = self._outward * distance

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        until = self._data.time + seconds
        while self._data.time < until - 1e-9:
            mujoco.mj_step(self._model, self._data)

    def picture(self) -> NDArray[np.uint8]:
        """uint8 [height, width, 3], RGB."""
        return self._renderer.render(self._data)

    def close(self) -> None:
        self._renderer.close()


def _spec(name: str) -> mujoco.MjSpec:
    package = importlib.util.find_spec("robosuite")
    if package is None or package.origin is None:
        raise SimError("the simulated arm needs robosuite's models: pip install --no-deps robosuite==1.5.2")
    assets = Path(package.origin).parent / "models" / "assets"
    spec = mujoco.MjSpec.from_file(str(assets / "robots" / name / "robot.xml"))
    gripper = mujoco.MjSpec.from_file(str(assets / "grippers" / f"{GRIPPERS[name][0]}.xml"))
    for actuator in list(spec.actuators):
        spec.delete(actuator)
    hand = spec.body("right_hand")
    hand.add_frame().attach_body(gripper.worldbody.first_body(), "gripper_", "")
    for joint, stiffness in zip(spec.joints[:7], STIFFNESS, strict=True):
        servo = spec.add_actuator(name=joint.name, target=joint.name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        servo.set_to_position(kp=stiffness, dampratio=1.0)
        joint.armature = 0.1
    # What an arm's own controller does: carry its weight.
    for body in spec.bodies:
        body.gravcomp = 1.0
    spec.option.timestep = 0.002
    spec.worldbody.add_light(pos=[0.5, 0.5, 2.5], dir=[-0.2, -0.2, -1.0])
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_PLANE, size=[2, 2, 0.1], pos=[0, 0, -0.05], rgba=[0.4, 0.45, 0.5, 1], contype=0
    )
    place, axes = TABLE_VIEW
    camera = spec.worldbody.add_camera(name="table_view", pos=place, fovy=45)
    camera.alt.type = mujoco.mjtOrientation.mjORIENTATION_XYAXES
    camera.alt.xyaxes = axes
    return spec
