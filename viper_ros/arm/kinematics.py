"""Where an arm's hand is, and the joint velocities that move it. numpy only."""

from __future__ import annotations

import numpy as np

DAMPING = 0.05
"""λ of the damped least squares: near singular postures the hand slows down instead of the joints racing."""


class Kinematics:
    """A chain of revolute joints, each turning about the z axis of its own frame."""

    def __init__(self, chain: np.ndarray, hand: np.ndarray) -> None:
        """`chain`: float64 [joints, 6], each joint's frame in the one before: x, y, z in m, roll, pitch, yaw in rad,
        as in URDF. `hand`: float64 [6], the hand's frame in the last joint's."""
        self._frames = np.stack([_transform(row) for row in chain])
        self._hand = _transform(hand)

    def poses(self, positions: np.ndarray) -> np.ndarray:
        """Each joint's frame and, last, the hand's in the base's: [n, joints + 1, 4, 4] for positions [n, joints]."""
        cos, sin = np.cos(positions), np.sin(positions)
        turns = np.tile(np.eye(4), (*positions.shape, 1, 1))  # [n, joints, 4, 4]
        turns[..., 0, 0], turns[..., 0, 1] = cos, -sin
        turns[..., 1, 0], turns[..., 1, 1] = sin, cos
        pose = np.tile(np.eye(4), (len(positions), 1, 1))  # [n, 4, 4]
        poses = []
        for joint, frame in enumerate(self._frames):
            pose = pose @ frame @ turns[:, joint]
            poses.append(pose)
        return np.stack([*poses, pose @ self._hand], axis=1)

    def hand(self, positions: np.ndarray) -> np.ndarray:
        """The hand's position in the frame of the base, [n, 3] in m."""
        return self.poses(positions)[:, -1, :3, 3]

    def jacobian(self, position: np.ndarray) -> np.ndarray:
        """[6, joints]: the hand's velocity in the base's frame, m/s and rad/s, for joint velocities."""
        poses = self.poses(position[None])[0]
        axes, origins = poses[:-1, :3, 2], poses[:-1, :3, 3]  # [joints, 3]
        return np.concatenate([np.cross(axes, poses[-1, :3, 3] - origins), axes], axis=1).T

    def joint_velocities(self, position: np.ndarray, twist: np.ndarray) -> np.ndarray:
        """Joint velocities [joints] in rad/s that move the hand with `twist` [6], by damped least squares."""
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
