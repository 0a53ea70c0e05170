"""Whatever velocities are wanted, the commanded motion keeps every limit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from viper_ros.arm import description as arm
from viper_ros.arm.motion import HOMING_REACH, ROOM, Motion

PERIOD = 0.05
ROUNDING = 1 + 1e-6
wanted_velocities = st.lists(
    st.tuples(st.lists(st.floats(-1e3, 1e3), min_size=7, max_size=7), st.integers(1, 20)), min_size=1, max_size=8
)


def motion(name: str) -> Motion:
    robot = arm.load(name)
    made = Motion(robot.limits, PERIOD, robot.kinematics.hand)
    made.place(robot.home)
    return made


def assert_course_within_limits(course: object, one: Motion) -> None:
    limits = one.limits
    assert (course.positions >= limits.position_low - 1e-9).all()
    assert (course.positions <= limits.position_high + 1e-9).all()
    assert (np.abs(course.velocities) <= limits.velocity * ROUNDING).all()
    assert (np.abs(course.accelerations) <= limits.acceleration * ROUNDING).all()
    hands = one._hand(course.positions)
    assert (hands >= limits.workspace_low - 1e-9).all()
    assert (hands <= limits.workspace_high + 1e-9).all()


@pytest.mark.parametrize("name", arm.arms())
@given(plan=wanted_velocities)
@settings(max_examples=15, deadline=None)
def test_no_wish_breaks_a_limit(name: str, plan: list[tuple[list[float], int]]) -> None:
    one = motion(name)
    limits = one.limits
    before = (one.position, one.velocity, one.acceleration)
    for wanted, periods in plan:
        for _ in range(periods):
            course = one.advance(np.array(wanted))
            assert_course_within_limits(course, one)
            assert (course.velocities[-1] == pytest.approx(0, abs=1e-9)) if course.velocities.any() else True
            # Mean values over a period are bounded by the peaks, which the limits are on.
            position, velocity, acceleration = before
            assert (np.abs(one.position - position) <= limits.velocity * PERIOD * ROUNDING).all()
            assert (np.abs(one.velocity - velocity) <= limits.acceleration * PERIOD * ROUNDING).all()
            assert (np.abs(one.acceleration - acceleration) <= limits.jerk * PERIOD * ROUNDING + 1e-6).all()
            before = (one.position, one.velocity, one.acceleration)


@pytest.mark.parametrize("name", arm.arms())
def test_a_course_is_what_is_done_where_nothing_more_is_wanted(name: str) -> None:
    one = motion(name)
    for _ in range(10):
        course = one.advance(np.array([0.3, 0.2, -0.3, 0.1, 0.5, -0.5, 0.4]))
    end = course.positions[-1]
    np.testing.assert_allclose(course.positions[4], one.position, atol=1e-12)  # five samples of 10 ms a period
    while not one.still:
        one.advance(np.zeros(7))
    np.testing.assert_allclose(one.position, end, atol=1e-6)


@pytest.mark.parametrize("name", arm.arms())
def test_a_wish_that_limits_allow_is_met(name: str) -> None:
    one = motion(name)
    wanted = np.array([0.1, -0.05, 0.1, 0.05, -0.1, 0.1, 0.2])
    for _ in range(10):
        one.advance(wanted)
    np.testing.assert_allclose(one.velocity, wanted, atol=1e-9)


def test_a_joint_gets_near_its_limit_and_the_others_go_on() -> None:
    one = motion("panda")
    wanted = np.zeros(7)
    wanted[[4, 6]] = 1.0, -0.2
    for _ in range(100):
        one.advance(wanted)
    assert one.position[4] > one.limits.position_high[4] - 0.02
    assert one.velocity[6] == pytest.approx(-0.2)


@pytest.mark.parametrize("name", arm.arms())
@given(plan=wanted_velocities, elapsed=st.floats(0, PERIOD, exclude_max=True))
@settings(max_examples=15, deadline=None)
def test_a_stop_in_the_middle_of_a_period_goes_on_from_there_and_keeps_the_limits(
    name: str, plan: list[tuple[list[float], int]], elapsed: float
) -> None:
    one = motion(name)
    for wanted, periods in plan:
        for _ in range(periods):
            one.advance(np.array(wanted))
        here = [np.array(part) for part in one._way.at_time(elapsed)]
        before = one.position, one.velocity
        course = one.brake(elapsed)
        if course is None:
            np.testing.assert_array_equal(one.position, before[0])
            np.testing.assert_array_equal(one.velocity, before[1])
            continue
        assert_course_within_limits(course, one)
        assert (np.abs(course.positions[0] - here[0]) <= one.limits.velocity * course.times[0] * ROUNDING).all()
        assert (np.abs(course.velocities[0] - here[1]) <= one.limits.acceleration * course.times[0] * ROUNDING).all()
        assert not course.velocities[-1].any() or np.abs(course.velocities[-1]).max() < 1e-9


def test_a_stop_is_sooner_than_that_of_the_next_period() -> None:
    wanted = np.array([0.3, 0.2, -0.3, 0.1, 0.5, -0.5, 0.4])
    late, soon = motion("panda"), motion("panda")
    for one in (late, soon):
        for _ in range(10):
            one.advance(wanted)
    late.advance(np.zeros(7))
    course = soon.brake(0.01)
    assert course is not None
    assert (np.abs(course.velocities[-1]) < 1e-9).all()
    # 40 ms less at these speeds.
    np.testing.assert_allclose(late.position - soon.position, 0.04 * wanted, atol=1e-6)
    assert soon.brake(PERIOD) is None


def test_where_the_arm_must_not_be_is_said() -> None:
    one = motion("panda")
    assert one.beyond_joint_limits(one.position) == one.outside_workspace(one.position, 0.0) == ""
    assert "joint 4" in one.beyond_joint_limits(one.position * [1, 1, 1, 0, 1, 1, 1])
    low = one.position.copy()
    low[1] += 1.2
    assert "the hand" in one.outside_workspace(low, 0.0)
    assert one.outside_workspace(low, 1.0) == ""


@pytest.mark.parametrize("name", arm.arms())
def test_from_around_its_workspace_the_hand_comes_home_and_gets_no_further_out(name: str) -> None:
    robot, one, rng = arm.load(name), motion(name), np.random.default_rng(0)
    low, high = robot.limits.workspace_low, robot.limits.workspace_high

    def out(position: np.ndarray) -> np.ndarray:
        """m by which the hand is beyond each of the six sides: float64 [6]."""
        hand = robot.kinematics.hand(position[None])[0]
        return np.maximum(np.concatenate([low - hand, hand - high]), 0)

    came_home = 0
    while came_home < 30:
        start = robot.home + 0.5 * rng.normal(size=7)
        if one.beyond_joint_limits(start) or not 0 < out(start).max() < HOMING_REACH:
            continue
        one.place(start, ROOM)
        for _ in range(400):
            one.advance(robot.homeward(one.position))
            assert (out(one.position) <= out(start) + ROOM).all()
        assert robot.is_home(one.position)
        came_home += 1


def test_to_push_out_and_to_stop_again_and_again_leads_no_further_out() -> None:
    robot, one = arm.load("panda"), motion("panda")
    inwards = np.array([1.0, 0, 0, 0, 0, 0])
    start = robot.home.copy()
    while robot.kinematics.hand(start[None])[0, 0] > robot.limits.workspace_low[0] - 0.005:
        start = start - 0.01 * robot.kinematics.joint_velocities(start, inwards)
    one.place(start)
    for _ in range(30):
        for _ in range(4):
            one.advance(robot.kinematics.joint_velocities(one.position, -0.1 * inwards), late=0.003)
        while not one.still:
            one.advance(np.zeros(7), late=0.003)
    hand, begin = robot.kinematics.hand(np.stack([one.position, start]))[:, 0]
    assert hand >= begin - 1e-4  # Between two samples the hand strays from a straight line.
