"""Forward kinematics of a chain of revolute joints, its Jacobian, and inverse velocity kinematics. numpy only."""

from __future__ import annotations

import numpy as np

DAMPING = 0.05
"""λ of the damped least squares: near singular postures the end effector slows down instead of the joints racing."""


class Kinematics:
    """Revolute joints in a chain, each turning about its frame's z axis, and the tool centre point at the end."""

    def __init__(self, chain: np.ndarray, tcp: np.ndarray) -> None:
        """`chain`: float64 [joints, 6], each joint's frame in the one before: x, y, z in m, roll, pitch, yaw in rad,
        as in URDF. `tcp`: float64 [6], the tool centre point's frame in the last joint's."""
        self._frames = np.stack([_transform(row) for row in chain])
        self._tcp = _transform(tcp)

    def poses(self, positions: np.ndarray) -> np.ndarray:
        """Each joint's frame and, last, the tool centre point's, in the base's: [n, joints + 1, 4, 4] for joint
        positions [n, joints] in rad."""
        cos, sin = np.cos(positions), np.sin(positions)
        turns = np.tile(np.eye(4), (*positions.shape, 1, 1))  # [n, joints, 4, 4]
        turns[..., 0, 0], turns[..., 0, 1] = cos, -sin
        turns[..., 1, 0], turns[..., 1, 1] = sin, cos
        pose = np.tile(np.eye(4), (len(positions), 1, 1))  # [n, 4, 4]
        poses = []
        for joint, frame in enumerate(self._frames):
            pose = pose @ frame @ turns[:, joint]
            poses.append(pose)
        return np.stack([*poses, pose @ self._tcp], axis=1)

    def tcp_positions(self, positions: np.ndarray) -> np.ndarray:
        """The tool centre point in the frame of the base, [n, 3] in m, for joint positions [n, joints] in rad."""
        return self.poses(positions)[:, -1, :3, 3]

    def tcp_rotation(self, position: np.ndarray) -> np.ndarray:
        """The tool centre point's rotation matrix in the frame of the base, [3, 3], at joint positions [joints]."""
        return self.poses(position[None])[0, -1, :3, :3]

    def jacobian(self, position: np.ndarray) -> np.ndarray:
        """[6, joints]: the geometric Jacobian of the tool centre point in the base's frame, at positions [joints].

        Times joint velocities in rad/s it is the twist: m/s along, then rad/s about, x, y, z.
        """
        poses = self.poses(position[None])[0]
        axes, origins = poses[:-1, :3, 2], poses[:-1, :3, 3]  # [joints, 3]
        return np.concatenate([np.cross(axes, poses[-1, :3, 3] - origins), axes], axis=1).T

    def joint_velocities(self, position: np.ndarray, twist: np.ndarray) -> np.ndarray:
        """Joint velocities [joints] in rad/s that give the end effector nearly the twist [6] in m/s and rad/s."""
        return damped_least_squares(self.jacobian(position), twist)


def damped_least_squares(jacobian: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """Joint velocities [joints] that give nearly `velocity` [n] through `jacobian` [n, joints].

    Nakamura and Hanafusa 1986: J⊤ (J J⊤ + λ² I)⁻¹ velocity.
    """
    return jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + DAMPING**2 * np.eye(len(velocity)), velocity)


def _transform(row: np.ndarray) -> np.ndarray:
    """[4, 4] from x, y, z, roll, pitch, yaw; rotations about fixed axes in that order."""
    (cr, cp, cy), (sr, sp, sy) = np.cos(row[3:]), np.sin(row[3:])
    transform = np.eye(4)
    transform[:3, :3] = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
    transform[:3, 3] = row[:3]
    return transform
