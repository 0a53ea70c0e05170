"""What a policy's action asks of an arm: joint velocities and finger positions."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from scipy.spatial.transform import Rotation

from viper_ros.arm.description import Arm

ActionKind = Literal["end_effector", "end_effector_position", "end_effector_position_yaw", "joint_velocity"]
"""What an action's values are, all in [-1, 1]. The last is always the gripper's: open up to 0, else closed. Before it:

end_effector: the end effector's velocity along and about x, y, z of the base.
end_effector_position: its velocity along x, y, z, while it keeps its orientation at home.
end_effector_position_yaw: its velocity along x, y, z and about z, while it keeps its tilt at home.
joint_velocity: a velocity for each joint.

The second and third are the actions of the environments of `sim:=robosuite`, where the gripper points straight down.
"""
ACTION_KINDS: tuple[ActionKind, ...] = get_args(ActionKind)
_END_EFFECTOR_VALUES = {"end_effector": 6, "end_effector_position": 3, "end_effector_position_yaw": 4}
ORIENTATION_GAIN = 4.0
"""1/s: angular velocity for each rad by which the end effector is turned away from the orientation that it keeps."""
RIGHTING_SPEED = 0.5
"""rad/s, at most, with which it turns back to it: an arm that was led by hand may be far from it when it starts."""


def action_size(arm: Arm, kind: ActionKind) -> int:
    """How many values an action has, the gripper's included."""
    return _END_EFFECTOR_VALUES.get(kind, len(arm.joints)) + 1


def joint_velocities(arm: Arm, kind: ActionKind, action: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Joint velocities [joints] in rad/s for an action [action_size] at joint positions [joints] in rad.

    Where a joint would be faster than it may, all are as much slower: the end effector keeps its direction.
    """
    if kind == "joint_velocity":
        return action[:-1] * arm.joint_speed
    velocities = arm.kinematics.joint_velocities(position, end_effector_twist(arm, kind, action, position))
    return velocities / max(1.0, (np.abs(velocities) / arm.limits.velocity).max())


def end_effector_twist(arm: Arm, kind: ActionKind, action: np.ndarray, position: np.ndarray) -> np.ndarray:
    """The end effector's twist [6] in the base's frame: m/s along, then rad/s about, x, y, z.

    For an action of any kind but joint_velocity, at joint positions [joints] in rad.
    """
    if kind == "end_effector":
        return action[:6] * np.repeat([arm.linear_speed, arm.angular_speed], 3)
    now, home = (Rotation.from_matrix(arm.kinematics.tcp_rotation(at)) for at in (position, arm.home))
    if kind == "end_effector_position_yaw":
        # The shortest rotation that brings the z axis back to home's has no part about the vertical.
        angular = _righting(_shortest_rotation(now.apply([0, 0, 1]), home.apply([0, 0, 1])))
        angular[2] += arm.angular_speed * action[3]
    else:
        angular = _righting((home * now.inv()).as_rotvec())
    return np.concatenate([action[:3] * arm.linear_speed, angular])


def finger_positions(arm: Arm, action: np.ndarray) -> list[float]:
    """Positions in m of the gripper's joints for an action."""
    return [arm.gripper.closed] * len(arm.gripper.joints) if action[-1] > 0 else open_fingers(arm)


def open_fingers(arm: Arm) -> list[float]:
    """Positions in m of the gripper's joints when it is open."""
    return [arm.gripper.open] * len(arm.gripper.joints)


def _righting(rotation: np.ndarray) -> np.ndarray:
    """The angular velocity [3] in rad/s that undoes what is turned away, a rotation vector [3] in rad."""
    angular = ORIENTATION_GAIN * rotation
    return angular * min(1.0, RIGHTING_SPEED / max(float(np.linalg.norm(angular)), 1e-9))


def _shortest_rotation(axis: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """The shortest rotation from one unit vector [3] to another, as a rotation vector [3] in rad."""
    cross = np.cross(axis, goal)
    sine = float(np.linalg.norm(cross))
    return cross * (np.arctan2(sine, axis @ goal) / sine) if sine > 1e-9 else np.zeros(3)
