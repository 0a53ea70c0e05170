"""Joint motion that can always be stopped: every command is sent only after its stop has been planned and checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import ruckig

SAMPLE_SECONDS = 0.01
"""Between the points of a trajectory, at which the end effector's place is checked against the workspace."""
SPEED_FRACTIONS = (1.0, 0.5, 0.25)
"""Of the target velocities: what is tried, in this order, before braking."""
LIMIT_TOLERANCE = 0.02
"""rad and m by which an arm at rest may be beyond its limits and still begin to move, from there inwards."""
HOMING_RANGE = 0.15
"""m by which the end effector may be outside its workspace and still be brought home."""
HOMING_SLACK = 0.001
"""m by which an end effector outside its workspace may get further out on its way home: joints don't speed up alike."""


@dataclass(frozen=True)
class Limits:
    """What an arm may do. float64 [joints] in rad, rad/s, rad/s² and rad/s³; the workspace's float64 [3] in m."""

    position_low: np.ndarray
    position_high: np.ndarray
    velocity: np.ndarray
    acceleration: np.ndarray
    jerk: np.ndarray
    workspace_low: np.ndarray
    """Lower corner of the box in which the tool centre point stays, in the frame of the arm's base."""
    workspace_high: np.ndarray


@dataclass(frozen=True)
class Trajectory:
    """What is commanded: one control period of motion, then the stop that follows unless another command comes."""

    times: np.ndarray
    """float64 [points]: seconds from now, growing."""
    positions: np.ndarray
    """float64 [points, joints] in rad. The last point is at rest."""
    velocities: np.ndarray
    """float64 [points, joints] in rad/s."""
    accelerations: np.ndarray
    """float64 [points, joints] in rad/s²."""

    def delayed(self, seconds: float) -> Trajectory:
        """The same motion, begun so much later: until then what was commanded before goes on."""
        return replace(self, times=self.times + seconds)


@dataclass(frozen=True)
class _Plan:
    move: ruckig.Trajectory
    """Its first control period is carried out."""
    stop: ruckig.Trajectory
    """From the end of that period."""
    trajectory: Trajectory
    """Both, sampled."""


