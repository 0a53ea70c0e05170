"""A real arm as an environment, in real time: it stands where sim_node stands, and holds the arm to
`viper_ros.arm.safety`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from time import monotonic
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger
from threadpoolctl import threadpool_limits
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from sim import ActionSpace, Description
from viper_lab.errors import UserError
from viper_lab.parameters import Parameter
from viper_ros.arm import description as arm
from viper_ros.arm.motion import Course
from viper_ros.arm.safety import Guard, State
from viper_ros.messages import environment_description as description
from viper_ros.msg import Action, Step
from viper_ros.runtime.node import Health, ViperNode
from viper_ros.runtime.process import run_process
from viper_ros.runtime.qos import LATCHED, RELIABLE
from viper_ros.runtime.stamps import nanoseconds, to_stamp

PRIORITY = 50
"""Real-time priority, that of ros2_control's controller manager."""

PARAMETERS = (
    Parameter("arm", "panda", "Arm, by its file in config/arms/.", choices=arm.arms()),
    Parameter("task", "deploy", "What the arm is to do: the label that conditions the video model."),
    Parameter("dry_run", True, "Only show commands, on <topic>/would_send: the arm does not move."),
    Parameter(
        "action",
        "end_effector",
        "What an action's values are, the last being the gripper's: velocities of the hand along and about x, y, z; "
        "along them; along them and about z (the last two as policies from sim:=robosuite give them); of the joints.",
        choices=arm.ACTION_KINDS,
    ),
    Parameter(
        "output",
        "trajectory",
        "trajectory: JointTrajectory for a joint_trajectory_controller; twist: TwistStamped for MoveIt Servo.",
        choices=("trajectory", "twist"),
    ),
    Parameter("dead_man", False, "Move only while `true` keeps coming on the topic enable."),
    Parameter(
        "step_seconds",
        0.1,
        "Time between two steps that the policy is shown, as in the environment that trained it: full control periods.",
        0.01,
        1.0,
    ),
    Parameter("episode_seconds", 60.0, "Length of an episode, unless it is ended before.", 1.0, 3600.0),
)


