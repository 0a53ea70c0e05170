"""Milliseconds from a fault to the first command of arm_node that brakes the arm, over DDS.

    .venv/bin/in_ros python -m benchmarks.reliability.fault_to_stop [--faults 1000] [--minutes 60]

arm_node is a process of its own. This process is everything around it: an arm that follows its trajectories exactly,
the camera, the policy, the operator and the stopwatch. A fault comes at a random time within a control period while the
arm moves at a steady 0.2 rad/s; its time ends when the trajectory that brakes is heard. The target is one control
period plus 20 ms.

A fault that is a message begins when it is sent. A fault that is a silence begins when its deadline (1 s for all here,
so that a busy machine adds no faults of its own) has passed since the last message. Of two hundred faults one kills the
policy (act_node, kill -9: a silence too) and one kills arm_node: then the trajectory that it sent last brakes the arm.
After --minutes it reports what it has.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rclpy
from rclpy.client import Client
from rclpy.qos import qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import try_shutdown
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory
from viper_ros.msg import Action, Step

from benchmarks.node_process import NodeProcess
from benchmarks.observer import Observer
from benchmarks.reliability.moving_arm import ACTION, CONSTANT_POLICY, DEADLINE, arm_with
from viper_lab.experiment.untrained import untrained_policy
from viper_ros.arm import files as arm
from viper_ros.messages import images
from viper_ros.runtime.qos import LATCHED, RELIABLE
from viper_ros.runtime.real_time import request_real_time
from viper_ros.runtime.stamps import nanoseconds, to_stamp

SPARE_SECONDS = 0.02
"""What the target allows beyond one control period."""
PANDA = arm.load("panda")
PERIOD = 1 / PANDA.control_rate
MESSAGES = (
    "e_stop, topic",
    "e_stop, latched",
    "e_stop, best effort",
    "e_stop, service",
    "dead-man let go",
    "dead-man, best effort",
    "action not finite",
    "action of wrong length",
    "action early",
    "action replayed",
    "action out of order",
    "joint states not finite",
    "joint does not follow",
)
SILENCES = ("no actions", "no frames", "no joint states", "no dead-man")
KILLS = ("policy killed", "arm_node killed")


class FaultInjector(Observer):
    """Everything around arm_node. Its phases go round: starting, moving, injected, resting."""

    def __init__(self, plan: list[str], arm_node: NodeProcess, policy: NodeProcess) -> None:
        super().__init__("fault_injector")
        self._plan, self._arm_node, self._policy = plan, arm_node, policy
        self._random = np.random.default_rng(0)
        self._times, self._positions = np.zeros(1), PANDA.home[None]
        self._command_at = self._rest_at = 0.0
        self._steps: list[int] = []
        self._sign = 1.0
        self._silent: set[str] = set()
        self._last: dict[str, float] = dict.fromkeys(("actions", "frames", "joint states", "dead-man"), 0.0)
        self._injected = self._deadline = 0.0
        self._phase = "starting"
        self._since = 0.0
        self._waiting_until = 0.0
        self._start_at_home = self._stuck = False
        self.times: dict[str, list[float]] = {}
        self.rests: list[float] = []
        self.spurious = self.missed = 0
        self._actions = self.create_publisher(Action, "action", RELIABLE)
        self._buttons = {
            "e_stop, topic": self.create_publisher(Bool, "e_stop", RELIABLE),
            "e_stop, latched": self.create_publisher(Bool, "e_stop", LATCHED),
            "e_stop, best effort": self.create_publisher(Bool, "e_stop", qos_profile_sensor_data),
        }
        self._best_effort_enable = self.create_publisher(Bool, "enable", qos_profile_sensor_data)
        self._enable = self.create_publisher(Bool, "enable", RELIABLE)
        self._joints = self.create_publisher(JointState, "joint_states", RELIABLE)
        self._frames = self.create_publisher(Image, "camera/image_raw", RELIABLE)
        names = ("start_episode", "clear_fault", "reset_episode", "end_episode", "e_stop")
        self._triggers: dict[str, Client] = {name: self.create_client(Trigger, name) for name in names}
        self.listen(Step, "step", self._on_step, RELIABLE)
        self.listen(Action, "action", self._on_action, RELIABLE)
        self.listen(JointTrajectory, "arm_controller/joint_trajectory", self._on_command, RELIABLE)
        self.every(0.01, self._measure)
        self.every(0.05, self._record)
        self.every(0.1, self._hold_dead_man)
        self.every(0.01, self._drive)

    # The arm, its camera, and the operator's hand.

    def _target(self, now: float) -> np.ndarray:
        return np.array([np.interp(now, self._times, joint) for joint in self._positions.T])

    def _measure(self, shift: float = 0.0) -> None:
        if self._still_sends("joint states"):
            positions = self._target(time.perf_counter()) + shift
            self._joints.publish(JointState(name=list(PANDA.joints), position=positions.tolist()))

    def _record(self) -> None:
        if self._still_sends("frames"):
            stamp = self.get_clock().now().to_msg()
            self._frames.publish(images.to_message(np.zeros((64, 64, 3), np.uint8), stamp, "camera"))

    def _hold_dead_man(self) -> None:
        if self._still_sends("dead-man"):
            self._enable.publish(Bool(data=True))

    def _still_sends(self, stream: str) -> bool:
        """False where `stream` has been silenced; otherwise notes the time of its message."""
        if stream not in self._silent:
            self._last[stream] = time.perf_counter()
        return stream not in self._silent

    # The policy.

    def _on_step(self, step: Step) -> None:
        if step.is_last:
            self.spurious += self._phase == "moving"
            if self._phase in ("moving", "starting"):
                self._go("resting")
            return
        self._steps.append(nanoseconds(step.header.stamp))
        if self._plan[0] != "policy killed" and self._still_sends("actions"):
            self._act(self._sign * ACTION, self._steps[-1])

    def _on_action(self, action: Action) -> None:
        if self._plan[0] == "policy killed":
            self._last["actions"] = time.perf_counter()

    def _act(self, values: np.ndarray, stamp: int) -> None:
        message = Action(values=values.tolist())
        message.header.stamp = to_stamp(stamp)
        self._actions.publish(message)

    # The stopwatch.

    def _on_command(self, command: JointTrajectory) -> None:
        now = time.perf_counter()
        times = np.array([point.time_from_start.sec + point.time_from_start.nanosec / 1e9 for point in command.points])
        here = self._target(now)
        self._positions = np.array([here, *(point.positions for point in command.points)])
        self._times = now + np.concatenate([[0.0], times])
        self._command_at, self._rest_at = now, now + times[-1]
        end = int(np.searchsorted(times, PERIOD - 1e-6))
        speed = float(np.abs(command.points[end].velocities).max())
        if self._phase == "starting" and speed > 0.15 and len(self._steps) >= 4:
            self._go("moving")
            self._deadline = now + self._random.uniform(0.005, 0.005 + 2 * PERIOD)
        elif self._phase == "moving" and speed < 0.1:
            self.spurious += 1
            self._go("resting")
        elif self._phase == "injected" and speed < 0.1:
            self._braked(now - self._injected)

    def _braked(self, seconds: float) -> None:
        kind = self._plan.pop(0)
        self.times.setdefault(kind, []).append(seconds)
        self.rests.append(self._rest_at - time.perf_counter())
        if len(self._plan) % 50 == 0:
            print(f"{len(self._plan)} faults to go", flush=True)
        self._go("resting")

    def _go(self, phase: str) -> None:
        self._phase, self._since = phase, time.perf_counter()

    def _drive(self) -> None:
        now = time.perf_counter()
        if not self._plan:
            self.finish(0)
        elif self._phase == "moving" and now >= self._deadline:
            self._inject(self._plan[0])
        elif self._phase == "injected" and now > self._injected + 5.0:
            self.missed += 1
            print(f"stopped nothing: {self._plan.pop(0)}; {self._arm_node.output().splitlines()[-3:]}", flush=True)
            self._go("resting")
        elif self._phase == "resting" and now > max(self._rest_at, self._since) + 0.1:
            self._silent.clear()
            for button in self._buttons.values():
                button.publish(Bool(data=False))
            self._prepare(self._plan[0] if self._plan else "")
            self._steps.clear()
            self._sign = -self._sign
            self._go("starting")
        elif self._phase == "starting" and now > self._since + 0.3 and not self._steps and now > self._waiting_until:
            # Two publish actions: this node and the policy that is to be killed.
            if self._plan[0] != "policy killed" or self.count_publishers("action") > 1:
                self._begin()
        elif self._phase == "starting" and self._steps and now > self._since + 10.0:
            self._call("end_episode", lambda _: None)
            self._stuck = True
            self._go("resting")

    def _prepare(self, kind: str) -> None:
        if not self._arm_node.running:
            self._arm_node.start()
        if kind == "policy killed" and not self._policy.running:
            self._policy.start()
        # The policy that is killed always moves the same way; an arm that is stuck may be at the workspace's edge.
        self._start_at_home = kind in KILLS or self._stuck
        self._stuck = False

    def _begin(self) -> None:
        """Clear the fault, go home where need be, and start an episode, one after the other."""
        # An arm_node that is killed answers nothing any more.
        self._waiting_until = time.perf_counter() + 5.0

        def cleared(_: object) -> None:
            if self._start_at_home and np.abs(self._target(time.perf_counter()) - PANDA.home).max() > 0.02:
                self._call("reset_episode", done)
            else:
                self._call("start_episode", done)

        def done(_: object) -> None:
            self._waiting_until = 0.0
            self._since = time.perf_counter()

        self._call("clear_fault", cleared)

    def _call(self, name: str, then: Callable[[object], None]) -> None:
        client = self._triggers[name]
        if not client.service_is_ready():
            self._waiting_until = 0.0
            return
        client.call_async(Trigger.Request()).add_done_callback(then)

    def _inject(self, kind: str) -> None:
        self._go("injected")
        newest = self._steps[-1]
        self._injected = time.perf_counter()
        if kind in SILENCES:
            stream = kind.removeprefix("no ")
            self._silent.add(stream)
            self._injected = self._last[stream] + DEADLINE
        elif kind == "policy killed":
            self._policy.kill()
            self._injected = self._last["actions"] + DEADLINE
        elif kind == "arm_node killed":
            self._arm_node.kill()
            # The trajectory that came last brakes at the end of its period.
            self._braked(self._command_at + PERIOD - self._injected)
        elif kind in self._buttons:
            self._buttons[kind].publish(Bool(data=True))
        elif kind == "e_stop, service":
            self._call("e_stop", lambda _: None)
        elif kind == "dead-man let go":
            self._silent.add("dead-man")
            self._enable.publish(Bool(data=False))
        elif kind == "dead-man, best effort":
            self._silent.add("dead-man")
            self._best_effort_enable.publish(Bool(data=False))
        elif kind == "joint states not finite":
            self._measure(float("nan"))
        elif kind == "joint does not follow":
            self._measure(0.3)
            self._silent.add("joint states")
        elif kind == "action not finite":
            self._act(np.nan * ACTION, newest)
        elif kind == "action of wrong length":
            self._act(ACTION[:5], newest)
        elif kind == "action early":
            self._act(ACTION, newest + 10**9)
        elif kind == "action replayed":
            self._act(ACTION, newest)
        elif kind == "action out of order":
            self._act(ACTION, self._steps[0])


def plan(faults: int) -> list[str]:
    """The kinds of all faults: messages and silences as often as each other and in random order, kills at the end."""
    kills = max(1, faults // 200)
    kinds = [*MESSAGES, *SILENCES]
    chosen = [kinds[i % len(kinds)] for i in range(max(0, faults - 2 * kills))]
    return [*np.random.default_rng(1).permutation(chosen).tolist(), *(KILLS * kills)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=60.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        untrained_policy(folder / "run", len(ACTION))
        arm_node = NodeProcess(
            "arm_node",
            folder,
            {"dry_run": False, "action": "joint_velocity", "dead_man": True, "step_seconds": PERIOD},
            before=arm_with(DEADLINE),
        )
        policy = NodeProcess("act_node", folder, {"policy": str(folder / "run")}, before=CONSTANT_POLICY)
        arm_node.start()
        request_real_time("the stopwatch")  # A stopwatch that is late measures itself.
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        injector = FaultInjector(plan(arguments.faults), arm_node, policy)
        injector.spin(60 * arguments.minutes)
        injector.close()
        try_shutdown()
        for process in (arm_node, policy):
            if process.running:
                process.end()
    return report(injector)


def report(injector: FaultInjector) -> int:
    """Print the times by kind of fault. Returns the exit status."""
    everything = np.concatenate([np.array(times) for times in injector.times.values()])
    for kind in (*MESSAGES, *SILENCES, *KILLS):
        if kind in injector.times:
            print_times(kind, np.array(injector.times[kind]))
    print_times("all", everything)
    within = int((everything <= PERIOD + SPARE_SECONDS).sum())
    target = f"one period ({PERIOD * 1e3:.0f} ms) + {SPARE_SECONDS * 1e3:.0f} ms"
    print(f"within {target}: {within} of {len(everything)}")
    print(
        f"from there to rest: median {np.median(injector.rests) * 1e3:.0f} ms, most {max(injector.rests) * 1e3:.0f} ms"
    )
    print(
        f"faults that stopped nothing: {injector.missed}; stopped by a fault that was not injected: {injector.spurious}"
    )
    return 0 if within == len(everything) and not injector.missed else 1


def print_times(kind: str, seconds: np.ndarray) -> None:
    median, high, most = np.quantile(seconds, [0.5, 0.99, 1.0]) * 1e3
    print(f"{kind:24} {len(seconds):5} faults: median {median:6.1f} ms, p99 {high:6.1f}, most {most:6.1f}")


if __name__ == "__main__":
    sys.exit(main())
