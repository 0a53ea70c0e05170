"""The way back to the posture in which an episode begins."""

from __future__ import annotations

import numpy as np

from viper_ros.arm.description import Arm
from viper_ros.arm.kinematics import damped_least_squares

GAIN = 2.0
"""1/s: velocity for each rad, or m, that is left to go."""
END_EFFECTOR_SPEED = 0.15
"""m/s, at most, of the end effector."""
STRAIGHT_LINE_DISTANCE = 0.25
"""m. Further from home than this, the end effector moves in a straight line; nearer, it does so less and less."""
ARRIVED = 0.01
"""rad by which each joint may miss home."""


def homing_velocities(arm: Arm, position: np.ndarray) -> np.ndarray:
    """Joint velocities [joints] in rad/s, none over `joint_speed`, that bring the arm home from `position` [joints].

    A proportional controller in joint space, corrected by damped least squares so that the end effector moves towards
    home in a straight line. Home lies in the workspace, a box: on a straight line to it the end effector gets no
    further beyond any side of the box. The nearer home is, the smaller the correction, so that every joint arrives.
    """
    velocities = _within_joint_speed(arm, GAIN * (arm.home - position))
    tcp, home = arm.kinematics.tcp_positions(np.stack([position, arm.home]))
    distance = float(np.linalg.norm(home - tcp))
    straight = (home - tcp) * min(GAIN, END_EFFECTOR_SPEED / max(distance, 1e-9))
    jacobian = arm.kinematics.jacobian(position)[:3]
    correction = damped_least_squares(jacobian, straight - jacobian @ velocities)
    return _within_joint_speed(arm, velocities + min(1.0, distance / STRAIGHT_LINE_DISTANCE) * correction)


def distance_from_home(arm: Arm, position: np.ndarray) -> float:
    """rad between home and the joint that is furthest from it."""
    return float(np.abs(position - arm.home).max())


def is_home(arm: Arm, position: np.ndarray) -> bool:
    return distance_from_home(arm, position) < ARRIVED


def _within_joint_speed(arm: Arm, velocities: np.ndarray) -> np.ndarray:
    """The same direction, no joint faster than `joint_speed`."""
    return velocities * min(1.0, arm.joint_speed / max(np.abs(velocities).max(), 1e-9))
