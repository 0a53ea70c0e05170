"""A Panda or Sawyer in MuJoCo behind a real arm's topics: those of ros2_control's controllers and a camera driver."""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import Any

import numpy as np
from sensor_msgs.msg import Image, JointState
from trajectory_msgs.msg import JointTrajectory

from sim.bare_arm import GRIPPERS, BareArm
from viper_lab.parameters import Parameter
from viper_ros.arm import files
from viper_ros.messages import arm_commands, images
from viper_ros.runtime.node import Health, MessageError, ViperNode
from viper_ros.runtime.process import run_process
from viper_ros.runtime.qos import RELIABLE
from viper_ros.runtime.stamps import nanoseconds

STEP_SECONDS = 0.01
"""Of the environment and of joint_states."""

PARAMETERS = (
    Parameter("arm", "panda", "Arm, by its file in config/arms/.", choices=tuple(GRIPPERS)),
    files.JOINT_PREFIX,
    Parameter("image_size", 64, "Height and width of a frame in pixels.", low=16, high=1024),
    Parameter("camera_rate", 20.0, "Frames a second.", 1.0, 60.0),
    Parameter("latency", 0.0, "Seconds by which a frame comes late.", 0.0, 5.0, read_only=False),
    Parameter("jitter", 0.0, "Seconds by which, at most, a frame comes later still.", 0.0, 5.0, read_only=False),
    Parameter("dropped_frames", 0.0, "Share of frames that never come.", 0.0, 1.0, read_only=False),
    Parameter("joint_states", True, "Publish joint_states; false stands for a plug that is pulled.", read_only=False),
    Parameter("seed", 0, "Seed of what is imperfect.", low=0, high=2**31 - 1),
)


class SimulatedArmNode(ViperNode):
    """Subscribes to arm_controller/joint_trajectory and gripper_controller/joint_trajectory; publishes joint_states and
    camera/image_raw."""

    def __init__(self, **options: Any) -> None:
        super().__init__("simulated_arm", PARAMETERS, **options)

    def configure(self) -> None:
        self._arm = files.load(self.value("arm")).with_prefix(self.value("joint_prefix"))
        size = self.value("image_size")
        self.environment = BareArm(self._arm.name, self._arm.home, (size, size))
        self._random = np.random.default_rng(self.value("seed"))
        self._joint_states = self.create_publisher(JointState, "joint_states", RELIABLE)
        self._frames = self.create_publisher(Image, "camera/image_raw", RELIABLE)
        self._late: deque[tuple[float, Image]] = deque()
        self._times, self._positions = np.zeros(1), self._arm.home[None]

    def activate(self) -> None:
        self._began = monotonic() - self.environment.time
        self.listen(JointTrajectory, "arm_controller/joint_trajectory", self._on_trajectory, RELIABLE)
        self.listen(JointTrajectory, "gripper_controller/joint_trajectory", self._on_gripper, RELIABLE)
        self._clocks = [self.every(STEP_SECONDS, self._step), self.every(1 / self.value("camera_rate"), self._video)]

    def deactivate(self) -> None:
        for timer in self._clocks:
            self.destroy_timer(timer)

    def cleanup(self) -> None:
        self.environment.close()
        for publisher in (self._joint_states, self._frames):
            self.destroy_publisher(publisher)

    def claims(self) -> dict[str, type]:
        return {"joint_states": JointState, "camera/image_raw": Image}

    def health(self) -> Health:
        return Health("simulated")

    def _on_trajectory(self, message: JointTrajectory) -> None:
        """As a joint_trajectory_controller does: from where the arm is sent now, through the points, in their time.

        They count from the header's stamp, or from now where it is zero; a trajectory that is over is refused.
        """
        times, positions = arm_commands.read_trajectory(message, self._arm.joints)
        stamp = nanoseconds(message.header.stamp)
        age = (self.get_clock().now().nanoseconds - stamp) / 1e9 if stamp else 0.0
        if times[-1] < age:
            raise MessageError(f"a trajectory that was over {age - times[-1]:.2f} s ago")
        now, ahead = self.environment.time, times >= age
        self._positions = np.concatenate([self._target(now)[None], positions[ahead]])
        self._times = now + np.concatenate([[0.0], times[ahead] - age])

    def _on_gripper(self, message: JointTrajectory) -> None:
        _, positions = arm_commands.read_trajectory(message, self._arm.gripper.joints)
        self.environment.grip(float(positions[-1, 0]))

    def _target(self, time: float) -> np.ndarray:
        return np.array([np.interp(time, self._times, joint) for joint in self._positions.T])

    def _step(self) -> None:
        # Never more than a few steps at once: a machine that is too slow gets a slow environment, not a growing debt.
        behind = monotonic() - self._began - self.environment.time
        if behind > 10 * STEP_SECONDS:
            self._began += behind
        while self.environment.time < monotonic() - self._began:
            self.environment.drive(self._target(self.environment.time))
            self.environment.advance(STEP_SECONDS)
        if self.value("joint_states"):
            self._joint_states.publish(self._measured())
        while self._late and self._late[0][0] <= monotonic():
            self._frames.publish(self._late.popleft()[1])

    def _measured(self) -> JointState:
        message = JointState(name=list(self._arm.joints))
        message.header.stamp = self.get_clock().now().to_msg()
        message.position = self.environment.positions.tolist()
        message.velocity = self.environment.velocities.tolist()
        return message

    def _video(self) -> None:
        if self._random.random() < self.value("dropped_frames"):
            return
        image = images.to_message(self.environment.picture(), self.get_clock().now().to_msg(), "camera_optical_frame")
        wait = self.value("latency") + self._random.uniform(0, self.value("jitter"))
        # In the order in which they were taken, as a camera driver sends them.
        self._late.append((monotonic() + wait, image))


def main() -> int:
    return run_process(SimulatedArmNode)
