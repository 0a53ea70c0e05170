import numpy as np
import pytest

from viper_ros.arm import files, homing


@pytest.mark.parametrize("name", files.arms())
def test_homing_leads_home(name: str) -> None:
    robot = files.load(name)
    position = robot.home + np.linspace(-0.5, 0.5, 7)
    assert np.abs(homing.homing_velocities(robot, position)).max() <= robot.joint_speed + 1e-9
    for _ in range(200):
        position = position + 0.05 * homing.homing_velocities(robot, position)
    assert homing.is_home(robot, position)
