import numpy as np
import pytest

from sim.bare_arm import GRIPPERS, BareArm
from viper_ros.arm import files


@pytest.mark.parametrize("name", GRIPPERS)
def test_the_tcp_is_where_mujoco_has_it(name: str) -> None:
    pytest.importorskip("robosuite", reason="ships the arms' models")
    robot = files.load(name)
    environment = BareArm(name, robot.home)
    rng = np.random.default_rng(0)
    for _ in range(20):
        posture = rng.uniform(robot.limits.position_low, robot.limits.position_high)
        environment.place(posture)
        # The models' numbers are rounded to micrometres.
        np.testing.assert_allclose(robot.kinematics.tcp_positions(posture[None])[0], environment.hand, atol=1e-5)
    environment.close()


def test_an_fr3_has_the_joints_of_a_panda_and_a_longer_hand() -> None:
    panda, fr3 = files.load("panda"), files.load("fr3")
    poses = [robot.kinematics.poses(panda.home[None])[0, -1] for robot in (panda, fr3)]
    along = poses[0][:3, 2]
    # The maker's hand_tcp is 0.1034 m from the flange, the point between a Panda's fingertips in robosuite 0.0965 m.
    np.testing.assert_allclose(poses[1][:3, 3] - poses[0][:3, 3], 0.0069 * along, atol=1e-6)


@pytest.mark.parametrize("name", files.arms())
def test_the_jacobian_is_the_derivative(name: str) -> None:
    robot = files.load(name)
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
