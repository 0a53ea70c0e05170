import numpy as np
import pytest

from viper_ros.arm import actions, files


@pytest.mark.parametrize("name", files.arms())
def test_the_end_effector_moves_as_asked(name: str) -> None:
    robot = files.load(name)
    kinematics = robot.kinematics
    action = np.array([0.5, -0.3, 0.2, 0.1, 0.2, -0.4, 0.0])
    velocities = actions.joint_velocities(robot, "end_effector", action, robot.home)
    moved = kinematics.jacobian(robot.home) @ velocities
    # Damping takes a few hundredths away from singular postures.
    np.testing.assert_allclose(moved, actions.end_effector_twist(robot, "end_effector", action, robot.home), atol=0.02)


def test_near_a_singular_posture_joints_do_not_race() -> None:
    robot = files.load("panda")
    twist = actions.end_effector_twist(robot, "end_effector", np.ones(7), np.zeros(7))
    assert np.abs(robot.kinematics.joint_velocities(np.zeros(7), twist)).max() < 10


def test_where_a_joint_is_at_its_limit_the_end_effector_is_slower_and_keeps_its_direction() -> None:
    robot = files.load("panda")
    twist = actions.end_effector_twist(robot, "end_effector", np.ones(7), robot.home)
    asked = robot.kinematics.joint_velocities(robot.home, twist)
    assert (np.abs(asked) > robot.limits.velocity).any()
    velocities = actions.joint_velocities(robot, "end_effector", np.ones(7), robot.home)
    assert (np.abs(velocities) / robot.limits.velocity).max() == pytest.approx(1)
    np.testing.assert_allclose(velocities / np.linalg.norm(velocities), asked / np.linalg.norm(asked))


@pytest.mark.parametrize("name", files.arms())
@pytest.mark.parametrize("joint", [5, 6])
def test_an_end_effector_that_starts_far_from_its_orientation_turns_back_slowly(name: str, joint: int) -> None:
    robot = files.load(name)
    position = robot.home - np.eye(7)[joint]
    for _ in range(80):  # 4 s for 1 rad
        velocities = actions.joint_velocities(robot, "end_effector_position", np.zeros(4), position)
        assert np.linalg.norm((robot.kinematics.jacobian(position) @ velocities)[3:]) <= actions.RIGHTING_SPEED
        position = position + 0.05 * velocities
    home, end = (robot.kinematics.tcp_rotation(at) for at in (robot.home, position))
    np.testing.assert_allclose(end, home, atol=0.03)


@pytest.mark.parametrize("name", files.arms())
def test_at_home_the_gripper_points_straight_down_as_in_the_environments_that_train(name: str) -> None:
    robot = files.load(name)
    np.testing.assert_allclose(robot.kinematics.tcp_rotation(robot.home), np.diag([1.0, -1.0, -1.0]), atol=2e-3)


@pytest.mark.parametrize("name", files.arms())
@pytest.mark.parametrize("kind", ["end_effector_position", "end_effector_position_yaw"])
def test_an_end_effector_that_keeps_its_tilt_mends_it(name: str, kind: actions.ActionKind) -> None:
    robot = files.load(name)
    position = robot.home + 0.05  # tilted a little
    action = np.zeros(actions.action_size(robot, kind))
    action[:3] = 0.2, -0.4, 0.2
    began = robot.kinematics.tcp_positions(position[None])[0]
    for _ in range(40):
        position = position + 0.05 * actions.joint_velocities(robot, kind, action, position)
    home, end = (robot.kinematics.poses(at[None])[0, -1] for at in (robot.home, position))
    np.testing.assert_allclose(end[:3, 2], home[:3, 2], atol=0.02)
    moved = end[:3, 3] - began
    # 2 s; damping takes a part, and the steps of 0.05 s are not the curve.
    np.testing.assert_allclose(moved, 2 * robot.linear_speed * action[:3], atol=0.03)
    if kind == "end_effector_position":
        np.testing.assert_allclose(end[:3, :3], home[:3, :3], atol=0.03)


@pytest.mark.parametrize("name", files.arms())
def test_the_end_effector_turns_about_the_vertical(name: str) -> None:
    robot = files.load(name)
    position, action = robot.home, np.array([0.0, 0.0, 0.0, 0.25, 0.0])
    for _ in range(20):
        position = position + 0.05 * actions.joint_velocities(robot, "end_effector_position_yaw", action, position)
    home, end = (robot.kinematics.poses(at[None])[0, -1, :3, :3] for at in (robot.home, position))
    turned = end @ home.T
    assert np.arctan2(turned[1, 0], turned[0, 0]) == pytest.approx(0.25 * robot.angular_speed, abs=0.02)
    np.testing.assert_allclose(end[:, 2], home[:, 2], atol=0.02)


def test_an_action_of_joint_velocities() -> None:
    robot = files.load("panda")
    assert actions.action_size(robot, "joint_velocity") == 8
    velocities = actions.joint_velocities(robot, "joint_velocity", np.arange(8) / 10, robot.home)
    np.testing.assert_allclose(velocities, np.arange(7) / 10 * robot.joint_speed)
