"""Whatever velocities are target, the commanded motion keeps every limit."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from viper_ros.arm import files, homing
from viper_ros.arm.motion import HOMING_RANGE, HOMING_SLACK, Motion, Trajectory

PERIOD = 0.05
ROUNDING = 1 + 1e-6
target_velocities = st.lists(
    st.tuples(st.lists(st.floats(-1e3, 1e3), min_size=7, max_size=7), st.integers(1, 20)), min_size=1, max_size=8
)


def motion(name: str) -> Motion:
    robot = files.load(name)
    made = Motion(robot.limits, PERIOD, robot.kinematics.tcp_positions)
    made.rest_at(robot.home)
    return made


def assert_within_limits(trajectory: Trajectory, one: Motion) -> None:
    limits = one.limits
    assert (trajectory.positions >= limits.position_low - 1e-9).all()
    assert (trajectory.positions <= limits.position_high + 1e-9).all()
    assert (np.abs(trajectory.velocities) <= limits.velocity * ROUNDING).all()
    assert (np.abs(trajectory.accelerations) <= limits.acceleration * ROUNDING).all()
    tcps = one._tcp_positions(trajectory.positions)
    assert (tcps >= limits.workspace_low - 1e-9).all()
    assert (tcps <= limits.workspace_high + 1e-9).all()


@pytest.mark.parametrize("name", files.arms())
@given(plan=target_velocities)
@example(  # A stop along the workspace's edge, which is 20 µm outside it between the places that were looked at.
    plan=[
        ([0.0, -1.0, 0.0, 0.0, 1.0, 1.0, 0.0], 1),
        ([-2.0, 0.0, -2.0, -1.0, -2.0, -2.0, 0.0], 10),
        ([-1.0, -1.0, 1.0, 0.0, -3.0, -2.0, 0.0], 7),
        ([2.0, 1.0, 2.0, 2.0, 3.0, 2.0, 0.0], 14),
    ]
)
@settings(max_examples=15, deadline=None)
def test_no_target_breaks_a_limit(name: str, plan: list[tuple[list[float], int]]) -> None:
    one = motion(name)
    limits = one.limits
    before = (one.position, one.velocity, one.acceleration)
    for target, periods in plan:
        for _ in range(periods):
            trajectory = one.advance(np.array(target))
            assert_within_limits(trajectory, one)
            assert (trajectory.velocities[-1] == pytest.approx(0, abs=1e-9)) if trajectory.velocities.any() else True
            # Mean values over a period are bounded by the peaks, which the limits are on.
            position, velocity, acceleration = before
            assert (np.abs(one.position - position) <= limits.velocity * PERIOD * ROUNDING).all()
            assert (np.abs(one.velocity - velocity) <= limits.acceleration * PERIOD * ROUNDING).all()
            assert (np.abs(one.acceleration - acceleration) <= limits.jerk * PERIOD * ROUNDING + 1e-6).all()
            before = (one.position, one.velocity, one.acceleration)


@pytest.mark.parametrize("name", files.arms())
def test_a_trajectory_is_what_is_done_where_nothing_more_is_target(name: str) -> None:
    one = motion(name)
    for _ in range(10):
        trajectory = one.advance(np.array([0.3, 0.2, -0.3, 0.1, 0.5, -0.5, 0.4]))
    end = trajectory.positions[-1]
    np.testing.assert_allclose(trajectory.positions[4], one.position, atol=1e-12)  # five samples of 10 ms a period
    while not one.at_rest:
        one.advance(np.zeros(7))
    np.testing.assert_allclose(one.position, end, atol=1e-6)


@pytest.mark.parametrize("name", files.arms())
def test_a_target_that_limits_allow_is_reached(name: str) -> None:
    one = motion(name)
    target = np.array([0.1, -0.05, 0.1, 0.05, -0.1, 0.1, 0.2])
    for _ in range(10):
        one.advance(target)
    np.testing.assert_allclose(one.velocity, target, atol=1e-9)


def test_a_joint_gets_near_its_limit_and_the_others_go_on() -> None:
    one = motion("panda")
    target = np.zeros(7)
    target[[4, 6]] = 1.0, -0.2
    for _ in range(100):
        one.advance(target)
    assert one.position[4] > one.limits.position_high[4] - 0.02
    assert one.velocity[6] == pytest.approx(-0.2)


@pytest.mark.parametrize("name", files.arms())
@given(plan=target_velocities, elapsed=st.floats(0, PERIOD, exclude_max=True))
@settings(max_examples=15, deadline=None)
def test_a_stop_in_the_middle_of_a_period_goes_on_from_there_and_keeps_the_limits(
    name: str, plan: list[tuple[list[float], int]], elapsed: float
) -> None:
    one = motion(name)
    for target, periods in plan:
        for _ in range(periods):
            one.advance(np.array(target))
        here = [np.array(part) for part in one._move.at_time(elapsed)]
        before = one.position, one.velocity
        trajectory = one.brake(elapsed)
        if trajectory is None:
            np.testing.assert_array_equal(one.position, before[0])
            np.testing.assert_array_equal(one.velocity, before[1])
            continue
        assert_within_limits(trajectory, one)
        assert (np.abs(trajectory.positions[0] - here[0]) <= one.limits.velocity * trajectory.times[0] * ROUNDING).all()
        assert (
            np.abs(trajectory.velocities[0] - here[1]) <= one.limits.acceleration * trajectory.times[0] * ROUNDING
        ).all()
        assert not trajectory.velocities[-1].any() or np.abs(trajectory.velocities[-1]).max() < 1e-9


def test_a_stop_is_sooner_than_that_of_the_next_period() -> None:
    target = np.array([0.3, 0.2, -0.3, 0.1, 0.5, -0.5, 0.4])
    late, soon = motion("panda"), motion("panda")
    for one in (late, soon):
        for _ in range(10):
            one.advance(target)
    late.advance(np.zeros(7))
    trajectory = soon.brake(0.01)
    assert trajectory is not None
    assert (np.abs(trajectory.velocities[-1]) < 1e-9).all()
    # 40 ms less at these speeds.
    np.testing.assert_allclose(late.position - soon.position, 0.04 * target, atol=1e-6)
    assert soon.brake(PERIOD) is None


def test_where_the_arm_must_not_be_is_said() -> None:
    one = motion("panda")
    assert one.beyond_joint_limits(one.position) == one.outside_workspace(one.position, 0.0) == ""
    assert "joint 4" in one.beyond_joint_limits(one.position * [1, 1, 1, 0, 1, 1, 1])
    low = one.position.copy()
    low[1] += 1.2
    assert "the end effector" in one.outside_workspace(low, 0.0)
    assert one.outside_workspace(low, 1.0) == ""


@pytest.mark.parametrize("name", files.arms())
def test_from_around_its_workspace_the_end_effector_comes_home_and_gets_no_further_out(name: str) -> None:
    robot, one, rng = files.load(name), motion(name), np.random.default_rng(0)
    low, high = robot.limits.workspace_low, robot.limits.workspace_high

    def out(position: np.ndarray) -> np.ndarray:
        """m by which the hand is beyond each of the six sides: float64 [6]."""
        tcp = robot.kinematics.tcp_positions(position[None])[0]
        return np.maximum(np.concatenate([low - tcp, tcp - high]), 0)

    came_home = 0
    while came_home < 10:
        start = robot.home + 0.5 * rng.normal(size=7)
        if one.beyond_joint_limits(start) or not 0 < out(start).max() < HOMING_RANGE:
            continue
        one.rest_at(start, HOMING_SLACK)
        allowed, periods = out(start) + HOMING_SLACK, 0
        while not homing.is_home(robot, one.position):
            one.advance(homing.homing_velocities(robot, one.position))
            assert (out(one.position) <= allowed).all()
            periods += 1
            assert periods < 400
        for _ in range(20):
            one.advance(homing.homing_velocities(robot, one.position))
            assert (out(one.position) <= allowed).all()
        assert homing.is_home(robot, one.position)  # it stays
        came_home += 1


def test_to_push_out_and_to_stop_again_and_again_leads_no_further_out() -> None:
    robot, one = files.load("panda"), motion("panda")
    inwards = np.array([1.0, 0, 0, 0, 0, 0])
    start = robot.home.copy()
    while robot.kinematics.tcp_positions(start[None])[0, 0] > robot.limits.workspace_low[0] - 0.005:
        start = start - 0.01 * robot.kinematics.joint_velocities(start, inwards)
    one.rest_at(start)
    for _ in range(30):
        for _ in range(4):
            one.advance(robot.kinematics.joint_velocities(one.position, -0.1 * inwards), late=0.003)
        while not one.at_rest:
            one.advance(np.zeros(7), late=0.003)
    end, begin = robot.kinematics.tcp_positions(np.stack([one.position, start]))[:, 0]
    assert end >= begin - 1e-4  # Between two samples the end effector strays from a straight line.
