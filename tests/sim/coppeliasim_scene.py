"""What `coppeliasim_stand_in` simulates: an environment of bodies without physics, and what it holds for each task.

What is attached moves along. The arm's first six joints are the gripper's position and its turn from pointing down, so
that inverse kinematics is a subtraction; like the real one, it fails far from where the arm is, and under the table.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation

SHAPE, JOINT, DUMMY, PROXIMITY_SENSOR, VISION_SENSOR, FORCE_SENSOR = 0, 1, 4, 5, 9, 12
NOT_MODEL = 0xF000
TIME_STEP = 0.05
TABLE = 0.75
DOWN = Rotation.from_euler("x", np.pi)
IK_REACH = 0.05
JOINT_SPEED = 2.0


@dataclass
class Body:
    name: str
    kind: int
    parent: int = -1
    position: np.ndarray = field(default_factory=lambda: np.zeros(3))
    rotation: Rotation = field(default_factory=Rotation.identity)
    half_size: tuple[float, float, float] = (0.02, 0.02, 0.02)
    radius: float = 0.05
    extension: str = ""
    joint: float = 0.0
    target: float = 0.0
    velocity: float = 0.0
    interval: tuple[float, float] = (-10.0, 20.0)
    resolution: tuple[int, int] = (64, 64)
    follows_target: bool = True
    is_model: bool = False


TASKS: dict[str, list[Body]] = {
    "take_lid_off_saucepan": [
        Body("saucepan_lid_grasp_point", SHAPE, position=np.array([0, 0, 0.1])),
        Body("success", PROXIMITY_SENSOR, position=np.array([0, 0, 0.3])),
        Body("waypoint0", DUMMY, position=np.array([0, 0, 0.2]), rotation=DOWN),
        Body("waypoint1", DUMMY, position=np.array([0, 0, 0.1]), rotation=DOWN, extension="close_gripper();"),
        Body("waypoint2", DUMMY, position=np.array([0, 0, 0.3]), rotation=DOWN),
    ],
    "phone_on_base": [
        Body("phone", SHAPE, position=np.array([-0.08, 0, 0.05])),
        Body("base", SHAPE, position=np.array([0.08, 0, 0.02]), half_size=(0.05, 0.05, 0.02)),
        Body("success", PROXIMITY_SENSOR, position=np.array([0.08, 0, 0.06]), radius=0.03),
        Body("waypoint0", DUMMY, position=np.array([-0.08, 0, 0.2]), rotation=DOWN),
        Body("waypoint1", DUMMY, position=np.array([-0.08, 0, 0.05]), rotation=DOWN, extension="close_gripper();"),
        Body("waypoint2", DUMMY, position=np.array([-0.08, 0, 0.2]), rotation=DOWN),
        Body("waypoint3", DUMMY, position=np.array([0.08, 0, 0.2]), rotation=DOWN),
        Body("waypoint4", DUMMY, position=np.array([0.08, 0, 0.06]), rotation=DOWN, extension="open_gripper();"),
        Body("waypoint5", DUMMY, position=np.array([0.08, 0, 0.2]), rotation=DOWN),
    ],
}
GRIPPERS = {
    "Panda": ("Panda_gripper", ("Panda_gripper_joint1", "Panda_gripper_joint2")),
    "Sawyer": ("BaxterGripper", ("BaxterGripper_leftJoint", "BaxterGripper_rightJoint")),
}


class Scene:
    """Bodies by their handles, an arm among them."""

    def __init__(self) -> None:
        self.bodies: dict[int, Body] = {}
        self.next_handle = 1

    def add(self, body: Body, parent: int = -1) -> int:
        handle = self.next_handle
        self.next_handle += 1
        self.bodies[handle] = copy.deepcopy(body)
        self.bodies[handle].parent = parent
        return handle

    def handle(self, name: str) -> int:
        return next((handle for handle, body in self.bodies.items() if body.name == name), -1)

    def add_arm(self, name: str) -> int:
        base = self.add(Body(name, DUMMY, is_model=True))
        start = (0.28, 0.0, 1.3, 0.0, 0.0, 0.0, 0.0)
        for index, position in enumerate(start):
            self.add(Body(f"{name}_joint{index + 1}", JOINT, joint=position, target=position), base)
        self.add(Body(f"{name}_target", DUMMY), base)
        self.add(Body(f"{name}_tip", DUMMY), base)
        gripper, joints = GRIPPERS[name]
        hand = self.add(Body(gripper, DUMMY, is_model=True), base)
        for joint in joints:
            closed_to_open = Body(joint, JOINT, joint=0.04, target=0.04, interval=(0.0, 0.04), follows_target=False)
            self.add(closed_to_open, hand)
        self.add(Body(f"{gripper}_attachProxSensor", PROXIMITY_SENSOR, radius=0.03), self.handle(f"{name}_tip"))
        self.add(Body(f"{gripper}_attachPoint", FORCE_SENSOR), self.handle(f"{name}_tip"))
        return base

    @property
    def arm(self) -> str:
        return next(name for name in GRIPPERS if self.handle(name) >= 0)

    def arm_joints(self) -> np.ndarray:
        return np.array([self.bodies[self.handle(f"{self.arm}_joint{index}")].joint for index in range(1, 8)])

    def pose(self, handle: int) -> tuple[np.ndarray, Rotation]:
        """In the environment."""
        body = self.bodies[handle]
        if body.name.endswith("_tip"):
            joints = self.arm_joints()
            return joints[:3], DOWN * Rotation.from_rotvec(joints[3:6])
        if body.parent < 0:
            return body.position, body.rotation
        place, turn = self.pose(body.parent)
        return place + turn.apply(body.position), turn * body.rotation

    def relative(self, handle: int, base: int) -> tuple[np.ndarray, Rotation]:
        place, turn = self.pose(handle)
        if base < 0:
            return place, turn
        origin, axes = self.pose(base)
        return axes.inv().apply(place - origin), axes.inv() * turn

    def put(self, handle: int, base: int, place: np.ndarray, turn: Rotation) -> None:
        origin, axes = self.pose(base) if base >= 0 else (np.zeros(3), Rotation.identity())
        self.put_in_world(handle, origin + axes.apply(place), axes * turn)

    def put_in_world(self, handle: int, place: np.ndarray, turn: Rotation) -> None:
        body = self.bodies[handle]
        parent = self.pose(body.parent) if body.parent >= 0 else (np.zeros(3), Rotation.identity())
        body.position = parent[1].inv().apply(place - parent[0])
        body.rotation = parent[1].inv() * turn

    def tree(self, base: int) -> list[int]:
        if base < 0 or base not in self.bodies:
            return list(self.bodies)
        children = [handle for handle, body in self.bodies.items() if body.parent == base]
        return [base] + [handle for child in children for handle in self.tree(child)]

    def ik(self) -> np.ndarray | None:
        place, turn = self.pose(self.handle(f"{self.arm}_target"))
        here = self.arm_joints()
        if np.linalg.norm(place - here[:3]) > IK_REACH or place[2] < TABLE:
            return None
        return np.array([*place, *(DOWN.inv() * turn).as_rotvec(), 0.0])
