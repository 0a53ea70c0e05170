"""What stops an arm, and what must be true before it moves. No rclpy: times are seconds, stamps nanoseconds."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from viper_ros.arm.motion import HOMING_RANGE, HOMING_SLACK, LIMIT_TOLERANCE, Limits, Motion, Trajectory

DEAD_MAN_RELEASED = "the dead-man switch is not held"
HOMING_TIMEOUT = 10.0
"""Seconds in which a homing arm must get HOMING_PROGRESS nearer to home."""
HOMING_PROGRESS = 0.1
"""rad, of the joint that is furthest from home."""
CLOCK_STATES = 20
"""Of so many joint states the one whose stamp is nearest to its coming tells how far two clocks are apart."""
REMEMBERED_STEPS = 256
"""How many of the time steps last shown an action may answer. More than go by within the deadline of an action."""


@dataclass(frozen=True)
class Deadlines:
    """How old what the arm depends on may be, in seconds."""

    action: float
    """An action, since its time step was shown to the policy; and the newest action, while an episode runs."""
    frame: float
    """The newest camera frame, while an episode runs."""
    joint_states: float
    """The newest measured joint positions."""
    dead_man: float | None
    """The operator's last sign of holding the dead-man switch; None where none is used."""


class State(Enum):
    HOLDING = "holding"
    """At rest, or on the way to it, and ready for an episode."""
    RUNNING = "running"
    """The policy moves the arm."""
    HOMING = "going home"
    FAULTED = "stopped by a fault"


