"""What is known of an arm: its joints, limits, geometry, gripper and speeds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from viper_lab.errors import UserError
from viper_ros.arm.kinematics import Kinematics
from viper_ros.arm.motion import Limits
from viper_ros.arm.safety import Deadlines


@dataclass(frozen=True)
class Gripper:
    """A gripper of fingers that move alike, each on a prismatic joint."""

    joints: tuple[str, ...]
    open: float
    """Position in m of each finger's joint."""
    closed: float
    """Position in m of each finger's joint."""


@dataclass(frozen=True)
class Arm:
    """An arm of revolute joints with a gripper. `viper_ros.arm.files` reads it from its file in config/arms/."""

    name: str
    joints: tuple[str, ...]
    """Names, from the base on, as in the driver's joint_states."""
    limits: Limits
    chain: np.ndarray
    """float64 [joints, 6]: each joint's frame in the one before, as `Kinematics` takes it."""
    tcp: np.ndarray
    """float64 [6]: the tool centre point's frame in the last joint's, as `Kinematics` takes it."""
    base_frame: str
    """Name of the frame in which twists are commanded."""
    home: np.ndarray
    """float64 [joints], rad: where an episode begins."""
    gripper: Gripper
    linear_speed: float
    """m/s of the end effector for an action of 1."""
    angular_speed: float
    """rad/s of the end effector for an action of 1."""
    joint_speed: float
    """rad/s of a joint for an action of 1, and at most on the way home."""
    control_rate: float
    """Commands a second."""
    deadlines: Deadlines
    tracking_tolerance: float
    """rad by which a joint's measured position may differ from the commanded one."""

    def with_prefix(self, prefix: str) -> Arm:
        """The same arm where a driver puts `prefix` before the names of its joints and frames, as `left_`."""
        joints, fingers = ([f"{prefix}{name}" for name in names] for names in (self.joints, self.gripper.joints))
        gripper = replace(self.gripper, joints=tuple(fingers))
        return replace(self, joints=tuple(joints), gripper=gripper, base_frame=f"{prefix}{self.base_frame}")

    @cached_property
    def kinematics(self) -> Kinematics:
        return Kinematics(self.chain, self.tcp)

    @property
    def control_period(self) -> float:
        """Seconds between two commands."""
        return 1 / self.control_rate

    def control_periods_a_step(self, step_seconds: float) -> int:
        """The control periods in a time step of the policy.

        Raises UserError where they are no whole number, and where a step is as long as the deadline of its action.
        """
        periods = round(step_seconds / self.control_period)
        if periods < 1 or abs(periods * self.control_period - step_seconds) > 1e-6:
            raise UserError(
                f"step_seconds {step_seconds}: give full control periods, {self.control_period} s each on {self.name}"
            )
        if step_seconds >= self.deadlines.action:
            raise UserError(
                f"step_seconds {step_seconds}: must be shorter than {self.name}'s deadline, {self.deadlines.action} s"
            )
        return periods