class ArmNode(ViperNode):
    """Publishes image_raw, step and (latched) description every step_seconds of an episode; subscribes to action.

    On the arm's side: subscribes to camera/image_raw, joint_states, e_stop and enable; publishes
    arm_controller/joint_trajectory or servo/delta_twist_cmds, and gripper_controller/joint_trajectory. Services:
    start_episode, end_episode, reset_episode, clear_fault, e_stop.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("arm_node", PARAMETERS, **options)
        self.guard: Guard | None = None
        """From `configure` to `cleanup`."""

    def configure(self) -> None:
        self._arm = arm.load(self.value("arm"))
        self._period = 1 / self._arm.control_rate
        deadlines = self._arm.deadlines
        self._periods_a_step = self._count_periods(self.value("step_seconds"))
        self.guard = self._guard_of_arm = Guard(
            self._arm.limits,
            deadlines if self.value("dead_man") else dataclasses.replace(deadlines, dead_man=None),
            self._period,
            self._arm.kinematics.hand,
            actions=self._arm.action_size(self.value("action")),
            following=None if self.value("dry_run") else self._arm.following,
        )
        dry = "/would_send" if self.value("dry_run") else ""
        self._images = self.create_publisher(Image, "image_raw", RELIABLE)
        self._steps = self.create_publisher(Step, "step", RELIABLE)
        self._descriptions = self.create_publisher(String, "description", LATCHED)
        if self.value("output") == "trajectory":
            self._commands = self.create_publisher(JointTrajectory, f"arm_controller/joint_trajectory{dry}", RELIABLE)
        else:
            self._commands = self.create_publisher(TwistStamped, f"servo/delta_twist_cmds{dry}", RELIABLE)
        self._gripper = self.create_publisher(JointTrajectory, f"gripper_controller/joint_trajectory{dry}", RELIABLE)
        self._image: Image | None = None
        self._described: tuple[int, int] | None = None
        self._action: np.ndarray | None = None
        self._fingers: list[float] = []
        self._episode = -1
        self._index = 0
        self._periods = 0
        self._stamp = 0
        self._began = 0.0
        self._said = ""

    def activate(self) -> None:
        self._take(Image, "camera/image_raw", self._on_image, qos_profile_sensor_data)
        self._take(JointState, "joint_states", self._on_joint_states, qos_profile_sensor_data)
        self._take(Action, "action", self._on_action, RELIABLE)
        self._take(Bool, "e_stop", self._on_e_stop, RELIABLE)
        self._take(Bool, "enable", self._on_enable, RELIABLE)
        self._offers = [
            self._offer("start_episode", self._start_episode),
            self._offer("end_episode", self._end_episode),
            self._offer("reset_episode", self._reset_episode),
            self._offer("clear_fault", self._guard_of_arm.clear),
            self._offer("e_stop", self._e_stop),
        ]
        self._timer = self.every(self._period, self._tick)
        if self.value("dry_run"):
            self.get_logger().warning("dry run: commands are only shown; dry_run:=false moves the arm")

    def deactivate(self) -> None:
        # Before all else. Every command ends in a stop: this one brakes at once.
        self._guard_of_arm.hold()
        self._command(self._guard_of_arm.tick(np.zeros(len(self._arm.joints)), monotonic()))
        self._finish_episode()
        self.destroy_timer(self._timer)
        for service in self._offers:
            self.destroy_service(service)

    def cleanup(self) -> None:
        for publisher in (self._images, self._steps, self._descriptions, self._commands, self._gripper):
            self.destroy_publisher(publisher)
        self.guard = None
        del self._guard_of_arm

    def claims(self) -> dict[str, type]:
        return {"step": Step, "image_raw": Image}

    def health(self) -> Health:
        if self.guard is None:
            return Health("not configured")
        values = {
            "state": self.guard.state.value,
            "dry_run": self.value("dry_run"),
            "episode": self._episode,
            "speed": round(float(np.abs(self.guard.motion.velocity).max()), 4),
        }
        if self.guard.state is State.FAULTED:
            return Health(f"{self.guard.reason}; call clear_fault when all is well", DiagnosticStatus.ERROR, values)
        return Health(self.guard.state.value, values=values)

    def _offer(self, name: str, act: Callable[[], str]) -> Any:
        """A service that does `act`, which says why it can't: the empty string where it can."""

        def answer(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            refusal = act()
            if refusal:
                self.get_logger().warning(f"{name}: {refusal}")
            response.success, response.message = not refusal, refusal
            return response

        return self.create_service(Trigger, name, self._answering(answer))

    def _start_episode(self) -> str:
        if not self._steps.get_subscription_count():
            return "no policy listens to step yet"
        refusal = self._guard_of_arm.start(monotonic())
        if not refusal:
            self._episode += 1
            self._index = 0
            self._periods = 0
            self._began = monotonic()
            self._action = None
        return refusal

    def _end_episode(self) -> str:
        if self._guard_of_arm.state is not State.RUNNING:
            return "no episode is under way"
        self._guard_of_arm.hold()
        return ""

    def _reset_episode(self) -> str:
        """Bring the arm home, where the next episode begins."""
        return self._guard_of_arm.go_home(monotonic())

    def _e_stop(self) -> str:
        """As pressing and letting go of a button: clear_fault ends it."""
        self._guard_of_arm.fault("stopped by the service e_stop")
        self._meet_fault()
        return ""

    def _on_e_stop(self, pressed: Bool) -> None:
        if pressed.data:
            self._guard_of_arm.press_stop()
        else:
            self._guard_of_arm.release_stop()

    def _on_enable(self, held: Bool) -> None:
        self._guard_of_arm.hold_dead_man(held.data, monotonic())

    def _on_image(self, image: Image) -> None:
        now = monotonic()
        age = (self.get_clock().now().nanoseconds - nanoseconds(image.header.stamp)) / 1e9
        self._guard_of_arm.frame(now - age, now)
        self._image = image
        size = (image.height, image.width)
        if self._described != size:
            self._described = size
            space = ActionSpace("continuous", self._arm.action_size(self.value("action")))
            facts = Description(
                "arm", self.value("task"), space, size, self.value("step_seconds"), (0.0, 1.0), {"arm": self._arm.name}
            )
            self._descriptions.publish(String(data=description.to_json(facts)))

    def _on_joint_states(self, states: JointState) -> None:
        # Others, such as the gripper's broadcaster, may publish on the same topic.
        if set(self._arm.joints) <= set(states.name) and len(states.position) == len(states.name):
            places = dict(zip(states.name, states.position, strict=True))
            positions = np.array([places[joint] for joint in self._arm.joints])
            self._guard_of_arm.joint_states(positions, monotonic())

    def _on_action(self, action: Action) -> None:
        values = np.array(action.values, np.float64)
        taken = self._guard_of_arm.action(nanoseconds(action.header.stamp), values, monotonic())
        if taken is not None:
            self._action = taken

    def _take(self, kind: type, topic: str, callback: Callable[[Any], None], qos: QoSProfile) -> None:
        """Subscribe; a message that is a fault brakes the arm at once, without waiting for the next tick."""

        def take(message: Any) -> None:
            callback(message)
            self._meet_fault()

        self.listen(kind, topic, take, qos)

    def _meet_fault(self) -> None:
        if self._guard_of_arm.reason == self._said:
            return
        course = self._guard_of_arm.brake(monotonic())
        if course:
            self._command(course)
            self._timer.reset()
        self._tell()

    def _tell(self) -> None:
        """Say why the arm was stopped, once."""
        reason = self._guard_of_arm.reason
        if reason and reason != self._said:
            self.get_logger().error(f"the arm is stopped: {reason}; call clear_fault when all is well")
        self._said = reason

    def _tick(self) -> None:
        guard = self._guard_of_arm
        guard.nearing_home(self._arm.from_home(guard.motion.position), monotonic())
        self._command(guard.tick(self._wanted(), monotonic()))
        if guard.state is State.HOMING and guard.motion.still and self._arm.is_home(guard.motion.position):
            guard.hold()
        self._tell()
        if guard.state is State.RUNNING:
            if self._periods % self._periods_a_step == 0:
                self._show(is_last=monotonic() - self._began >= self.value("episode_seconds"))
            self._periods += 1
        else:
            self._finish_episode()

    def _count_periods(self, seconds: float) -> int:
        """The control periods in `seconds`."""
        periods = round(seconds / self._period)
        if periods < 1 or abs(periods * self._period - seconds) > 1e-6:
            raise UserError(
                f"step_seconds {seconds}: give full control periods, {self._period} s each on {self._arm.name}"
            )
        if seconds >= self._arm.deadlines.action:
            deadline = self._arm.deadlines.action
            raise UserError(f"step_seconds {seconds}: must be shorter than {self._arm.name}'s deadline, {deadline} s")
        return periods

    def _wanted(self) -> np.ndarray:
        """Joint velocities, float64 [joints] in rad/s."""
        guard = self._guard_of_arm
        if guard.state is State.HOMING:
            velocities = self._arm.homeward(guard.motion.position)
            return np.zeros_like(velocities) if self._arm.is_home(guard.motion.position) else velocities
        if guard.state is State.RUNNING and self._action is not None:
            return self._arm.wanted(self.value("action"), self._action, guard.motion.position)
        return np.zeros(len(self._arm.joints))

    def _finish_episode(self) -> None:
        """Tell the policy that the episode is over, where it is not told yet."""
        if self._index:
            self._show(is_last=True)

    def _show(self, is_last: bool) -> None:
        """Publish the time step."""
        if self._image is None:
            return
        self._stamp = max(self.get_clock().now().nanoseconds, self._stamp + 1)
        step = Step(
            task=self.value("task"),
            episode=self._episode,
            index=self._index,
            is_first=self._index == 0,
            is_last=is_last,
            task_reward=float("nan"),
            normalised_score=float("nan"),
        )
        step.header.stamp = to_stamp(self._stamp)
        step.header.frame_id = self._image.header.frame_id
        image = self._image
        image.header.stamp = step.header.stamp
        self._index += 1
        if is_last:
            self._guard_of_arm.hold()
            self._index = 0
        else:
            self._guard_of_arm.shown(self._stamp, monotonic())
        self._steps.publish(step)
        self._images.publish(image)

    def _command(self, course: Course | None) -> None:
        if course is None:
            return
        if self.value("output") == "trajectory":
            self._commands.publish(self._trajectory(course))
        else:
            self._commands.publish(self._twist())
        if self._guard_of_arm.state is State.RUNNING and self._action is not None:
            fingers = self._arm.fingers(self._action)
            if fingers != self._fingers:
                self._fingers = fingers
                message = JointTrajectory(joint_names=list(self._arm.gripper.joints))
                message.points = [JointTrajectoryPoint(positions=fingers, time_from_start=_duration(self._period))]
                self._gripper.publish(message)
        if self.value("dry_run") and not self._guard_of_arm.motion.still:
            velocity = np.round(self._guard_of_arm.motion.velocity, 3).tolist()
            self.get_logger().info(f"would move the joints with {velocity} rad/s", throttle_duration_sec=1.0)

    def _trajectory(self, course: Course) -> JointTrajectory:
        message = JointTrajectory(joint_names=list(self._arm.joints))
        # A controller refuses what is over: a network may keep commands while a link is cut, and bring them afterwards.
        message.header.stamp = self.get_clock().now().to_msg()
        message.points = [
            JointTrajectoryPoint(
                positions=position.tolist(),
                velocities=velocity.tolist(),
                accelerations=acceleration.tolist(),
                time_from_start=_duration(time),
            )
            for time, position, velocity, acceleration in zip(
                course.times, course.positions, course.velocities, course.accelerations, strict=True
            )
        ]
        return message

    def _twist(self) -> TwistStamped:
        """The hand's velocity that the guarded joint velocities give."""
        motion = self._guard_of_arm.motion
        values = (self._arm.kinematics.jacobian(motion.position) @ motion.velocity).tolist()
        message = TwistStamped()
        message.header.stamp = self.get_clock().now().to_msg()
        message.header.frame_id = self._arm.base_frame
        message.twist.linear.x, message.twist.linear.y, message.twist.linear.z = values[:3]
        message.twist.angular.x, message.twist.angular.y, message.twist.angular.z = values[3:]
        return message


def _duration(seconds: float) -> Duration:
    whole = int(seconds)
    return Duration(sec=whole, nanosec=round((seconds - whole) * 1e9))


def before_others() -> None:
    """Ask for real-time scheduling, as ros2_control does: other programs then don't delay the arm's stop.

    Threads that are started later have it too. Where the user may not, the node runs like any other. Those that NumPy's
    linear algebra has already started don't have it: on a busy machine it would wait for them, up to seconds, so it is
    told to do without.
    """
    threadpool_limits(1)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except OSError:
        print("arm_node: no real-time scheduling, so a busy machine delays stops: see docs/reliability.md", flush=True)


def main() -> int:
    before_others()
    return run_process(ArmNode)
