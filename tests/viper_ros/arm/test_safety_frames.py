"""How old a frame is, and what an arm does about it."""

import pytest

from tests.viper_ros.arm.test_safety import Bench
from viper_ros.arm.safety import State


def test_a_frame_from_a_little_in_the_future_counts_as_taken_now() -> None:
    bench = Bench().started()
    for _ in range(8):
        bench.guard.frame(-0.2, bench.now)
        bench.period(frame=False)
    assert bench.guard.state is State.RUNNING
    for _ in range(8):
        bench.period(frame=False)
    assert "frame" in bench.guard.reason


@pytest.mark.parametrize(
    ("age", "told"),
    [
        (None, "have no stamp"),
        (0.4, "are stamped 0.40 s before they come"),
        (1.7e9, "are stamped 1700000000.00 s before they come"),
        (-60.0, "are stamped 60.00 s in the future"),
    ],
)
def test_frames_whose_age_can_not_be_told_do_not_count_and_that_is_said(age: float | None, told: str) -> None:
    bench = Bench().moving()
    for _ in range(8):
        bench.guard.frame(age, bench.now)
        bench.period(frame=False)
    assert f"no camera frame younger than 0.3 s: the frames of the camera {told}" in bench.guard.reason
    for _ in range(20):
        bench.period(frame=False)
    assert bench.guard.clear() == ""
    bench.guard.frame(age, bench.now)
    assert told in bench.guard.start(bench.now)
    assert bench.guard.go_home(bench.now) == ""


def test_a_frame_of_a_recording_or_from_before_the_last_does_not_count_among_live_ones() -> None:
    bench = Bench()
    now = bench.now + 0.2
    assert bench.guard.frame(0.1, now)
    assert not bench.guard.frame(0.15, now)
    assert not bench.guard.frame(3600.0, now)
    assert not bench.guard.frame(None, now)
    assert bench.guard.frame(0.05, now)


@pytest.mark.parametrize(("age", "told"), [(0.3, "0.30 s before they come"), (-0.3, "0.30 s in the future")])
def test_an_arm_whose_controller_goes_by_another_clock_does_not_move(age: float, told: str) -> None:
    bench = Bench()
    bench.guard.joint_states(bench.measured, bench.now, age)
    assert f"joint states are stamped {told}" in bench.guard.start(bench.now)
    bench.guard.joint_states(bench.measured, bench.now, age / 10)  # The others were late, not of another clock.
    bench.moving()
    for _ in range(30):
        bench.guard.joint_states(bench.guard.motion.position, bench.now, age)
        bench.period(joint_states=False)
    assert told in bench.guard.reason
