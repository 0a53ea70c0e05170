"""What stops an arm, and what must be true before it moves. No rclpy: times are seconds, stamps nanoseconds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from viper_ros.arm.motion import HOMING_REACH, OVERSHOOT, ROOM, Course, Limits, Motion

LET_GO = "the dead-man switch is not held"
HOMING_PATIENCE = 10.0
"""So many seconds an arm may take to get HOMING_PROGRESS nearer to home."""
HOMING_PROGRESS = 0.1
"""rad, of the joint that is furthest from home."""
REMEMBERED = 256
"""Time steps shown whose answers are still recognised; answers to older ones are out of order anyhow."""


@dataclass(frozen=True)
class Deadlines:
    """How old what the arm depends on may be, in seconds."""

    action: float
    """From a time step's being shown to the policy's answer, and between two answers."""
    frame: float
    joint_states: float
    dead_man: float | None
    """Between two signs of the operator's; None where no dead-man switch is used."""


class State(Enum):
    HOLDING = "holding"
    RUNNING = "running"
    """The policy moves the arm."""
    HOMING = "going home"
    FAULTED = "stopped by a fault"


class Guard:
    """Lets an arm move only while all is well; the first fault brakes it and is kept until `clear`.

    `tick` once a control period. Whatever is called with whatever, its courses keep the limits, and after a fault they
    brake and then stand still.
    """

    def __init__(
        self,
        limits: Limits,
        deadlines: Deadlines,
        period: float,
        hand: Callable[[np.ndarray], np.ndarray],
        *,
        actions: int,
        following: float | None,
    ) -> None:
        """`actions`: length of an action. `following`: rad by which a joint may differ from its command; None where
        commands are only shown."""
        self.motion = Motion(limits, period, hand)
        self.state = State.HOLDING
        self.reason = ""
        """Why the arm was stopped, while the state is FAULTED."""
        self._period = period
        self._ticked_at = np.inf
        self._deadlines = deadlines
        self._actions = actions
        self._following = following
        self._shown: OrderedDict[int, float] = OrderedDict()
        self._answered = -1
        self._measured: np.ndarray | None = None
        self._measured_at = self._frame_at = self._action_at = self._dead_man_at = -np.inf
        self._stop_pressed = False
        self._nearest = self._nearer_at = np.inf
        """How near to home the arm has come, in rad, and when."""

    def fault(self, reason: str) -> None:
        """Stop the arm. The first reason is kept."""
        if self.state is not State.FAULTED:
            self.state, self.reason = State.FAULTED, reason

    def press_stop(self) -> None:
        self._stop_pressed = True
        self.fault("the emergency stop is pressed")

    def release_stop(self) -> None:
        """Nothing moves for that: the fault stays until `clear`."""
        self._stop_pressed = False

    def hold_dead_man(self, held: bool, now: float) -> None:
        self._dead_man_at = now if held else -np.inf
        if not held and self._deadlines.dead_man is not None and self.state in (State.RUNNING, State.HOMING):
            self.fault(LET_GO)

    def joint_states(self, positions: np.ndarray, now: float) -> None:
        """Measured joint positions, float64 [joints]."""
        if positions.shape != self.motion.position.shape or not np.isfinite(positions).all():
            self.fault("joint states that are not finite numbers, one a joint")
            return
        self._measured, self._measured_at = positions, now

    def frame(self, taken: float, now: float) -> None:
        """The camera has brought a frame, taken at this time. One from the future counts as taken now."""
        self._frame_at = max(self._frame_at, min(taken, now))

    def shown(self, stamp: int, now: float) -> None:
        """The policy is being shown the time step with this stamp."""
        self._shown[stamp] = now
        while len(self._shown) > REMEMBERED:
            self._shown.popitem(last=False)

    def action(self, stamp: int, values: np.ndarray, now: float) -> np.ndarray | None:
        """The policy's answer to a time step, clipped to [-1, 1]; None where the arm must not act on it.

        An answer that comes while no episode runs is passed over.
        """
        if self.state is not State.RUNNING:
            return None
        reason = self._why_not(stamp, values, now)
        if reason:
            self.fault(reason)
            return None
        self._answered, self._action_at = stamp, now
        return np.clip(values, -1, 1)

    def start(self, now: float) -> str:
        """Let the policy move the arm from now on; returns why not, empty where it may."""
        refusal = self._refusal(State.RUNNING, now)
        if not refusal:
            self.state = State.RUNNING
            self._action_at = now
            self._shown.clear()
        return refusal

    def go_home(self, now: float) -> str:
        """Let the arm go home from now on; returns why not, empty where it may."""
        refusal = self._refusal(State.HOMING, now)
        if not refusal:
            self.state, self._nearest, self._nearer_at = State.HOMING, np.inf, now
        return refusal

    def nearing_home(self, distance: float, now: float) -> None:
        """The joint that is furthest from home is `distance` rad away; no progress is a fault."""
        if self.state is not State.HOMING:
            return
        if distance < self._nearest - HOMING_PROGRESS:
            self._nearest, self._nearer_at = distance, now
        elif now - self._nearer_at > HOMING_PATIENCE:
            self.fault("it finds no way home within its limits: bring it back by hand")

    def hold(self) -> None:
        """End what moves the arm, in good order."""
        if self.state is not State.FAULTED:
            self.state = State.HOLDING

    def clear(self) -> str:
        """Forget the fault; the arm stays still until `start` or `go_home`. Returns why not, empty where it is so."""
        if self._stop_pressed:
            return "the emergency stop is pressed: release it first"
        if not self.motion.still:
            return "the arm is still braking: try again in a second"
        self.state, self.reason = State.HOLDING, ""
        return ""

    def tick(self, wanted: np.ndarray, now: float) -> Course | None:
        """One control period: move towards the joint velocities `wanted`, float64 [joints], where that is allowed.

        None where there is nothing to command: the arm stands still and may not move.
        """
        if self.state in (State.RUNNING, State.HOMING):
            reason = self._overdue(self.state, now) or self._astray()
            if not reason and not np.isfinite(wanted).all():
                reason = "joint velocities that are not finite"
            if reason:
                self.fault(reason)
        late, self._ticked_at = now - self._ticked_at - self._period, now
        may_move = self.state in (State.RUNNING, State.HOMING)
        if not may_move and self.motion.still:
            return None
        return self.motion.advance(wanted if may_move else np.zeros_like(self.motion.position), late)

    def brake(self, now: float) -> Course | None:
        """Straight after a fault: the course that stops the arm, without waiting for the next `tick`.

        The next one is then due a period from now. None where there is nothing to command before it.
        """
        if self.state is not State.FAULTED or self.motion.still:
            return None
        course = self.motion.brake(now - self._ticked_at)
        if course:
            self._ticked_at = now
        return course

    def _why_not(self, stamp: int, values: np.ndarray, now: float) -> str:
        if values.shape != (self._actions,):
            return f"an action of {values.size} values, not {self._actions}: the parameter 'action' says what they are"
        if not np.isfinite(values).all():
            return "an action that is not finite"
        if stamp == self._answered:
            return "an action was replayed"
        if stamp < self._answered:
            return "an action came out of order"
        if stamp not in self._shown:
            return "an action that answers no frame of this episode: early, or from elsewhere"
        if now - self._shown[stamp] > self._deadlines.action:
            return f"an action came {now - self._shown[stamp]:.3f} s after its frame: stale"
        return ""

    def _refusal(self, state: State, now: float) -> str:
        if self.state is State.FAULTED:
            return f"{self.reason}: clear the fault first"
        if self.state is not State.HOLDING or not self.motion.still:
            return f"the arm is {self.state.value} and not at rest"
        if self._measured is None:
            return "no joint states have come yet"
        reason = (
            self._overdue(state, now, waiting_for_actions=False)
            or self.motion.beyond_joint_limits(self._measured)
            or self._out_of_reach(state, self._measured)
        )
        if not reason:
            self.motion.place(self._measured, ROOM if state is State.HOMING else 0.0)
        return reason

    def _out_of_reach(self, state: State, measured: np.ndarray) -> str:
        far = self.motion.outside_workspace(measured, HOMING_REACH)
        if far:
            return f"{far}: bring it back by hand"
        outside = self.motion.outside_workspace(measured, OVERSHOOT) if state is State.RUNNING else ""
        return f"{outside}: call reset_episode, or bring it back by hand" if outside else ""

    def _overdue(self, state: State, now: float, waiting_for_actions: bool = True) -> str:
        deadlines = self._deadlines
        if now - self._measured_at > deadlines.joint_states:
            return f"no joint states for {deadlines.joint_states} s"
        if deadlines.dead_man is not None and now - self._dead_man_at > deadlines.dead_man:
            return LET_GO
        if state is State.RUNNING:
            if now - self._frame_at > deadlines.frame:
                return f"no camera frame younger than {deadlines.frame} s"
            if waiting_for_actions and now - self._action_at > deadlines.action:
                return f"no action from the policy for {deadlines.action} s"
        return ""

    def _astray(self) -> str:
        if self._following is None or self._measured is None:
            return ""
        errors = np.abs(self._measured - self.motion.position)
        joint = int(errors.argmax())
        if errors[joint] > self._following:
            return f"joint {joint + 1} is {errors[joint]:.3f} rad from where it was sent: the arm does not follow"
        return ""
