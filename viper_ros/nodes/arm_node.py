"""A real arm as an environment, in real time: it stands where sim_node stands, and holds the arm to
`viper_ros.arm.safety`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Bool, Header
from std_srvs.srv import Trigger

from viper_lab.errors import UserError
from viper_lab.parameters import Parameter
from viper_ros.arm import actions, files, homing
from viper_ros.arm.joint_states import JointStates
from viper_ros.arm.motion import Trajectory
from viper_ros.arm.safety import Guard, State
from viper_ros.messages import images
from viper_ros.msg import Action, Step
from viper_ros.nodes.arm_episode import ArmEpisode
from viper_ros.nodes.arm_output import ArmOutput
from viper_ros.nodes.episode_action import EpisodeAction
from viper_ros.runtime.node import Health, ViperNode
from viper_ros.runtime.process import run_process
from viper_ros.runtime.qos import LATCHED_SAFETY, RELIABLE, SAFETY
from viper_ros.runtime.real_time import request_real_time
from viper_ros.runtime.stamps import nanoseconds

PARAMETERS = (
    Parameter("arm", "panda", "Arm, by its file in config/arms/.", choices=files.arms()),
    files.JOINT_PREFIX,
    Parameter("task", "deploy", "What the arm is to do: the label that conditions the video model."),
    Parameter("dry_run", True, "Only show commands, on <topic>/would_send: the arm does not move."),
    Parameter(
        "action",
        "end_effector",
        "What an action's values are, the last being the gripper's: velocities of the end effector along and about "
        "x, y, z; along them; along them and about z (the last two as policies from sim:=robosuite give them); "
        "of the joints.",
        choices=actions.ACTION_KINDS,
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
LATE = 0.1
"""Control periods: a tick that is later than this has the next ones counted from it."""
CAMERA = "camera/image_raw"
SAFETY_TOPICS = ("e_stop", "enable")
"""std_msgs/Bool of the operator. They are heard from publishers of any quality of service."""


class ArmNode(ViperNode):
    """Publishes image_raw, step and (latched) description every step_seconds of an episode; subscribes to action.

    On the arm's side: subscribes to camera/image_raw, joint_states, e_stop and enable; publishes
    arm_controller/joint_trajectory or servo/delta_twist_cmds, and gripper_controller/joint_trajectory. Services:
    start_episode, end_episode, reset_episode, clear_fault, e_stop. Action: run_episode.
    """

    guard: Guard
    """From `configure` to `cleanup`."""

    def __init__(self, **options: Any) -> None:
        super().__init__("arm_node", PARAMETERS, **options)

    def configure(self) -> None:
        camera = self.resolve_topic_name(CAMERA)
        if camera == self.resolve_topic_name("image_raw"):
            raise UserError(
                f"{camera} is where the policy is shown its frames, so the camera may not publish there: "
                "start its driver in a namespace, as /camera, and name that topic"
            )
        if self.value("output") == "twist" and self.value("action") == "joint_velocity":
            raise UserError(
                "output:=twist moves the end effector: with action:=joint_velocity choose output:=trajectory"
            )
        self._arm = arm = files.load(self.value("arm")).with_prefix(self.value("joint_prefix"))
        low, high = arm.limits.workspace_low.tolist(), arm.limits.workspace_high.tolist()
        self.get_logger().info(f"{files.path_of(arm.name)}: the tool centre point stays within {low} to {high} m")
        self._joints = JointStates(arm.joints, f"joint_prefix, or joints in config/arms/{arm.name}.yaml,")
        action_size = actions.action_size(arm, self.value("action"))
        self._periods_a_step = arm.control_periods_a_step(self.value("step_seconds"))
        self.guard = Guard(
            arm.limits,
            arm.deadlines if self.value("dead_man") else dataclasses.replace(arm.deadlines, dead_man=None),
            arm.control_period,
            arm.kinematics.tcp_positions,
            action_size=action_size,
            tracking_tolerance=None if self.value("dry_run") else arm.tracking_tolerance,
            camera=camera,
        )
        self._episode = ArmEpisode(
            self,
            task=self.value("task"),
            arm=arm.name,
            action_size=action_size,
            step_seconds=self.value("step_seconds"),
        )
        self._output = ArmOutput(self, arm, output=self.value("output"), dry_run=self.value("dry_run"))
        self._action: np.ndarray | None = None
        """The policy's newest action of this episode."""
        self._periods = 0
        """Control periods since the episode began."""
        self._began = 0.0
        """When the episode began."""
        self._reported = ""
        """The fault that was logged last, while it is kept."""

    def activate(self) -> None:
        self._listen(images.kind_of(self.resolve_topic_name(CAMERA)), CAMERA, self._on_image, qos_profile_sensor_data)
        self._listen(JointState, "joint_states", self._on_joint_states, qos_profile_sensor_data)
        self._listen(Action, "action", self._on_action, RELIABLE)
        for source, qos in enumerate((*SAFETY, LATCHED_SAFETY)):
            self._listen(Bool, "e_stop", partial(self._on_e_stop, source), qos)
        for qos in SAFETY:  # What was latched is no sign that the switch is held now.
            self._listen(Bool, "enable", self._on_enable, qos)
        self._operator_services = [
            self._serve("start_episode", self._start_episode),
            self._serve("end_episode", self._end_episode),
            self._serve("reset_episode", self._reset_episode),
            self._serve("clear_fault", self.guard.clear),
            self._serve("e_stop", self._e_stop),
        ]
        self._run_episode = EpisodeAction(self, self._start_episode, self._end_episode)
        self._timer = self.every(self._arm.control_period, self._tick)
        self._watch = self.every(1.0, self._check_safety_inputs)
        if self.value("dry_run"):
            self.get_logger().warning("dry run: commands are only shown; dry_run:=false moves the arm")

    def deactivate(self) -> None:
        # Stop the motion first, before all else. Every command ends in a stop: this one brakes at once.
        self._command(self.guard.stop(monotonic()))
        self._episode.end()
        self._run_episode.close()
        self.destroy_timer(self._timer)
        self.destroy_timer(self._watch)
        for service in self._operator_services:
            self.destroy_service(service)

    def cleanup(self) -> None:
        self._episode.close()
        self._output.close()
        del self.guard

    def claims(self) -> dict[str, type]:
        return {"step": Step, "image_raw": Image}

    def health(self) -> Health:
        guard: Guard | None = getattr(self, "guard", None)
        if guard is None:
            return Health("not configured")
        values = {
            "state": guard.state.value,
            "dry_run": self.value("dry_run"),
            "episode": self._episode.number,
            "frame_age": "no stamp" if guard.frame_age is None else round(guard.frame_age, 3),
            "speed": round(float(np.abs(guard.motion.velocity).max()), 4),
        }
        if guard.state is State.FAULTED:
            return Health(f"{guard.reason}; call clear_fault when all is well", DiagnosticStatus.ERROR, values)
        if unheard := self.unheard(*SAFETY_TOPICS):
            return Health(f"the arm may not move: {unheard}", DiagnosticStatus.ERROR, values)
        of_inputs = (self._joints_missing(), guard.doubtful_joint_states(), guard.doubtful_frames())
        if doubt := next(filter(None, (*of_inputs, *self._output.unheard())), ""):
            return Health(f"{guard.state.value}; {doubt}", DiagnosticStatus.WARN, values)
        return Health(guard.state.value, values=values)

    def _serve(self, name: str, act: Callable[[], str]) -> Any:
        """A service that does `act`, which returns why it can't; empty where it can."""

        def answer(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            refusal = act()
            if refusal:
                self.get_logger().warning(f"{name}: {refusal}")
            response.success, response.message = not refusal, refusal
            return response

        return self.create_service(Trigger, name, self._answering(answer))

    def _start_episode(self) -> str:
        if not self._episode.has_policy:
            return "no policy listens to step yet"
        refusal = self._not_ready() or self.guard.start(monotonic())
        if not refusal:
            self._episode.begin()
            self._output.forget_grip()
            self._periods = 0
            self._began = monotonic()
            self._action = None
        return refusal

    def _end_episode(self) -> str:
        if self.guard.state is not State.RUNNING:
            return "no episode is under way"
        self.guard.hold()
        return ""

    def _reset_episode(self) -> str:
        """Bring the arm home, where the next episode begins, with open fingers."""
        if self.value("output") == "twist":
            return "not with output:=twist, which moves the end effector alone: bring the arm home by its own planner"
        refusal = self._not_ready() or self.guard.go_home(monotonic())
        if not refusal:
            self._output.forget_grip()
            self._output.grip(actions.open_fingers(self._arm))
        return refusal

    def _not_ready(self) -> str:
        """Why the arm may not move yet, whatever the guard says; empty where nothing is missing."""
        nobody_follows, _ = self._output.unheard()
        return self.unheard(*SAFETY_TOPICS) or nobody_follows or self._joints_missing()

    def _joints_missing(self) -> str:
        missing = self._joints.missing()
        return f"{self.resolve_topic_name('joint_states')}: {missing}" if missing else ""

    def _e_stop(self) -> str:
        """As a button that is pressed and released: clear_fault ends it."""
        self.guard.fault("stopped by the service e_stop")
        self._brake_after_fault()
        return ""

    def _listen(self, kind: type, topic: str, callback: Callable[[Any], None], qos: QoSProfile) -> None:
        """Subscribe; a message that is a fault brakes the arm at once, without waiting for the next tick."""

        def take(message: Any) -> None:
            callback(message)
            self._brake_after_fault()

        self.listen(kind, topic, take, qos)

    def _on_e_stop(self, source: int, pressed: Bool) -> None:
        """`source`: which subscription heard it. Where one misses a release, the stop stays pressed."""
        if pressed.data:
            self.guard.press_stop(source)
        else:
            self.guard.release_stop(source)

    def _check_safety_inputs(self) -> None:
        """Stop the arm where somebody publishes what may be meant to stop it, and can't be heard."""
        if self.guard.state in (State.RUNNING, State.HOMING) and (unheard := self.unheard(*SAFETY_TOPICS)):
            self.guard.fault(unheard)
            self._brake_after_fault()

    def _on_enable(self, held: Bool) -> None:
        self.guard.dead_man_switch(held.data, monotonic())

    def _on_image(self, message: Image | CompressedImage) -> None:
        image = images.raw(message)
        if self.guard.frame(self._age(message.header), monotonic()):
            self._episode.frame(image)

    def _on_joint_states(self, states: JointState) -> None:
        measured = self._joints.take(states.name, states.position, monotonic())
        if measured:
            self.guard.joint_states(*measured, self._age(states.header))

    def _age(self, header: Header) -> float | None:
        """Seconds since a message's stamp; None where it has none."""
        stamp = nanoseconds(header.stamp)
        return (self.get_clock().now().nanoseconds - stamp) / 1e9 if stamp else None

    def _on_action(self, action: Action) -> None:
        values = np.array(action.values, np.float64)
        accepted = self.guard.action(nanoseconds(action.header.stamp), values, monotonic())
        if accepted is not None:
            self._action = accepted

    def _brake_after_fault(self) -> None:
        if self.guard.reason == self._reported:
            return
        trajectory = self.guard.brake(monotonic())
        if trajectory:
            self._command(trajectory)
            self._timer.reset()
        self._report_fault()

    def _report_fault(self) -> None:
        """Log why the arm was stopped, once."""
        reason = self.guard.reason
        if reason and reason != self._reported:
            self.get_logger().error(f"the arm is stopped: {reason}; call clear_fault when all is well")
        self._reported = reason

    def _tick(self) -> None:
        """A control period."""
        if self.guard.late(monotonic()) > LATE * self._arm.control_period:
            self._timer.reset()  # timers keep to a grid, and the next tick would come early
        guard, motion = self.guard, self.guard.motion
        guard.homing_progress(homing.distance_from_home(self._arm, motion.position), monotonic())
        self._command(guard.tick(self._target_velocities(), monotonic()))
        if guard.state is State.HOMING and motion.at_rest and homing.is_home(self._arm, motion.position):
            guard.hold()
        self._report_fault()
        if guard.state is not State.RUNNING:
            self._episode.end()
            self._run_episode.over(guard.reason)
            return
        if self._periods % self._periods_a_step == 0:
            self._show_time_step(is_last=monotonic() - self._began >= self.value("episode_seconds"))
        self._periods += 1

    def _target_velocities(self) -> np.ndarray:
        """What moves the arm now: joint velocities [joints] in rad/s."""
        state, position = self.guard.state, self.guard.motion.position
        if state is State.HOMING and not homing.is_home(self._arm, position):
            return homing.homing_velocities(self._arm, position)
        if state is State.RUNNING and self._action is not None:
            return actions.joint_velocities(self._arm, self.value("action"), self._action, position)
        return np.zeros(len(self._arm.joints))

    def _show_time_step(self, *, is_last: bool) -> None:
        now = monotonic()
        stamp = self._episode.show(is_last=is_last)
        if is_last:
            self.guard.hold()
        elif stamp is not None:
            self.guard.shown(stamp, now)
        if stamp is not None:
            self._run_episode.step()

    def _command(self, trajectory: Trajectory | None) -> None:
        """Send what the guard lets through; None: nothing."""
        if trajectory is None:
            return
        self._output.move(trajectory, self.guard.motion)
        if self.guard.state is State.RUNNING and self._action is not None:
            self._output.grip(actions.finger_positions(self._arm, self._action))


def main() -> int:
    request_real_time("arm_node")
    return run_process(ArmNode)
