from pathlib import Path

import numpy as np
import pytest
import yaml

from sim.bare_arm import BareArm
from viper_lab.config import config_directory
from viper_lab.errors import UserError
from viper_ros.arm import description as arm

PANDA = yaml.safe_load((config_directory() / "arms" / "panda.yaml").read_text())


@pytest.mark.parametrize("name", arm.arms())
def test_the_hand_is_where_mujoco_has_it(name: str) -> None:
    pytest.importorskip("robosuite", reason="ships the arms' models")
    robot = arm.load(name)
    environment = BareArm(name, robot.home)
    rng = np.random.default_rng(0)
    for _ in range(20):
        posture = rng.uniform(robot.limits.position_low, robot.limits.position_high)
        environment.place(posture)
        # The models' numbers are rounded to micrometres.
        np.testing.assert_allclose(robot.kinematics.hand(posture[None])[0], environment.hand, atol=1e-5)
    environment.close()


@pytest.mark.parametrize("name", arm.arms())
def test_the_jacobian_is_the_derivative(name: str) -> None:
    robot = arm.load(name)
    kinematics = robot.kinematics
    posture = robot.home + 0.1
    jacobian = kinematics.jacobian(posture)
    pose = kinematics.poses(posture[None])[0, -1]
    for joint in range(7):
        step = np.zeros(7)
        step[joint] = 1e-6
        moved = kinematics.poses((posture + step)[None])[0, -1]
        spin = (moved - pose)[:3, :3] @ pose[:3, :3].T / 1e-6
        slope = [*(moved - pose)[:3, 3] / 1e-6, spin[2, 1], spin[0, 2], spin[1, 0]]
        np.testing.assert_allclose(jacobian[:, joint], slope, atol=1e-5)


@pytest.mark.parametrize("name", arm.arms())
def test_the_hand_moves_as_asked(name: str) -> None:
    robot = arm.load(name)
    kinematics = robot.kinematics
    action = np.array([0.5, -0.3, 0.2, 0.1, 0.2, -0.4, 0.0])
    velocities = robot.wanted("end_effector", action, robot.home)
    moved = kinematics.jacobian(robot.home) @ velocities
    # Damping takes a few hundredths away from singular postures.
    np.testing.assert_allclose(moved, robot.twist("end_effector", action, robot.home), atol=0.02)


def test_near_a_singular_posture_joints_do_not_race() -> None:
    robot = arm.load("panda")
    velocities = robot.wanted("end_effector", np.ones(7), np.zeros(7))
    assert np.abs(velocities).max() < 10


@pytest.mark.parametrize("name", arm.arms())
@pytest.mark.parametrize("kind", ["end_effector_position", "end_effector_position_yaw"])
def test_a_hand_that_moves_along_keeps_its_tilt_and_mends_it(name: str, kind: arm.ActionKind) -> None:
    robot = arm.load(name)
    position = robot.home + 0.05  # tilted a little
    action = np.zeros(robot.action_size(kind))
    action[:3] = 0.2, -0.4, 0.2
    began = robot.kinematics.hand(position[None])[0]
    for _ in range(40):
        position = position + 0.05 * robot.wanted(kind, action, position)
    home, end = (robot.kinematics.poses(at[None])[0, -1] for at in (robot.home, position))
    np.testing.assert_allclose(end[:3, 2], home[:3, 2], atol=0.02)
    moved = end[:3, 3] - began
    # 2 s; damping takes a part, and the steps of 0.05 s are not the curve.
    np.testing.assert_allclose(moved, 2 * robot.linear_speed * action[:3], atol=0.03)
    if kind == "end_effector_position":
        np.testing.assert_allclose(end[:3, :3], home[:3, :3], atol=0.03)


@pytest.mark.parametrize("name", arm.arms())
def test_the_hand_turns_about_the_vertical(name: str) -> None:
    robot = arm.load(name)
    position, action = robot.home, np.array([0.0, 0.0, 0.0, 0.25, 0.0])
    for _ in range(20):
        position = position + 0.05 * robot.wanted("end_effector_position_yaw", action, position)
    home, end = (robot.kinematics.poses(at[None])[0, -1, :3, :3] for at in (robot.home, position))
    turned = end @ home.T
    assert np.arctan2(turned[1, 0], turned[0, 0]) == pytest.approx(0.25 * robot.angular_speed, abs=0.02)
    np.testing.assert_allclose(end[:, 2], home[:, 2], atol=0.02)


def test_an_action_of_joint_velocities() -> None:
    robot = arm.load("panda")
    assert robot.action_size("joint_velocity") == 8
    velocities = robot.wanted("joint_velocity", np.arange(8) / 10, robot.home)
    np.testing.assert_allclose(velocities, np.arange(7) / 10 * robot.joint_speed)


@pytest.mark.parametrize("name", arm.arms())
def test_homeward_leads_home(name: str) -> None:
    robot = arm.load(name)
    position = robot.home + np.linspace(-0.5, 0.5, 7)
    assert np.abs(robot.homeward(position)).max() <= robot.joint_speed + 1e-9
    for _ in range(200):
        position = position + 0.05 * robot.homeward(position)
    assert robot.is_home(position)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"joints": ["a", "b"]}, "position_low"),
        ({"home": [0.0] * 7}, "home"),
        ({"home": [0.0] * 6 + [float("nan")]}, "home"),
        ({"control_rate": 0}, "control_rate"),
        ({"linear_sped": 0.1}, "linear_sped"),
        ({"limits": {**PANDA["limits"], "velocity": [0.0] * 7}}, "limits.velocity"),
        ({"limits": {**PANDA["limits"], "position_low": [3.0] * 7}}, "low limit"),
        ({"limits": {}}, "position_low"),
        ({"gripper": 3}, "panda.yaml"),
        ({"chain": "none"}, "chain"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(change: dict, word: str, tmp_path: Path) -> None:
    path = tmp_path / "panda.yaml"
    path.write_text(yaml.safe_dump({**PANDA, **change}))
    with pytest.raises(UserError, match=word) as error:
        arm.parse(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "- 1", "a: [", "\x00"])
def test_a_file_that_is_none_is_told_in_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "arm.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"arm\.yaml"):
        arm.parse(path)


def test_an_arm_that_is_not_known_gets_a_suggestion() -> None:
    with pytest.raises(UserError, match="sawyer"):
        arm.load("sawer")
