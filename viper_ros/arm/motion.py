"""Joint motion that can always be stopped: every command is sent only after its stop has been planned and checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ruckig import ControlInterface, InputParameter, Ruckig, Synchronization, Trajectory

SAMPLE_SECONDS = 0.01
"""Between the points of a course, and between those at which the hand is held to the workspace."""
SLOWER = (1.0, 0.5, 0.25)
"""Shares of the wanted velocity that are tried, before braking."""
OVERSHOOT = 0.02
"""rad and m by which an arm may have run, or hang, out of its limits and still begin to move, from there inwards."""
HOMING_REACH = 0.15
"""m by which a hand may be out of its workspace and still be brought home."""
ROOM = 0.001
"""m by which a hand that is out of its workspace may get further out on its way home: joints do not speed up as one."""


@dataclass(frozen=True)
class Limits:
    """What an arm may do. Arrays are float64 [joints], in rad, rad/s, rad/s² and rad/s³."""

    position_low: np.ndarray
    position_high: np.ndarray
    velocity: np.ndarray
    acceleration: np.ndarray
    jerk: np.ndarray
    workspace_low: np.ndarray
    """float64 [3]: corner of the box in which the hand stays, in m, in the frame of the arm's base."""
    workspace_high: np.ndarray


@dataclass(frozen=True)
class Course:
    """Where the joints are to go: one period of motion, then the stop that follows if nothing else is said."""

    times: np.ndarray
    """float64 [points], seconds from now, growing."""
    positions: np.ndarray
    """float64 [points, joints]; `velocities` and `accelerations` alike. The last point is at rest."""
    velocities: np.ndarray
    accelerations: np.ndarray


@dataclass(frozen=True)
class _Step:
    way: Trajectory
    stop: Trajectory
    course: Course


