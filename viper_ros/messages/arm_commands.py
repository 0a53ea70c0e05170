"""What an arm is told, in and out of messages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import TwistStamped
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from viper_ros.arm.motion import Trajectory
from viper_ros.runtime.node import MessageError


def trajectory_command(joints: Sequence[str], trajectory: Trajectory, stamp: Time) -> JointTrajectory:
    """For a joint_trajectory_controller. `stamp`: the time at which the trajectory begins.

    A controller refuses a trajectory that is over: a network may keep commands while a link is cut, and bring them
    afterwards.
    """
    message = JointTrajectory(joint_names=list(joints))
    message.header.stamp = stamp
    message.points = [
        JointTrajectoryPoint(
            positions=position.tolist(),
            velocities=velocity.tolist(),
            accelerations=acceleration.tolist(),
            time_from_start=_duration(time),
        )
        for time, position, velocity, acceleration in zip(
            trajectory.times, trajectory.positions, trajectory.velocities, trajectory.accelerations, strict=True
        )
    ]
    return message


def gripper_command(joints: Sequence[str], positions: Sequence[float], seconds: float) -> JointTrajectory:
    """For the gripper's joint_trajectory_controller: finger positions in m, to be reached `seconds` after it comes."""
    message = JointTrajectory(joint_names=list(joints))
    message.points = [JointTrajectoryPoint(positions=list(positions), time_from_start=_duration(seconds))]
    return message


def twist_command(twist: np.ndarray, frame: str, stamp: Time) -> TwistStamped:
    """For MoveIt Servo: the end effector's twist [6] in m/s along, then rad/s about, the axes of `frame`."""
    message = TwistStamped()
    message.header.stamp = stamp
    message.header.frame_id = frame
    message.twist.linear.x, message.twist.linear.y, message.twist.linear.z = twist[:3].tolist()
    message.twist.angular.x, message.twist.angular.y, message.twist.angular.z = twist[3:].tolist()
    return message


def read_trajectory(message: JointTrajectory, joints: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Times [points] in seconds from the start, and positions [points, joints] in rad or m.

    Raises MessageError where a joint_trajectory_controller of `joints` would refuse the message.
    """
    if tuple(message.joint_names) != tuple(joints) or not message.points:
        raise MessageError("a trajectory for other joints, or without points")
    if any(len(point.positions) != len(joints) for point in message.points):
        raise MessageError(f"a trajectory with points of other than {len(joints)} positions")
    times = np.array([point.time_from_start.sec + point.time_from_start.nanosec / 1e9 for point in message.points])
    positions = np.array([point.positions for point in message.points])
    if (np.diff(times, prepend=0.0) < 0).any() or (np.abs(positions) > 2 * np.pi).any() or np.isnan(positions).any():
        raise MessageError("a trajectory whose times don't grow, or whose positions no arm can reach")
    return times, positions


def _duration(seconds: float) -> Duration:
    whole = int(seconds)
    return Duration(sec=whole, nanosec=round((seconds - whole) * 1e9))