class Guard:
    """Lets an arm move only while all is well. The first fault brakes it and is kept until `clear`.

    `tick` is called once a control period, `brake` after each message. Whatever is called, in whatever order, the
    trajectories keep the limits, and after a fault they brake and then there are none.
    """

    def __init__(
        self,
        limits: Limits,
        deadlines: Deadlines,
        period: float,
        tcp_positions: Callable[[np.ndarray], np.ndarray],
        *,
        action_size: int,
        tracking_tolerance: float | None,
        camera: str = "the camera",
    ) -> None:
        """`period`, `tcp_positions`: as for `Motion`. `action_size`: how many values an action has. `camera`: its name.

        `tracking_tolerance`: rad by which a joint's measured position may differ from the commanded one; None in a dry
        run, in which the arm is not commanded.
        """
        self.motion = Motion(limits, period, tcp_positions)
        self.state = State.HOLDING
        self.reason = ""
        """Why the arm was stopped, while the state is FAULTED; else empty."""
        self._period = period
        self._deadlines = deadlines
        self._action_size = action_size
        self._tracking_tolerance = tracking_tolerance
        self._ticked_at = -np.inf
        """When the control period under way began."""
        self._resting_from = -np.inf
        """When the last trajectory of `stop` is over."""
        """When the last command was made."""
        self._shown_at: OrderedDict[int, float] = OrderedDict()
        """When each of the last time steps was shown to the policy, by stamp."""
        self._answered = -1
        """The stamp of the last time step whose action was accepted."""
        self._measured: np.ndarray | None = None
        """The newest measured joint positions, float64 [joints] in rad."""
        self._jumped = np.zeros_like(self.motion.position)
        """By how much they differ from those before, float64 [joints] in rad."""
        self._states_ages: deque[float] = deque(maxlen=CLOCK_STATES)
        """Seconds between the last stamps of joint states and their coming."""
        self._measured_at = self._frame_at = self._action_at = self._dead_man_at = -np.inf
        """When the newest of each came."""
        self._camera = camera
        self.frame_age: float | None = 0.0
        """Seconds between the stamp of the frame that came last and its coming, negative where the stamp is of the
        future; None where it had no stamp."""
        self._stops_pressed: set[int] = set()
        """The sources whose last word is that the emergency stop is pressed."""
        self._nearest_home = np.inf
        """The smallest distance from home since homing began, in rad, as far as it was progress."""
        self._progress_at = np.inf
        """When the arm last made progress on its way home."""

    def fault(self, reason: str) -> None:
        """Stop the arm. The first reason is kept."""
        if self.state is not State.FAULTED:
            self.state, self.reason = State.FAULTED, reason

    def press_stop(self, source: int = 0) -> None:
        """The emergency stop is pressed: a fault, which can't be cleared until `release_stop` by the same source."""
        self._stops_pressed.add(source)
        self.fault("the emergency stop is pressed")

    def release_stop(self, source: int = 0) -> None:
        """Nothing moves for that: the fault stays until `clear`."""
        self._stops_pressed.discard(source)

    def dead_man_switch(self, held: bool, now: float) -> None:
        """A sign of the operator's. Released while the arm moves it is a fault."""
        self._dead_man_at = now if held else -np.inf
        if not held and self._deadlines.dead_man is not None and self.state in (State.RUNNING, State.HOMING):
            self.fault(DEAD_MAN_RELEASED)

    def joint_states(self, positions: np.ndarray, now: float, age: float | None = None) -> None:
        """Measured joint positions, float64 [joints] in rad, that came `age` seconds after their stamp; None: they have
        no stamp."""
        if age is not None:
            self._states_ages.append(age)
        if positions.shape != self.motion.position.shape or not np.isfinite(positions).all():
            self.fault("joint states that are not finite numbers, one a joint")
            return
        if self._measured is not None:
            self._jumped = np.abs(positions - self._measured)
        self._measured, self._measured_at = positions, now

    def frame(self, age: float | None, now: float) -> bool:
        """A camera frame has come, `age` seconds after its stamp; None: it has no stamp. Returns whether it counts.

        One that is stamped in the future counts as taken now; further than the deadline of a frame its camera goes by
        another clock, and how old it is can't be told: it doesn't count, and nor does one without a stamp, one that is
        older than the deadline, as a recording's, and one that was taken before the last that counted.
        """
        self.frame_age = age
        if age is None or abs(age) > self._deadlines.frame or now - max(age, 0.0) < self._frame_at:
            return False
        self._frame_at = now - max(age, 0.0)
        return True

    def doubtful_frames(self) -> str:
        """Why the frames that come don't count, to the camera's stamps; empty where they do."""
        age = self.frame_age
        if age is None:
            return f"the frames of {self._camera} have no stamp: have its driver stamp them when they are taken"
        if abs(age) <= self._deadlines.frame:
            return ""
        return (
            f"the frames of {self._camera} are stamped {_told(age)}: in whole seconds, late, or by the clock of "
            "another machine, which is to agree with this one's"
        )

    def doubtful_joint_states(self) -> str:
        """Why what is commanded would be carried out at another time than here; empty where it is not."""
        apart = min(self._states_ages, key=abs, default=0.0)
        if abs(apart) <= self._deadlines.joint_states:
            return ""
        stamped = f"joint states are stamped {_told(apart)}"
        return f"{stamped}: the clock of the arm's controller is to agree with this machine's"

    def shown(self, stamp: int, now: float) -> None:
        """The time step with this stamp is shown to the policy, which may answer it from now on."""
        self._shown_at[stamp] = now
        while len(self._shown_at) > REMEMBERED_STEPS:
            self._shown_at.popitem(last=False)

    def action(self, stamp: int, values: np.ndarray, now: float) -> np.ndarray | None:
        """The policy's action for the time step with this stamp, clipped to [-1, 1]; None where it is not to be used.

        An action that comes while no episode runs is ignored; any other that is not to be used is a fault.
        """
        if self.state is not State.RUNNING:
            return None
        reason = self._why_no_action(stamp, values, now)
        if reason:
            self.fault(reason)
            return None
        self._answered, self._action_at = stamp, now
        return np.clip(values, -1, 1)

    def start(self, now: float) -> str:
        """Let the policy move the arm from now on. Returns why not; empty where it may."""
        refusal = self._why_not_begin(State.RUNNING, now)
        if not refusal:
            self.state = State.RUNNING
            self._action_at = now
            self._shown_at.clear()
        return refusal

    def go_home(self, now: float) -> str:
        """Let the arm go home from now on. Returns why not; empty where it may."""
        refusal = self._why_not_begin(State.HOMING, now)
        if not refusal:
            self.state, self._nearest_home, self._progress_at = State.HOMING, np.inf, now
        return refusal

    def homing_progress(self, distance: float, now: float) -> None:
        """The joint that is furthest from home is `distance` rad away. No progress for HOMING_TIMEOUT is a fault."""
        if self.state is not State.HOMING:
            return
        if distance < self._nearest_home - HOMING_PROGRESS:
            self._nearest_home, self._progress_at = distance, now
        elif now - self._progress_at > HOMING_TIMEOUT:
            self.fault("it finds no way home within its limits: bring it back by hand")

    def hold(self) -> None:
        """End the episode or the way home, where there is no fault: the arm brakes and holds."""
        if self.state is not State.FAULTED:
            self.state = State.HOLDING

    def clear(self) -> str:
        """Forget the fault; the arm holds still until `start` or `go_home`. Returns why not; empty where it is done."""
        if self.state in (State.RUNNING, State.HOMING):
            return f"there is no fault: the arm is {self.state.value}"
        if self._stops_pressed:
            return "the emergency stop is pressed: release it first"
        if not self.motion.at_rest:
            return "the arm is still braking: try again in a second"
        self.state, self.reason = State.HOLDING, ""
        return ""

    def late(self, now: float) -> float:
        """By how many seconds a `tick` would be late; below 0: early."""
        return now - self._ticked_at - self._period

    def tick(self, target: np.ndarray, now: float) -> Trajectory | None:
        """One control period: move towards the joint velocities `target` [joints] in rad/s, where that is allowed.

        Returns the trajectory to command; None where the arm is at rest and may not move. Where the period before is
        not over yet, the trajectory begins at its end.
        """
        if self.state in (State.RUNNING, State.HOMING):
            reason = self._overdue(self.state, now) or self._not_tracking()
            if not reason and not np.isfinite(target).all():
                reason = "joint velocities that are not finite"
            if reason:
                self.fault(reason)
        late = self.late(now)
        early = max(0.0, -late)
        self._ticked_at = now + early
        may_move = self.state in (State.RUNNING, State.HOMING)
        if not may_move and (self.motion.at_rest or self.motion.rest_if_stopped(late)):
            return None
        target = target if may_move else np.zeros_like(self.motion.position)
        return self.motion.advance(target, late).delayed(early)

    def brake(self, now: float) -> Trajectory | None:
        """Straight after a fault: the trajectory that stops the arm, without waiting for the next `tick`.

        That is then due a period from now. None where there is nothing to command before it.
        """
        if self.state is not State.FAULTED or self.motion.at_rest:
            return None
        return self._brake(now)

    def stop(self, now: float) -> Trajectory | None:
        """Hold, and expect no `tick` before the next `start` or `go_home`: the last trajectory, which stops the arm.

        None where it is at rest.
        """
        self.hold()
        if self.motion.at_rest:
            return None
        trajectory = self._brake(now) or self.tick(np.zeros_like(self.motion.position), now)
        if trajectory:
            self._resting_from = now + float(trajectory.times[-1])
            self.motion.rest_at(trajectory.positions[-1])
        return trajectory

    def _brake(self, now: float) -> Trajectory | None:
        early = max(0.0, self._ticked_at - now)
        trajectory = self.motion.brake(now + early - self._ticked_at)
        if trajectory is None:
            return None
        self._ticked_at = now + early
        return trajectory.delayed(early)

    def _why_no_action(self, stamp: int, values: np.ndarray, now: float) -> str:
        if values.shape != (self._action_size,):
            size = self._action_size
            return f"an action of {values.size} values, not {size}: the parameter 'action' says what they are"
        if not np.isfinite(values).all():
            return "an action that is not finite"
        if stamp == self._answered:
            return "an action was replayed"
        if stamp < self._answered:
            return "an action came out of order"
        if stamp not in self._shown_at:
            return "an action that answers no frame of this episode: early, or from elsewhere"
        if now - self._shown_at[stamp] > self._deadlines.action:
            return f"an action came {now - self._shown_at[stamp]:.3f} s after its frame: stale"
        return ""

    def _why_not_begin(self, state: State, now: float) -> str:
        """Why the arm may not go over to `state`. Where it may, its motion begins at the measured position."""
        if self.state is State.FAULTED:
            return f"{self.reason}: clear the fault first"
        if self.state is not State.HOLDING or not self.motion.at_rest or now < self._resting_from:
            return f"the arm is {self.state.value} and not at rest"
        if self._measured is None:
            return "no joint states have come yet"
        reason = (
            self._overdue(state, now, waiting_for_actions=False)
            or self.motion.beyond_joint_limits(self._measured)
            or self._outside_workspace(state, self._measured)
        )
        if not reason:
            self.motion.rest_at(self._measured, HOMING_SLACK if state is State.HOMING else 0.0)
        return reason

    def _outside_workspace(self, state: State, measured: np.ndarray) -> str:
        too_far = self.motion.outside_workspace(measured, HOMING_RANGE)
        if too_far:
            return f"{too_far}: bring it back by hand"
        outside = self.motion.outside_workspace(measured, LIMIT_TOLERANCE) if state is State.RUNNING else ""
        return f"{outside}: call reset_episode, or bring it back by hand" if outside else ""

    def _overdue(self, state: State, now: float, waiting_for_actions: bool = True) -> str:
        """What `state` depends on and has not come in time; empty where all has."""
        deadlines = self._deadlines
        if now - self._measured_at > deadlines.joint_states:
            return f"no joint states for {deadlines.joint_states} s"
        if apart := self.doubtful_joint_states():
            return apart
        if deadlines.dead_man is not None and now - self._dead_man_at > deadlines.dead_man:
            return DEAD_MAN_RELEASED
        if state is State.RUNNING:
            if now - self._frame_at > deadlines.frame:
                doubtful = self.doubtful_frames()
                return f"no camera frame younger than {deadlines.frame} s" + (f": {doubtful}" if doubtful else "")
            if waiting_for_actions and now - self._action_at > deadlines.action:
                return f"no action from the policy for {deadlines.action} s"
        return ""

    def _not_tracking(self) -> str:
        """Which joint is not where it was sent; empty where all are."""
        if self._tracking_tolerance is None or self._measured is None:
            return ""
        errors = np.abs(self._measured - self.motion.position)
        joint = int(errors.argmax())
        if min(errors[joint], self._jumped[joint]) > self._tracking_tolerance:
            jump = f"joint {joint + 1} jumped by {self._jumped[joint]:.3f} rad from one of its states to the next"
            return f"{jump}: two nodes publish them, or its sensor is broken"
        if errors[joint] > self._tracking_tolerance:
            return f"joint {joint + 1} is {errors[joint]:.3f} rad from where it was sent: the arm does not follow"
        return ""


def _told(age: float) -> str:
    """When messages are stamped that come `age` seconds after their stamp, in words."""
    return f"{age:.2f} s before they come" if age > 0 else f"{-age:.2f} s in the future"