class Motion:
    """The commanded motion of an arm's joints, in steps of one period.

    Velocities wanted are reached as fast as acceleration and jerk allow (Berscheid and Kröger 2021, the Ruckig
    algorithm). A step is taken only where the stop from its end stays within all limits; otherwise a slower one is
    tried, and at last the stop planned before goes on. So limits hold whatever is wanted, and an arm that begins out of
    them goes no further out.
    """

    def __init__(self, limits: Limits, period: float, hand: Callable[[np.ndarray], np.ndarray]) -> None:
        """`hand` gives the hand's positions [n, 3] in m for joint positions [n, joints]."""
        self.limits = limits
        self._period = period
        self._samples = int(np.ceil(period / SAMPLE_SECONDS))
        self._hand = hand
        # Between two samples a joint strays from the straight line by no more than this.
        self._bulge = limits.acceleration * SAMPLE_SECONDS**2 / 8
        joints = len(limits.velocity)
        self._planner = Ruckig(joints)
        self._request = InputParameter(joints)
        self._request.control_interface = ControlInterface.Velocity
        self._request.synchronization = Synchronization.No
        self._request.max_acceleration = limits.acceleration.tolist()
        self._request.max_jerk = limits.jerk.tolist()
        self.place(np.zeros(joints))

    def place(self, position: np.ndarray, room: float = 0.0) -> None:
        """Begin at rest at `position`, float64 [joints]; a hand that is out of its workspace there may get `room` m
        further out."""
        self._rest(position)
        self._room = room
        self._workspace_low, self._workspace_high = np.full(3, -np.inf), np.full(3, np.inf)
        self._set_bounds()

    def _rest(self, position: np.ndarray) -> None:
        self.position = np.array(position, np.float64)
        self.velocity, self.acceleration = np.zeros_like(self.position), np.zeros_like(self.position)
        self._way = self._stop = self._plan(self.position, self.velocity, self.acceleration, self.velocity)

    @property
    def still(self) -> bool:
        return not (self.velocity.any() or self.acceleration.any())

    def beyond_joint_limits(self, position: np.ndarray) -> str:
        """Why the arm must not move from `position`, float64 [joints]; empty where it may."""
        limits = self.limits
        low, high = limits.position_low - OVERSHOOT, limits.position_high + OVERSHOOT
        for joint in np.flatnonzero((position < low) | (position > high)):
            limit = f"its limits {limits.position_low[joint]:.3f} to {limits.position_high[joint]:.3f}"
            return f"joint {joint + 1} is at {position[joint]:.3f} rad, outside {limit}: bring it back by hand"
        return ""

    def outside_workspace(self, position: np.ndarray, allowed: float) -> str:
        """Where `position`, float64 [joints], puts the hand; empty where its workspace is within `allowed` m of it."""
        limits, hand = self.limits, self._hand(position[None])[0]
        if (hand < limits.workspace_low - allowed).any() or (hand > limits.workspace_high + allowed).any():
            return f"the hand is at {np.round(hand, 3).tolist()} m, outside its workspace"
        return ""

    def advance(self, wanted: np.ndarray, late: float = 0.0) -> Course:
        """Move on by one period towards the velocities `wanted` (finite, float64 [joints]); zeros stop the arm.

        Where the call comes `late`, in seconds, the arm has begun the stop that ended the course before, and is taken
        up from there.
        """
        if late > 0:
            self._be(self._stop.at_time(min(late, self._stop.duration)))
        wanted = self._slowed_near_limits(wanted)
        best = self._step(np.zeros_like(wanted))  # Its stop was checked when the step before was taken.
        for share in SLOWER if wanted.any() else ():
            towards = share * wanted
            blocked = self._blocked(self._step(towards).course)
            towards[blocked] = 0
            faster = self._step(towards)
            if self._in_workspace(faster.course) and not (self._blocked(faster.course) & ~blocked).any():
                best = faster
                break
        self._take(best)
        return best.course

    def brake(self, elapsed: float) -> Course | None:
        """Stop from where the arm is `elapsed` seconds into the period under way, instead of at its end.

        None where the period is over or that stop would break a limit: `advance` is then to stop it.
        """
        if not 0 <= elapsed < self._period:
            return None
        here = self.position, self.velocity, self.acceleration
        self.position, self.velocity, self.acceleration = (np.array(part) for part in self._way.at_time(elapsed))
        step = self._step(np.zeros_like(self.position))
        if self._blocked(step.course).any() or not self._in_workspace(step.course):
            self.position, self.velocity, self.acceleration = here
            return None
        self._take(step)
        return step.course

    def _take(self, step: _Step) -> None:
        self._way, self._stop = step.way, step.stop
        self._be(step.way.at_time(self._period))

    def _be(self, state: tuple[list[float], list[float], list[float]]) -> None:
        self.position, self.velocity, self.acceleration = (np.array(part) for part in state)
        if np.abs(self.velocity).max() < 1e-9 and np.abs(self.acceleration).max() < 1e-6:
            self._rest(self.position)
        self._set_bounds()

    def _set_bounds(self) -> None:
        """The limits; where the arm is out of them already, no further out than it is, nor than it was before."""
        limits, hand = self.limits, self._hand(self.position[None])[0]
        self._low = np.minimum(limits.position_low, self.position - self._bulge)
        self._high = np.maximum(limits.position_high, self.position + self._bulge)
        here_low = np.where(hand < limits.workspace_low, hand - self._room, limits.workspace_low)
        here_high = np.where(hand > limits.workspace_high, hand + self._room, limits.workspace_high)
        self._workspace_low = np.maximum(self._workspace_low, here_low)
        self._workspace_high = np.minimum(self._workspace_high, here_high)

    def _slowed_near_limits(self, wanted: np.ndarray) -> np.ndarray:
        """Velocities from which a joint stops before its limit at half its acceleration, without hard braking."""
        limits = self.limits
        ahead = self.position + self.velocity * self._period
        up = np.sqrt(limits.acceleration * np.maximum(limits.position_high - ahead, 0))
        down = np.sqrt(limits.acceleration * np.maximum(ahead - limits.position_low, 0))
        return np.clip(wanted, -np.minimum(down, limits.velocity), np.minimum(up, limits.velocity))

    def _plan(self, position: np.ndarray, velocity: np.ndarray, acceleration: np.ndarray, to: np.ndarray) -> Trajectory:
        request = self._request
        request.current_position = position.tolist()
        request.current_velocity = velocity.tolist()
        request.current_acceleration = acceleration.tolist()
        request.target_velocity = to.tolist()
        trajectory = Trajectory(len(position))
        self._planner.calculate(request, trajectory)
        return trajectory

    def _step(self, to: np.ndarray) -> _Step:
        """One period from here towards velocities `to`, and the stop from its end."""
        way = self._plan(self.position, self.velocity, self.acceleration, to)
        position, velocity, acceleration = (np.array(part) for part in way.at_time(self._period))
        stop = self._plan(position, velocity, acceleration, np.zeros_like(to))
        moving = np.linspace(0, self._period, 1 + self._samples)[1:]
        stopping = np.linspace(0, stop.duration, 1 + int(np.ceil(stop.duration / SAMPLE_SECONDS)))[1:]
        points = [way.at_time(time) for time in moving] + [stop.at_time(time) for time in stopping]
        parts = (np.array([point[part] for point in points]) for part in range(3))
        return _Step(way, stop, Course(np.concatenate([moving, self._period + stopping]), *parts))

    def _blocked(self, course: Course) -> np.ndarray:
        """Which joints would break their limits on the way: bool [joints]."""
        limits = self.limits
        velocity, acceleration = course.velocities[self._samples - 1], course.accelerations[self._samples - 1]
        # Where velocity gets to while acceleration goes back to zero.
        peak = velocity + acceleration * np.abs(acceleration) / (2 * limits.jerk)
        low, high = course.positions.min(0) - self._bulge, course.positions.max(0) + self._bulge
        return (np.abs(peak) > limits.velocity) | (low < self._low) | (high > self._high)

    def _in_workspace(self, course: Course) -> bool:
        hand = self._hand(course.positions)
        return bool((hand >= self._workspace_low).all() and (hand <= self._workspace_high).all())
