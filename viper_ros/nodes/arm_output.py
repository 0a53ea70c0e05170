"""The topics on which arm_node commands an arm and its gripper."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import TwistStamped
from trajectory_msgs.msg import JointTrajectory

from viper_ros.arm.description import Arm
from viper_ros.arm.motion import Motion, Trajectory
from viper_ros.messages import arm_commands
from viper_ros.runtime.node import ViperNode
from viper_ros.runtime.qos import RELIABLE


class ArmOutput:
    """Publishes a node's commands: to a joint_trajectory_controller, or to MoveIt Servo, and to the gripper's.

    In a dry run they go to <topic>/would_send, where no controller listens.
    """

    def __init__(self, node: ViperNode, arm: Arm, *, output: str, dry_run: bool) -> None:
        """`output`: trajectory or twist."""
        self._node, self._arm = node, arm
        self._is_trajectory, self._dry_run = output == "trajectory", dry_run
        suffix = "/would_send" if dry_run else ""
        if self._is_trajectory:
            topic = f"arm_controller/joint_trajectory{suffix}"
            self._commands = node.create_publisher(JointTrajectory, topic, RELIABLE)
        else:
            self._commands = node.create_publisher(TwistStamped, f"servo/delta_twist_cmds{suffix}", RELIABLE)
        self._gripper = node.create_publisher(JointTrajectory, f"gripper_controller/joint_trajectory{suffix}", RELIABLE)
        self._fingers: list[float] = []
        """The finger positions that were commanded last."""

    def close(self) -> None:
        for publisher in (self._commands, self._gripper):
            self._node.destroy_publisher(publisher)

    def unheard(self) -> tuple[str, str]:
        """That nobody listens to the arm's commands, and to the gripper's; empty where somebody does or need not."""
        if self._dry_run:
            return "", ""
        arm, gripper = (
            "" if publisher.get_subscription_count() else f"nobody listens to {publisher.topic_name}"
            for publisher in (self._commands, self._gripper)
        )
        remedy = "name it with controller:=" if self._is_trajectory else "start MoveIt Servo"
        return arm and f"{arm}: start the arm's controller, or {remedy}", gripper

    def move(self, trajectory: Trajectory, motion: Motion) -> None:
        """Command a trajectory; as a twist, the velocity of the end effector at the end of its control period."""
        now = self._node.get_clock().now().to_msg()
        if self._is_trajectory:
            self._commands.publish(arm_commands.trajectory_command(self._arm.joints, trajectory, now))
        else:
            twist = self._arm.kinematics.jacobian(motion.position) @ motion.velocity
            self._commands.publish(arm_commands.twist_command(twist, self._arm.base_frame, now))
        if self._dry_run and not motion.at_rest:
            velocity = np.round(motion.velocity, 3).tolist()
            self._node.get_logger().info(f"would move the joints with {velocity} rad/s", throttle_duration_sec=1.0)

    def forget_grip(self) -> None:
        """The next `grip` is commanded whatever the last one was: the fingers may have been moved since."""
        self._fingers = []

    def grip(self, fingers: list[float]) -> None:
        """Command finger positions in m, where they are others than the last."""
        if fingers != self._fingers:
            self._fingers = fingers
            joints = self._arm.gripper.joints
            self._gripper.publish(arm_commands.gripper_command(joints, fingers, self._arm.control_period))
