"""The guard: what it commands goes on from where the arm is, whenever it is asked."""

import numpy as np
import pytest

from tests.viper_ros.arm.test_safety import PANDA, PERIOD, TARGET, Bench
from viper_ros.arm.motion import Trajectory


class Controller:
    """Where a controller of joint trajectories has brought the joints, along straight lines."""

    def __init__(self, trajectory: Trajectory) -> None:
        self.trajectory = trajectory
        self.position = trajectory.positions[0] - trajectory.velocities[0] * trajectory.times[0]

    def after(self, seconds: float) -> None:
        times = np.concatenate([[0.0], self.trajectory.times])
        positions = np.concatenate([self.position[None], self.trajectory.positions])
        self.position = np.array([np.interp(seconds, times, each) for each in positions.T])

    def takes(self, trajectory: Trajectory) -> np.ndarray:
        """How fast the joints have to be to get to its first point in time, rad/s [joints]."""
        self.trajectory = trajectory
        return np.abs(trajectory.positions[0] - self.position) / trajectory.times[0]


# Half as much again as the joints' speed is what straight lines between the points of a stop come to.
BY_STRAIGHT_LINES = 1.5 * np.abs(TARGET)


@pytest.mark.parametrize("late", [0.0, 0.02, 0.04])
@pytest.mark.parametrize("ends", [False, True])
def test_a_tick_that_comes_early_after_a_late_one_asks_for_no_jump(late: float, ends: bool) -> None:
    bench = Bench().moving()
    controller = Controller(bench.trajectory)
    for elapsed in (PERIOD + late, PERIOD - late, PERIOD):
        if ends:
            bench.guard.hold()
        controller.after(elapsed)
        bench.now += elapsed
        bench.guard.joint_states(controller.position, bench.now)
        if (trajectory := bench.guard.tick(TARGET, bench.now)) is None:
            assert ends
            break
        assert (controller.takes(trajectory) < BY_STRAIGHT_LINES).all()


@pytest.mark.parametrize("elapsed", [0.005, 0.025, 0.045, 0.06])
def test_the_last_stop_begins_where_the_arm_is_and_nothing_moves_it_after(elapsed: float) -> None:
    bench = Bench().moving()
    controller = Controller(bench.trajectory)
    controller.after(elapsed)
    bench.now += elapsed
    last = bench.guard.stop(bench.now)
    assert (controller.takes(last) < BY_STRAIGHT_LINES).all()
    assert np.abs(last.velocities[-1]).max() < 1e-9
    assert "not at rest" in bench.guard.start(bench.now + 0.001)
    for _ in range(3):  # moved by hand meanwhile
        bench.now += 5.0
        bench.guard.joint_states(PANDA.home + 0.1, bench.now)
        assert bench.guard.tick(TARGET, bench.now) is None
    bench.guard.frame(0.0, bench.now)
    assert bench.guard.start(bench.now) == ""
    np.testing.assert_array_equal(bench.guard.motion.position, PANDA.home + 0.1)


def test_an_arm_that_came_to_rest_while_nobody_ticked_is_not_sent_back() -> None:
    bench = Bench().moving()
    bench.guard.hold()
    bench.now += 5.0
    bench.guard.joint_states(PANDA.home + 0.6, bench.now)
    assert bench.guard.tick(TARGET, bench.now) is None
    assert bench.guard.motion.at_rest
