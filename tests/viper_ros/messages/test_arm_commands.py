import numpy as np
import pytest
from builtin_interfaces.msg import Duration, Time
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from viper_ros.arm.motion import Trajectory
from viper_ros.messages import arm_commands
from viper_ros.runtime.node import MessageError

JOINTS = ("shoulder", "elbow")
STAMP = Time(sec=12, nanosec=34)


def point(seconds: int, *positions: float) -> JointTrajectoryPoint:
    return JointTrajectoryPoint(positions=positions, time_from_start=Duration(sec=seconds))


def test_a_trajectory_survives_the_round_trip() -> None:
    positions, velocities, accelerations = np.random.default_rng(0).normal(size=(3, 4, 2))
    times = np.array([0.01, 0.05, 1.0, 2.999999999])
    message = arm_commands.trajectory_command(JOINTS, Trajectory(times, positions, velocities, accelerations), STAMP)
    assert message.header.stamp == STAMP
    read_times, read_positions = arm_commands.read_trajectory(message, JOINTS)
    np.testing.assert_allclose(read_times, times, atol=1e-9)
    np.testing.assert_array_equal(read_positions, positions)
    np.testing.assert_array_equal([each.velocities for each in message.points], velocities)
    np.testing.assert_array_equal([each.accelerations for each in message.points], accelerations)


def test_a_twist_is_linear_then_angular() -> None:
    message = arm_commands.twist_command(np.arange(6.0), "base", STAMP)
    assert (message.header.stamp, message.header.frame_id) == (STAMP, "base")
    linear, angular = message.twist.linear, message.twist.angular
    assert [linear.x, linear.y, linear.z, angular.x, angular.y, angular.z] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("joints", "points"),
    [
        (("elbow", "shoulder"), [point(1, 0.0, 0.0)]),
        (JOINTS, []),
        (JOINTS, [point(1, 0.0)]),
        (JOINTS, [point(2, 0.0, 0.0), point(1, 0.0, 0.0)]),
        (JOINTS, [point(1, 0.0, 7.0)]),
        (JOINTS, [point(1, 0.0, float("nan"))]),
    ],
    ids=["other joints", "no points", "too few positions", "back in time", "out of reach", "not finite"],
)
def test_what_a_controller_would_refuse_is_refused(joints: tuple[str, ...], points: list[JointTrajectoryPoint]) -> None:
    with pytest.raises(MessageError, match="a trajectory"):
        arm_commands.read_trajectory(JointTrajectory(joint_names=list(joints), points=points), JOINTS)
