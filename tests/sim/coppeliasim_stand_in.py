"""What stands in for CoppeliaSim's C library under PyRep (as its module `pyrep.backend._sim_cffi`) in tests.

RLBench and PyRep above it are the real ones. Below is `coppeliasim_scene`, in which joints go where they are told at a
limited speed, and sensors see what is near.
"""

from __future__ import annotations

import copy
import os
from typing import Any

import cffi
import numpy as np
from pyrep.backend.coppeliasim_scene import (
    DOWN,
    DUMMY,
    JOINT,
    JOINT_SPEED,
    NOT_MODEL,
    SHAPE,
    TABLE,
    TASKS,
    TIME_STEP,
    VISION_SENSOR,
    Body,
    Scene,
)
from scipy.spatial.transform import Rotation

ffi = cffi.FFI()


class Library(Scene):
    """The C functions that PyRep calls, by their C names."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []
        self.ready = False
        self.motions: dict[int, list[float]] = {}

    def text(self, value: str) -> Any:
        self.kept = [*self.kept[-50:], ffi.new("char[]", value.encode())]
        return self.kept[-1]

    # Running

    def simSetStringParameter(self, *_: Any) -> int:
        return 0

    def simExtLaunchUIThread(self, name: bytes, options: int, scene: bytes, root: bytes) -> None:
        assert os.path.exists(scene), scene
        print(f"stand-in for CoppeliaSim: {os.path.basename(scene).decode()}")
        self.add_arm("Panda")
        workspace = Body("workspace", SHAPE, position=np.array([0.25, 0, TABLE]), half_size=(0.3, 0.3, 0.0))
        self.add(workspace)
        for camera in ("over_shoulder_left", "over_shoulder_right", "overhead", "wrist", "front"):
            self.add(Body(f"cam_{camera}", VISION_SENSOR))
            self.add(Body(f"cam_{camera}_mask", VISION_SENSOR))
        self.ready = True

    def simExtCanInitSimThread(self) -> bool:
        return self.ready

    def simExtSimThreadInit(self) -> None:
        pass

    def simStartSimulation(self) -> int:
        return 0

    def simExtStep(self, physics: bool = True) -> None:
        for body in self.bodies.values():
            if body.kind == JOINT:
                if body.follows_target:
                    step = np.clip(body.target - body.joint, -JOINT_SPEED * TIME_STEP, JOINT_SPEED * TIME_STEP)
                else:
                    step = body.velocity * TIME_STEP
                low, width = body.interval
                body.joint = float(np.clip(body.joint + step, low, low + width))

    def simGetSimulationTimeStep(self) -> float:
        return TIME_STEP

    def simReleaseBuffer(self, _: Any) -> None:
        pass

    # Bodies

    def simLoadModel(self, path: bytes) -> int:
        assert os.path.exists(path), path
        name = os.path.basename(path).decode().removesuffix(".ttm")
        if name == "sawyer":
            return self.add_arm("Sawyer")
        base = self.add(Body(name, DUMMY, is_model=True, half_size=(0.1, 0.1, 0.1)))
        for body in TASKS[name]:
            self.add(body, base)
        return base

    def simRemoveModel(self, base: int) -> int:
        for handle in self.tree(base):
            del self.bodies[handle]
        return 0

    simRemoveObject = simRemoveModel

    def simGetObjectHandle(self, name: bytes) -> int:
        return self.handle(name.decode())

    def simGetObjectName(self, handle: int) -> Any:
        return self.text(self.bodies[handle].name) if handle in self.bodies else ffi.NULL

    def simGetObjectType(self, handle: int) -> int:
        return self.bodies[handle].kind

    def simGetObjectParent(self, handle: int) -> int:
        return self.bodies[handle].parent

    def simSetObjectParent(self, handle: int, parent: int, keep_in_place: bool) -> int:
        place, turn = self.pose(handle)
        self.bodies[handle].parent = parent
        self.put_in_world(handle, place, turn)
        return 0

    def simGetObjectsInTree(self, base: int, kind: int, options: int, count: Any) -> Any:
        found = [handle for handle in self.tree(base) if kind in (-2, self.bodies[handle].kind)]
        if options & 1:
            found = [handle for handle in found if handle != base]
        count[0] = len(found)
        return ffi.new("int[]", found or [0])

    def simCreateDummy(self, size: float, color: Any) -> int:
        return self.add(Body("Dummy", DUMMY))

    def simGetObjectPosition(self, handle: int, base: int, position: Any) -> int:
        position[0:3] = self.relative(handle, base)[0].tolist()
        return 0

    def simSetObjectPosition(self, handle: int, base: int, position: list[float]) -> int:
        self.put(handle, base, np.array(position), self.relative(handle, base)[1])
        return 0

    def simGetObjectQuaternion(self, handle: int, base: int, quaternion: Any) -> int:
        quaternion[0:4] = self.relative(handle, base)[1].as_quat().tolist()
        return 0

    def simSetObjectQuaternion(self, handle: int, base: int, quaternion: list[float]) -> int:
        self.put(handle, base, self.relative(handle, base)[0], Rotation.from_quat(quaternion))
        return 0

    def simGetObjectOrientation(self, handle: int, base: int, angles: Any) -> int:
        angles[0:3] = self.relative(handle, base)[1].as_euler("XYZ").tolist()
        return 0

    def simSetObjectOrientation(self, handle: int, base: int, angles: list[float]) -> int:
        self.put(handle, base, self.relative(handle, base)[0], Rotation.from_euler("XYZ", angles))
        return 0

    def simGetObjectMatrix(self, handle: int, base: int, matrix: Any) -> int:
        place, turn = self.relative(handle, base)
        matrix[0:12] = np.hstack([turn.as_matrix(), place[:, None]]).ravel().tolist()
        return 0

    def simSetObjectMatrix(self, handle: int, base: int, matrix: list[float]) -> int:
        values = np.array(matrix).reshape(3, 4)
        self.put(handle, base, values[:, 3], Rotation.from_matrix(values[:, :3]))
        return 0

    def simRotateAroundAxis(self, matrix: Any, axis: Any, place: Any, angle: float, rotated: Any) -> int:
        values = np.array(list(matrix)).reshape(3, 4)
        turn = Rotation.from_rotvec(angle * np.array(list(axis))).as_matrix()
        centre = np.array(list(place))
        position = centre + turn @ (values[:, 3] - centre)
        rotated[0:12] = np.hstack([turn @ values[:, :3], position[:, None]]).ravel().tolist()
        return 0

    def simGetObjectFloatParameter(self, handle: int, parameter: int, value: Any) -> int:
        body = self.bodies[handle]
        if body.kind in (SHAPE, DUMMY) and 15 <= parameter <= 26:  # boxes around bodies and models: lowest, highest
            corner = (parameter - 15) % 6
            value[0] = body.half_size[corner % 3] * (-1 if corner < 3 else 1)
        else:
            value[0] = 1.0
        return 1

    def simSetObjectFloatParameter(self, *_: Any) -> int:
        return 1

    def simGetObjectInt32Parameter(self, handle: int, parameter: int, value: Any) -> int:
        value[0] = 0
        return 1

    def simSetObjectInt32Parameter(self, handle: int, parameter: int, value: int) -> int:
        if self.bodies[handle].kind == VISION_SENSOR and parameter in (1002, 1003):
            width, height = self.bodies[handle].resolution
            self.bodies[handle].resolution = (value, height) if parameter == 1002 else (width, value)
        return 1

    def simGetModelProperty(self, handle: int) -> int:
        return 0 if self.bodies[handle].is_model else NOT_MODEL

    def simSetModelProperty(self, *_: Any) -> int:
        return 0

    def simGetObjectSpecialProperty(self, handle: int) -> int:
        return 0

    def simSetObjectSpecialProperty(self, *_: Any) -> int:
        return 0

    def simResetDynamicObject(self, *_: Any) -> int:
        return 0

    def simGetExtensionString(self, handle: int, index: int, key: bytes) -> Any:
        return self.text(self.bodies[handle].extension)

    def simGetConfigurationTree(self, base: int) -> Any:
        return {handle: copy.deepcopy(self.bodies[handle]) for handle in self.tree(base)}

    def simSetConfigurationTree(self, tree: dict[int, Body]) -> int:
        for handle, body in tree.items():
            self.bodies[handle] = copy.deepcopy(body)
        return 0

    # Joints

    def simGetJointPosition(self, handle: int, position: Any) -> int:
        position[0] = self.bodies[handle].joint
        return 0

    def simSetJointPosition(self, handle: int, position: float) -> int:
        self.bodies[handle].joint = position
        return 0

    def simGetJointTargetPosition(self, handle: int, position: Any) -> int:
        position[0] = self.bodies[handle].target
        return 0

    def simSetJointTargetPosition(self, handle: int, position: float) -> int:
        self.bodies[handle].target = position
        return 0

    def simSetJointTargetVelocity(self, handle: int, velocity: float) -> int:
        self.bodies[handle].velocity = velocity
        return 0

    def simGetJointInterval(self, handle: int, cyclic: Any, interval: Any) -> int:
        cyclic[0] = b"\0"
        interval[0:2] = list(self.bodies[handle].interval)
        return 0

    # Sensors

    def simCheckProximitySensor(self, sensor: int, entity: int, point: Any) -> int:
        distance = np.linalg.norm(self.pose(sensor)[0] - self.pose(entity)[0])
        return int(distance < self.bodies[sensor].radius)

    def simCheckCollision(self, *_: Any) -> int:
        return 0

    def simGetVisionSensorResolution(self, handle: int, resolution: Any) -> int:
        resolution[0:2] = list(self.bodies[handle].resolution)
        return 0

    def simSetExplicitHandling(self, *_: Any) -> int:
        return 0

    def simGetExplicitHandling(self, handle: int) -> int:
        return 1

    def simHandleVisionSensor(self, handle: int, values: Any, counts: Any) -> int:
        self.kept = [*self.kept[-50:], ffi.new("int[]", [0]), ffi.new("float[]", [0.0])]
        counts[0], values[0] = self.kept[-2], self.kept[-1]
        return 0

    def simGetVisionSensorImage(self, handle: int) -> Any:
        """From above: a square for each shape and for the gripper, brighter the higher it is."""
        width, height = self.bodies[handle].resolution
        picture = np.full((height, width, 3), 0.2, np.float32)
        for index, (body_handle, body) in enumerate(self.bodies.items()):
            if body.kind == SHAPE or body.name.endswith("_tip"):
                x, y, z = self.pose(body_handle)[0]
                row, column = int((x + 0.3) * height), int((y + 0.5) * width)
                color = np.array([0.5 + 0.5 * (index % 2), 0.5, 0.3 + z / 2])
                side = max(1, width // 16)
                picture[max(0, row - side) : row + side, max(0, column - side) : column + side] = color.clip(0, 1)
        return ffi.new("float[]", picture.ravel().tolist())

    # Arms

    def simGetIkGroupHandle(self, name: bytes) -> int:
        return 1

    def simGetCollectionHandle(self, name: bytes) -> int:
        return 1

    def simCheckIkGroup(self, group: int, count: int, handles: Any, values: Any, reserved: Any) -> int:
        found = self.ik()
        if found is None:
            return 2
        values[0:count] = found[:count].tolist()
        return 1

    def simGenerateIkPath(self, group: int, count: int, handles: Any, points: int, *_: Any) -> Any:
        place, turn = self.pose(self.handle(f"{self.arm}_target"))
        if place[2] < TABLE or np.abs(place[:2]).max() > 1:
            return ffi.NULL
        goal = np.array([*place, *(DOWN.inv() * turn).as_rotvec(), 0.0])
        return ffi.new("float[]", np.linspace(self.arm_joints(), goal, points).ravel().tolist())

    def simRMLPos(
        self, dofs: int, smallest: Any, flags: int, start: Any, most: Any, selection: Any, goal: Any, _: Any
    ) -> int:
        self.motions[len(self.motions) + 1] = [start[0], goal[0], most[0]]
        return len(self.motions)

    def simRMLStep(self, handle: int, seconds: float, state: Any, *_: Any) -> int:
        motion = self.motions[handle]
        motion[0] = min(motion[0] + motion[2] * seconds, motion[1])
        state[0:3] = [motion[0], motion[2], 0.0]
        return int(motion[0] == motion[1])

    def simRMLRemove(self, handle: int) -> int:
        return 0

    def simAddDrawingObject(self, *_: Any) -> int:
        return 0

    def simAddDrawingObjectItem(self, *_: Any) -> int:
        return 0


lib = Library()