class Motion:
    """The commanded motion of an arm's joints, planned one control period at a time.

    Target velocities are reached as fast as acceleration and jerk allow (Berscheid and Kröger 2021, the Ruckig
    algorithm). A plan is taken only where it, and the stop from its end, stay within all limits. Otherwise slower ones
    are tried, and at last the stop planned before is carried out. So limits hold whatever the targets, and an arm that
    begins beyond them gets no further out.
    """

    def __init__(self, limits: Limits, period: float, tcp_positions: Callable[[np.ndarray], np.ndarray]) -> None:
        """`period`: seconds between two commands. `tcp_positions`: the tool centre points [n, 3] in m for joint
        positions [n, joints]."""
        self.limits = limits
        self._period = period
        self._samples = int(np.ceil(period / SAMPLE_SECONDS))
        self._tcp_positions = tcp_positions
        # By how much a joint may leave the straight line between two samples.
        self._sampling_error = limits.acceleration * SAMPLE_SECONDS**2 / 8
        joints = len(limits.velocity)
        self._planner = ruckig.Ruckig(joints)
        self._request = ruckig.InputParameter(joints)
        self._request.control_interface = ruckig.ControlInterface.Velocity
        self._request.synchronization = ruckig.Synchronization.No
        self._request.max_acceleration = limits.acceleration.tolist()
        self._request.max_jerk = limits.jerk.tolist()
        self.rest_at(np.zeros(joints))

    def rest_at(self, position: np.ndarray, slack: float = 0.0) -> None:
        """Begin at rest at `position`, float64 [joints] in rad.

        An end effector that is outside its workspace there may get `slack` m further out.
        """
        self._rest(position)
        self._slack = slack
        self._workspace_low, self._workspace_high = np.full(3, -np.inf), np.full(3, np.inf)
        self._set_bounds()

    def _rest(self, position: np.ndarray) -> None:
        self.position = np.array(position, np.float64)
        self.velocity, self.acceleration = np.zeros_like(self.position), np.zeros_like(self.position)
        self._move = self._stop = self._plan_to(self.position, self.velocity, self.acceleration, self.velocity)

    @property
    def at_rest(self) -> bool:
        return not (self.velocity.any() or self.acceleration.any())

    def rest_if_stopped(self, late: float) -> bool:
        """Whether the arm has come to rest by itself, where nothing has been commanded for `late` seconds after the
        period: at the end of the stop that ends every trajectory. The motion then rests there."""
        if late < self._stop.duration:
            return False
        self._rest(np.array(self._stop.at_time(self._stop.duration)[0]))
        return True

    def beyond_joint_limits(self, position: np.ndarray) -> str:
        """Why the arm must not move from `position`, float64 [joints]; empty where it may."""
        limits = self.limits
        low, high = limits.position_low - LIMIT_TOLERANCE, limits.position_high + LIMIT_TOLERANCE
        for joint in np.flatnonzero((position < low) | (position > high)):
            limit = f"its limits {limits.position_low[joint]:.3f} to {limits.position_high[joint]:.3f}"
            remedy = "bring it back by hand"
            if abs(position[joint]) > limits.position_high[joint] - limits.position_low[joint]:
                remedy += ", or have its driver publish radians, not degrees"
            return f"joint {joint + 1} is at {position[joint]:.3f} rad, outside {limit}: {remedy}"
        return ""

    def outside_workspace(self, position: np.ndarray, tolerance: float) -> str:
        """Where the end effector is at joint positions `position` [joints]; empty where that is no more than
        `tolerance` m outside the workspace."""
        limits, tcp = self.limits, self._tcp_positions(position[None])[0]
        if (tcp < limits.workspace_low - tolerance).any() or (tcp > limits.workspace_high + tolerance).any():
            return f"the end effector is at {np.round(tcp, 3).tolist()} m, outside its workspace"
        return ""

    def advance(self, target: np.ndarray, late: float = 0.0) -> Trajectory:
        """Move on by one period towards the joint velocities `target` [joints] in rad/s, finite; zeros stop the arm.

        Where the call comes `late`, in seconds, the arm has begun the stop that ended the trajectory before: the motion
        goes on from there.
        """
        if late > 0:
            self._set_state(self._stop.at_time(min(late, self._stop.duration)))
        target = self._slowed_near_limits(target)
        best = self._plan(np.zeros_like(target))  # Its stop was checked when the plan before was taken.
        for fraction in SPEED_FRACTIONS if target.any() else ():
            slower = fraction * target
            blocked = self._joints_over_limits(self._plan(slower).trajectory)
            slower[blocked] = 0
            plan = self._plan(slower)
            over_limits = self._joints_over_limits(plan.trajectory)
            if self._in_workspace(plan.trajectory) and not (over_limits & ~blocked).any():
                best = plan
                break
        self._take(best)
        return best.trajectory

    def brake(self, elapsed: float) -> Trajectory | None:
        """Stop from where the arm is `elapsed` seconds into the current period, instead of at its end.

        None where the period is over or that stop would break a limit: `advance` is then to stop it.
        """
        if not 0 <= elapsed < self._period:
            return None
        before = self.position, self.velocity, self.acceleration
        self.position, self.velocity, self.acceleration = (np.array(part) for part in self._move.at_time(elapsed))
        plan = self._plan(np.zeros_like(self.position))
        if self._joints_over_limits(plan.trajectory).any() or not self._in_workspace(plan.trajectory):
            self.position, self.velocity, self.acceleration = before
            return None
        self._take(plan)
        return plan.trajectory

    def _take(self, plan: _Plan) -> None:
        self._move, self._stop = plan.move, plan.stop
        self._set_state(plan.move.at_time(self._period))

    def _set_state(self, state: tuple[list[float], list[float], list[float]]) -> None:
        self.position, self.velocity, self.acceleration = (np.array(part) for part in state)
        if np.abs(self.velocity).max() < 1e-9 and np.abs(self.acceleration).max() < 1e-6:
            self._rest(self.position)
        self._set_bounds()

    def _set_bounds(self) -> None:
        """The limits; where the arm is beyond them already, no further out than it is, nor than it was before."""
        limits, tcp = self.limits, self._tcp_positions(self.position[None])[0]
        self._low = np.minimum(limits.position_low, self.position - self._sampling_error)
        self._high = np.maximum(limits.position_high, self.position + self._sampling_error)
        low = np.where(tcp < limits.workspace_low, tcp - self._slack, limits.workspace_low)
        high = np.where(tcp > limits.workspace_high, tcp + self._slack, limits.workspace_high)
        self._workspace_low = np.maximum(self._workspace_low, low)
        self._workspace_high = np.minimum(self._workspace_high, high)

    def _slowed_near_limits(self, target: np.ndarray) -> np.ndarray:
        """Velocities from which a joint stops before its limit at half its acceleration, without hard braking."""
        limits = self.limits
        ahead = self.position + self.velocity * self._period
        up = np.sqrt(limits.acceleration * np.maximum(limits.position_high - ahead, 0))
        down = np.sqrt(limits.acceleration * np.maximum(ahead - limits.position_low, 0))
        return np.clip(target, -np.minimum(down, limits.velocity), np.minimum(up, limits.velocity))

    def _plan_to(
        self, position: np.ndarray, velocity: np.ndarray, acceleration: np.ndarray, target: np.ndarray
    ) -> ruckig.Trajectory:
        request = self._request
        request.current_position = position.tolist()
        request.current_velocity = velocity.tolist()
        request.current_acceleration = acceleration.tolist()
        request.target_velocity = target.tolist()
        trajectory = ruckig.Trajectory(len(position))
        self._planner.calculate(request, trajectory)
        return trajectory

    def _plan(self, target: np.ndarray) -> _Plan:
        """One period from here towards the joint velocities `target`, and the stop from its end."""
        move = self._plan_to(self.position, self.velocity, self.acceleration, target)
        position, velocity, acceleration = (np.array(part) for part in move.at_time(self._period))
        stop = self._plan_to(position, velocity, acceleration, np.zeros_like(target))
        # The same places are looked at when the stop is gone on with: what was within limits then is so again.
        step = self._period / self._samples
        moving = step * np.arange(1, 1 + self._samples)
        stopping = np.minimum(step * np.arange(1, 1 + int(np.ceil(stop.duration / step))), stop.duration)
        points = [move.at_time(time) for time in moving] + [stop.at_time(time) for time in stopping]
        parts = (np.array([point[part] for point in points]) for part in range(3))
        return _Plan(move, stop, Trajectory(np.concatenate([moving, self._period + stopping]), *parts))

    def _joints_over_limits(self, trajectory: Trajectory) -> np.ndarray:
        """Which joints would break a limit of theirs: bool [joints]."""
        limits = self.limits
        end = self._samples - 1  # of the period
        velocity, acceleration = trajectory.velocities[end], trajectory.accelerations[end]
        # What the velocity grows to while the acceleration goes back to zero.
        peak = velocity + acceleration * np.abs(acceleration) / (2 * limits.jerk)
        low = trajectory.positions.min(0) - self._sampling_error
        high = trajectory.positions.max(0) + self._sampling_error
        return (np.abs(peak) > limits.velocity) | (low < self._low) | (high > self._high)

    def _in_workspace(self, trajectory: Trajectory) -> bool:
        tcp = self._tcp_positions(trajectory.positions)
        return bool((tcp >= self._workspace_low).all() and (tcp <= self._workspace_high).all())
