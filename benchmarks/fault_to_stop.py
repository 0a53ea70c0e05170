"""From a fault to the first command that brakes, through the real node and DDS, with the simulated arm moving.

    .venv/bin/in_ros python benchmarks/fault_to_stop.py [--faults 1000]

A fault is published at a random moment of a control period; its time ends when the command that brakes is heard again
from DDS. The target is one control period plus 20 ms. Braking to rest then takes what the arm's limits make of its
speed; that time is given too, in control periods.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import time

import numpy as np
import rclpy
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Bool
from trajectory_msgs.msg import JointTrajectory
from viper_ros.msg import Action, Step

from viper_ros import arm
from viper_ros.arm_node import ArmNode
from viper_ros.node import Health, ViperNode, make_executor
from viper_ros.qos import MOMENTS
from viper_ros.safety import Deadlines, State
from viper_ros.simulated_arm_node import SimulatedArmNode
from viper_ros.stamps import nanoseconds, to_stamp

KINDS = ("emergency stop", "not finite", "wrong length", "early", "replayed", "out of order")
ACTION = (0.0, 0.1, 0.0, 0.1, 0.0, 0.1, 0.0)


class Bench(ViperNode):
    """The policy, the person at the button and the stopwatch."""

    def __init__(self, arm_node: ArmNode, faults: int) -> None:
        super().__init__("bench", [])
        self._arm_node, self._left = arm_node, faults
        self._actions = self.create_publisher(Action, "action", MOMENTS)
        self._button = self.create_publisher(Bool, "e_stop", MOMENTS)
        self._steps: list[int] = []
        self._kinds = itertools.cycle(KINDS)
        self._random = np.random.default_rng(0)
        self._injected = 0.0
        self._braking = 0
        self._sign = 1.0
        self.times: dict[str, list[float]] = {}
        self.periods: list[int] = []
        self.spurious = 0
        self.listen(Step, "step", self._on_step, MOMENTS)
        self.listen(JointTrajectory, "arm_controller/joint_trajectory", self._on_command, MOMENTS)
        self.every(0.01, self._drive)

    def claims(self) -> dict[str, type]:
        return {}

    def health(self) -> Health:
        return Health("measuring")

    def _on_step(self, step: Step) -> None:
        if step.is_last:
            return
        self._steps.append(nanoseconds(step.header.stamp))
        if not self._injected:
            self._act(self._sign * np.array(ACTION), self._steps[-1])
            if len(self._steps) == 4:
                self._once(self._random.uniform(0.005, 0.055), self._inject)

    def _once(self, seconds: float, act: object) -> None:
        def fire() -> None:
            self.destroy_timer(timer)
            act()  # type: ignore[operator]

        timer = self.every(seconds, fire)

    def _act(self, values: object, stamp: int) -> None:
        message = Action(values=[float(value) for value in values])  # type: ignore[attr-defined]
        message.header.stamp = to_stamp(stamp)
        self._actions.publish(message)

    def _inject(self) -> None:
        if self._arm_node.guard.state is not State.RUNNING:  # type: ignore[union-attr]
            return
        kind = next(self._kinds)
        newest = self._steps[-1]
        self._injected = time.perf_counter()
        if kind == "emergency stop":
            self._button.publish(Bool(data=True))
        elif kind == "not finite":
            self._act([float("nan")] * 7, newest)
        elif kind == "wrong length":
            self._act([0.0] * 5, newest)
        elif kind == "early":
            self._act(ACTION, newest + 10**9)
        elif kind == "replayed":
            self._act(ACTION, newest)
        else:
            self._act(ACTION, self._steps[0])

    def _on_command(self, command: JointTrajectory) -> None:
        guard = self._arm_node.guard
        assert guard is not None
        if not self._injected or guard.state is not State.FAULTED:
            return
        if not self._braking:
            self.times.setdefault(guard.reason, []).append(time.perf_counter() - self._injected)
        self._braking += 1

    def _drive(self) -> None:
        guard = self._arm_node.guard
        assert guard is not None
        if guard.state is State.FAULTED and guard.motion.still:
            if self._braking:
                self.periods.append(self._braking)
                self._left -= 1
                if not self._left:
                    self.finish(0)
            elif not self._injected:
                self.spurious += 1
            self._button.publish(Bool(data=False))
            guard.release_stop()
            guard.clear()
            self._injected, self._braking, self._sign = 0.0, 0, -self._sign
        elif guard.state is State.HOLDING and guard.motion.still:
            self._steps.clear()
            self._arm_node._start_episode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=1000)
    arguments = parser.parse_args()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    load = arm.load
    # A stall of a busy machine is no fault to measure.
    patient = Deadlines(action=1.0, frame=1.0, joint_states=1.0, dead_man=1.0)
    arm.load = lambda name: dataclasses.replace(load(name), deadlines=patient)
    simulated = SimulatedArmNode(parameter_overrides=[Parameter("camera_rate", value=5.0)])
    arm_node = ArmNode(parameter_overrides=[Parameter("dry_run", value=False)])
    assert simulated.start()
    assert arm_node.start()
    bench = Bench(arm_node, arguments.faults)
    executor = make_executor()
    for node in (bench, arm_node, simulated):
        executor.add_node(node)
    executor.spin_until_future_complete(bench.done, 3600.0)
    period = arm_node._period
    for reason, times in sorted(bench.times.items()):
        report(reason, np.array(times), period)
    every = np.concatenate([np.array(times) for times in bench.times.values()])
    report("all", every, period)
    print(f"within one period + 20 ms: {(every <= period + 0.02).sum()} of {len(every)}")
    print(f"control periods from there to rest: median {np.median(bench.periods):.0f}, most {max(bench.periods)}")
    print(f"stopped by a fault that was not injected: {bench.spurious}")
    for node in (arm_node, simulated, bench):
        node.stop()
    executor.shutdown()
    rclpy.try_shutdown()


def report(reason: str, seconds: np.ndarray, period: float) -> None:
    if len(seconds):
        median, high, most = np.quantile(seconds, [0.5, 0.99, 1.0]) * 1e3
        print(
            f"{reason:70} {len(seconds):5} faults: median {median:5.1f} ms, p99 {high:5.1f}, most {most:5.1f} "
            f"({most / 1e3 / period:.2f} periods)"
        )


if __name__ == "__main__":
    main()
