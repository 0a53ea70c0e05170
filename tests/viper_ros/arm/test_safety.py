"""The guard: what stops an arm, and that nothing but an operator's word makes it move again."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from viper_ros.arm import files
from viper_ros.arm.safety import Deadlines, Guard, State

PERIOD = 0.05
PANDA = files.load("panda")
TCP = PANDA.kinematics.tcp_positions
DEADLINES = Deadlines(action=0.5, frame=0.3, joint_states=0.1, dead_man=None)
ROUNDING = 1 + 1e-6
TARGET = np.array([0.2, 0.1, -0.2, 0.1, 0.3, -0.1, 0.5])


class Bench:
    """A guard with all that it needs arriving in time, unless a test says otherwise."""

    def __init__(self, deadlines: Deadlines = DEADLINES, tracking_tolerance: float | None = 0.2) -> None:
        self.guard = Guard(PANDA.limits, deadlines, PERIOD, TCP, action_size=7, tracking_tolerance=tracking_tolerance)
        self.now = 100.0
        self.ticked = self.now
        self.stamp = 0
        self.measured = PANDA.home
        self.target = TARGET
        self.guard.joint_states(self.measured, self.now)
        self.guard.frame(0.0, self.now)

    def started(self) -> "Bench":
        assert self.guard.start(self.now) == ""
        return self

    def period(
        self, *, joint_states: bool = True, frame: bool = True, action: bool = True, follow: bool = True
    ) -> None:
        self.now += PERIOD
        self.stamp += 1
        if follow:
            self.measured = self.guard.motion.position
        if joint_states:
            self.guard.joint_states(self.measured, self.now)
        if frame:
            self.guard.frame(0.0, self.now)
        self.guard.shown(self.stamp, self.now)
        if action:
            self.guard.action(self.stamp, np.zeros(7), self.now)
        self.trajectory = self.guard.tick(self.target, self.now)

    def moving(self) -> "Bench":
        self.started()
        for _ in range(5):
            self.period()
        assert self.guard.state is State.RUNNING
        np.testing.assert_allclose(self.guard.motion.velocity, TARGET, atol=1e-9)
        return self


def action(bench: Bench, values: object = (0.0,) * 7, stamp: int | None = None, now: float | None = None) -> None:
    given_stamp = bench.stamp if stamp is None else stamp
    bench.guard.action(given_stamp, np.array(values, np.float64), bench.now if now is None else now)


def late(bench: Bench) -> None:
    bench.guard.shown(bench.stamp + 1, bench.now)
    action(bench, stamp=bench.stamp + 1, now=bench.now + 0.6)


FAULTS: dict[str, Callable[[Bench], None]] = {
    "finite": lambda bench: action(bench, [0, 0, 0, float("nan"), 0, 0, 0], bench.stamp + 1),
    "values": lambda bench: action(bench, [0.0] * 6, bench.stamp + 1),
    "early": lambda bench: action(bench, stamp=bench.stamp + 1),
    "replayed": action,
    "out of order": lambda bench: action(bench, stamp=bench.stamp - 1),
    "stale": late,
    "emergency stop": lambda bench: bench.guard.press_stop(),
    "joint states that": lambda bench: bench.guard.joint_states(np.full(7, np.nan), bench.now),
    "one a joint": lambda bench: bench.guard.joint_states(np.zeros(6), bench.now),
    "no joint states for": lambda bench: [bench.period(joint_states=False) for _ in range(3)],
    "no camera frame": lambda bench: [bench.period(frame=False) for _ in range(8)],
    "no action": lambda bench: [bench.period(action=False) for _ in range(12)],
    "does not follow": lambda bench: [bench.period(follow=False) for _ in range(30)],
    "velocities": lambda bench: bench.guard.tick(np.full(7, np.inf), bench.now),
}


@pytest.mark.parametrize("reason", FAULTS)
def test_a_fault_brakes_says_why_and_is_kept(reason: str) -> None:
    bench = Bench().moving()
    FAULTS[reason](bench)
    guard = bench.guard
    assert guard.state is State.FAULTED
    assert reason in guard.reason
    assert "clear" in guard.start(bench.now)
    assert "clear" in guard.go_home(bench.now)
    bench.period()
    assert (np.abs(guard.motion.velocity) < np.abs(TARGET)).all()
    for _ in range(20):
        bench.period()
    assert guard.motion.at_rest
    assert reason in guard.reason
    held = guard.motion.position
    for _ in range(20):
        bench.period()
    np.testing.assert_array_equal(guard.motion.position, held)


def test_after_the_fault_is_cleared_and_only_on_start_it_moves() -> None:
    bench = Bench().moving()
    bench.guard.fault("something")
    assert "braking" in bench.guard.clear()
    for _ in range(20):
        bench.period()
    assert bench.guard.clear() == ""
    held = bench.guard.motion.position
    for _ in range(5):
        bench.period()
    np.testing.assert_array_equal(bench.guard.motion.position, held)
    bench.moving()


def test_the_emergency_stop_must_be_released_before_it_is_cleared() -> None:
    bench = Bench().started()
    bench.guard.press_stop()
    assert "release" in bench.guard.clear()
    bench.guard.release_stop()
    assert bench.guard.state is State.FAULTED
    assert bench.guard.clear() == ""


def test_where_there_is_no_fault_none_is_cleared() -> None:
    bench = Bench().started()
    assert "no fault" in bench.guard.clear()
    assert bench.guard.state is State.RUNNING


def test_the_dead_man_switch() -> None:
    bench = Bench(Deadlines(action=0.5, frame=0.3, joint_states=0.1, dead_man=0.2))
    assert "dead-man" in bench.guard.start(bench.now)
    bench.guard.dead_man_switch(True, bench.now)
    bench.started()
    for _ in range(4):
        bench.period()
        assert bench.guard.state is State.RUNNING
    bench.period()
    assert "dead-man" in bench.guard.reason
    for _ in range(5):
        bench.period()
    bench.guard.clear()
    bench.guard.dead_man_switch(True, bench.now)
    bench.started()
    bench.guard.dead_man_switch(False, bench.now)
    bench.period()
    assert "dead-man" in bench.guard.reason


@pytest.mark.parametrize("direction", [-0.2, 0.2])
def test_an_arm_that_ran_a_little_out_of_its_workspace_goes_on_and_no_further_out(direction: float) -> None:
    bench = Bench().started()

    def drive(speed: float) -> None:
        for _ in range(100):
            place = bench.guard.motion.position
            bench.target = PANDA.kinematics.joint_velocities(place, np.array([speed, 0, 0, 0, 0, 0]))
            bench.period()

    drive(-0.2)
    bench.guard.hold()
    sent = bench.guard.motion.position
    out = sent + PANDA.kinematics.joint_velocities(sent, np.array([-0.004, 0, 0, 0, 0, 0]))
    edge, begin = PANDA.limits.workspace_low[0], TCP(out[None])[0, 0]
    assert begin < edge - 0.002
    bench.guard.joint_states(out, bench.now)
    assert bench.guard.start(bench.now) == ""
    drive(direction)
    if direction < 0:
        drive(-0.015)  # So slowly that a millimetre more would pass unnoticed.
    assert bench.guard.state is State.RUNNING
    end = TCP(bench.guard.motion.position[None])[0, 0]
    assert end > edge + 0.1 if direction > 0 else end >= begin
    drive(-0.2)
    assert TCP(bench.guard.motion.position[None])[0, 0] >= (edge if direction > 0 else begin)


@pytest.mark.parametrize(("turn", "comes_home"), [(1.22, True), (1.9, False)])
def test_an_arm_that_was_moved_out_of_its_workspace_can_only_go_home_from_nearby(turn: float, comes_home: bool) -> None:
    """Turned about its base by so many rad: the end effector is then 4 and 35 cm behind its workspace."""
    bench = Bench().moving()
    bench.guard.hold()
    for _ in range(20):
        bench.period()
    bench.guard.joint_states(PANDA.home + np.eye(7)[0] * turn, bench.now)
    assert "bring it back by hand" in bench.guard.start(bench.now)
    assert ("call reset_episode" in bench.guard.start(bench.now)) == comes_home
    assert (bench.guard.go_home(bench.now) == "") == comes_home


@pytest.mark.parametrize("still", [True, False])
def test_an_arm_that_gets_no_nearer_to_home_says_so(still: bool) -> None:
    bench, began = Bench(), 100.0
    assert bench.guard.go_home(bench.now) == ""
    bench.target = np.zeros(7)
    while bench.guard.state is State.HOMING:
        assert bench.now < began + 60
        # To 1 rad in five seconds, and then not on: standing, or to and fro.
        away = max(2.0 - 0.2 * (bench.now - began), 1.0)
        bench.guard.homing_progress(away + (0.0 if still else 0.3 * (bench.stamp % 2)), bench.now)
        bench.period(action=False)
    assert 14 < bench.now - began < 16
    assert "no way home" in bench.guard.reason


def test_it_does_not_start_without_joint_states_or_frames_or_outside_the_limits() -> None:
    guard = Guard(PANDA.limits, DEADLINES, PERIOD, TCP, action_size=7, tracking_tolerance=None)
    assert "joint states" in guard.start(0.0)
    guard.joint_states(PANDA.home, 0.0)
    assert "frame" in guard.start(0.0)
    guard.frame(0.0, 0.0)
    guard.joint_states(PANDA.limits.position_high + 0.1, 0.0)
    assert "outside" in guard.start(0.0)
    guard.joint_states(PANDA.home, 0.0)
    assert guard.start(0.0) == ""


def test_joints_that_jump_are_told_from_an_arm_that_does_not_follow() -> None:
    bench = Bench().moving()
    sent = bench.guard.motion.position
    for _ in range(2):  # As where two nodes publish them in turn.
        bench.guard.joint_states(sent, bench.now)
        bench.guard.joint_states(sent + 1.0, bench.now)
    bench.period(joint_states=False)
    assert "jumped by 1.000 rad from one of its states to the next: two nodes publish them" in bench.guard.reason
    bench = Bench().moving()
    while bench.guard.state is State.RUNNING:
        bench.period(follow=False)
    assert "does not follow" in bench.guard.reason


def test_positions_in_degrees_are_told_as_such() -> None:
    bench = Bench()
    bench.guard.joint_states(np.degrees(PANDA.home), bench.now)
    assert bench.guard.start(bench.now).endswith(
        "bring it back by hand, or have its driver publish radians, not degrees"
    )
    bench.guard.joint_states(PANDA.limits.position_high + 0.1, bench.now)
    assert bench.guard.start(bench.now).endswith("bring it back by hand")


def test_an_answer_to_an_older_episode_is_a_fault_and_one_while_holding_is_not() -> None:
    bench = Bench().moving()
    bench.guard.hold()
    old = bench.stamp
    assert bench.guard.action(old, np.ones(7), bench.now) is None
    assert bench.guard.state is State.HOLDING
    for _ in range(20):
        bench.period(action=False)
    bench.started()
    action(bench, stamp=old)
    assert "replayed" in bench.guard.reason


def test_going_home_needs_no_policy_but_heeds_the_stop() -> None:
    bench = Bench()
    assert bench.guard.go_home(bench.now) == ""
    for _ in range(30):
        bench.period(action=False, frame=False)
    assert bench.guard.state is State.HOMING
    bench.guard.press_stop()
    bench.period()
    assert bench.guard.state is State.FAULTED


def test_an_action_is_clipped() -> None:
    bench = Bench().started()
    bench.stamp = 7
    bench.guard.shown(7, bench.now)
    taken = bench.guard.action(7, np.linspace(-3, 3, 7), bench.now)
    np.testing.assert_array_equal(taken, [-1, -1, -1, 0, 1, 1, 1])


def test_a_stop_is_released_by_the_source_that_pressed_it() -> None:
    bench = Bench()
    for source in (1, 2):
        bench.guard.press_stop(source)
    for source in (0, 1):
        bench.guard.release_stop(source)
    assert "release it first" in bench.guard.clear()
    bench.guard.release_stop(2)
    assert bench.guard.clear() == ""


numbers = st.floats(allow_nan=True, allow_infinity=True)
sizes = st.integers(0, 9)
events = st.one_of(
    st.tuples(st.just("action"), st.integers(-3, 3), st.lists(numbers, max_size=9)),
    st.tuples(st.just("good action"), st.just(0), st.just([])),
    st.tuples(st.just("joint states"), st.just(0), st.lists(numbers, max_size=9)),
    st.tuples(st.just("pass time"), st.just(0), st.lists(st.floats(0, 0.7), min_size=1, max_size=1)),
    st.tuples(st.sampled_from(["press", "release", "start", "home", "hold", "clear"]), st.just(0), st.just([])),
    st.tuples(st.just("tick"), st.integers(1, 8), st.lists(numbers, min_size=7, max_size=7)),
    st.tuples(st.just("tick"), st.integers(1, 8), st.lists(st.floats(-2, 2), min_size=7, max_size=7)),
)


@given(story=st.lists(events, max_size=40))
@settings(max_examples=150, deadline=None)
def test_whatever_comes_limits_are_kept_and_nothing_moves_after_a_fault(story: list[tuple]) -> None:
    bench = Bench(tracking_tolerance=None).started()
    guard = bench.guard
    limits = PANDA.limits
    for kind, number, values in story:
        if kind == "action":
            guard.action(bench.stamp + number, np.array(values), bench.now)
        elif kind == "good action":
            bench.stamp += 1
            guard.joint_states(guard.motion.position, bench.now)
            guard.frame(0.0, bench.now)
            guard.shown(bench.stamp, bench.now)
            guard.action(bench.stamp, np.zeros(7), bench.now)
        elif kind == "joint states":
            guard.joint_states(np.array(values), bench.now)
        elif kind == "pass time":
            bench.now += values[0]
        elif kind == "tick":
            for _ in range(number):
                tick(bench, np.array(values), limits)
        elif kind == "start":
            guard.start(bench.now)
        elif kind == "home":
            guard.go_home(bench.now)
        else:
            {"press": guard.press_stop, "release": guard.release_stop, "hold": guard.hold, "clear": guard.clear}[kind]()
        brake(bench, limits)


def brake(bench: Bench, limits: object) -> None:
    """As a node does after each message: nothing happens but after a fault."""
    trajectory = bench.guard.brake(bench.now)
    if trajectory is None:
        return
    assert bench.guard.state is State.FAULTED
    bench.ticked, bench.trajectory = bench.now, trajectory
    assert (trajectory.positions >= limits.position_low - 1e-9).all()
    assert (trajectory.positions <= limits.position_high + 1e-9).all()
    assert (np.abs(trajectory.velocities) <= limits.velocity * ROUNDING).all()
    assert (np.abs(trajectory.accelerations) <= limits.acceleration * ROUNDING).all()
    assert np.abs(trajectory.velocities[-1]).max() < 1e-9


def tick(bench: Bench, target: np.ndarray, limits: object) -> None:
    guard = bench.guard
    motion = guard.motion
    before = (motion.position, motion.velocity, motion.acceleration)
    speed = np.abs(motion.velocity).max()
    elapsed, bench.ticked = max(PERIOD, bench.now - bench.ticked), bench.now
    trajectory = guard.tick(target, bench.now)
    if trajectory is None:
        assert guard.state not in (State.RUNNING, State.HOMING)
        assert motion.at_rest
        if speed == 0:
            np.testing.assert_array_equal(motion.position, before[0])
        else:  # it has come to rest by itself, where the last trajectory ended
            assert elapsed >= bench.trajectory.times[-1]
            np.testing.assert_allclose(motion.position, bench.trajectory.positions[-1], atol=1e-9)
        return
    bench.trajectory = trajectory
    assert np.isfinite(trajectory.positions).all()
    assert (trajectory.positions >= limits.position_low - 1e-9).all()
    assert (trajectory.positions <= limits.position_high + 1e-9).all()
    assert (np.abs(trajectory.velocities) <= limits.velocity * ROUNDING).all()
    assert (np.abs(trajectory.accelerations) <= limits.acceleration * ROUNDING).all()
    assert (np.abs(motion.velocity - before[1]) <= limits.acceleration * elapsed * ROUNDING + 1e-9).all()
    assert (np.abs(motion.acceleration - before[2]) <= limits.jerk * elapsed * ROUNDING + 1e-6).all()
    tcps = TCP(trajectory.positions)
    assert (tcps >= limits.workspace_low - 1e-9).all()
    assert (tcps <= limits.workspace_high + 1e-9).all()
    if guard.state not in (State.RUNNING, State.HOMING):
        # It brakes: never faster than it was, but for the acceleration that jerk takes a time step to undo.
        still_gaining = (before[2] ** 2 / (2 * limits.jerk)).max()
        assert np.abs(motion.velocity).max() <= speed + still_gaining + 1e-9
