"""Does memory grow? A camera, an arm, its policy and its rewards at 30 Hz, a process per node, for an hour.

    .venv/bin/in_ros python -m benchmarks.reliability.soak [--minutes 60]

The simulated arm records and moves at 30 Hz; arm_node shows each frame to act_node and reward_node at 30 Hz and takes
the actions. The arm's deadlines are 5 s, so that a busy machine keeps moving; a fault all the same is cleared and a new
episode begun, as an operator would; where the arm can't begin it is sent home. The resident memory of each node is
read every 10 s. It passes where the largest value of the last tenth is within 5% of the median of the first tenth after
the warm-up (a sixth of the time, 10 minutes at most). Models are untrained: they cost the same.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from graph import NodeProcess
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from std_srvs.srv import Trigger
from viper_ros.msg import Action, Reward

from viper_lab.experiment.untrained import untrained_model, untrained_policy
from viper_ros.runtime.node import Health, ViperNode
from viper_ros.runtime.process import make_executor
from viper_ros.runtime.qos import RELIABLE

RATE = 30.0
SAMPLE_SECONDS = 10.0
GROWTH = 0.05
NAMESPACE = "/env_0"
FASTER_ARM = f"""
import dataclasses
from viper_ros.arm import description as arm
from viper_ros.arm.safety import Deadlines
load = arm.load
patient = Deadlines(action=5.0, frame=5.0, joint_states=5.0, dead_man=5.0)
arm.load = lambda name: dataclasses.replace(load(name), control_rate={RATE}, deadlines=patient, following=1.0)
"""


class Operator(ViperNode):
    """Starts episodes, clears faults, and reads the meter."""

    def __init__(self, processes: list[NodeProcess], seconds: float) -> None:
        super().__init__("operator", [])
        self._processes, self._until = processes, time.monotonic() + seconds
        self._start = self.create_client(Trigger, f"{NAMESPACE}/start_episode")
        self._reset = self.create_client(Trigger, f"{NAMESPACE}/reset_episode")
        self._clear = self.create_client(Trigger, f"{NAMESPACE}/clear_fault")
        self.samples: list[list[float]] = []
        self.counts = {"reward": 0, "action": 0}
        self.faults: dict[str, int] = {}
        self._fault = ""
        self._heard = "nothing yet", time.monotonic()
        """What arm_node said last of itself, and when."""
        self._counted_before = dict(self.counts)
        self.listen(Reward, f"{NAMESPACE}/reward", lambda _: self._count("reward"), RELIABLE)
        self.listen(Action, f"{NAMESPACE}/action", lambda _: self._count("action"), RELIABLE)
        self.listen(DiagnosticArray, "/diagnostics", self._on_diagnostics, RELIABLE)
        self.every(SAMPLE_SECONDS, self._read)

    def claims(self) -> dict[str, type]:
        return {}

    def health(self) -> Health:
        return Health("measuring")

    def _count(self, topic: str) -> None:
        self.counts[topic] += 1

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == f"{NAMESPACE}/arm_node":
                state = {value.key: value.value for value in status.values}.get("state")
                self._heard = f"{state}: {status.message}", time.monotonic()
                if state == "stopped by a fault":
                    reason = re.sub(r"\d+(\.\d+)?", "…", status.message.partition(";")[0])
                    if reason != self._fault:
                        self._fault = reason
                        self.faults[reason] = self.faults.get(reason, 0) + 1
                    self._clear.call_async(Trigger.Request())
                elif state == "holding":
                    self._fault = ""
                    self._start.call_async(Trigger.Request()).add_done_callback(self._on_start)

    def _on_start(self, answer: Future[Trigger.Response]) -> None:
        response = answer.result()
        if response and not response.success:
            print(f"not started, so sent home: {response.message}", flush=True)
            self._reset.call_async(Trigger.Request())

    def _read(self) -> None:
        gone = [process.name for process in self._processes if process.status is not None]
        if gone:
            print(f"ended on its own: {', '.join(gone)}", flush=True)
            self.finish(1)
            return
        self.samples.append([process.memory() for process in self._processes])
        if self.counts == self._counted_before:
            said, when = self._heard
            print(
                f"nothing for {SAMPLE_SECONDS:.0f} s; arm_node, {time.monotonic() - when:.0f} s ago: {said}", flush=True
            )
        self._counted_before = dict(self.counts)
        if len(self.samples) % 6 == 1:
            megabytes = ", ".join(f"{p.name} {m:.1f}" for p, m in zip(self._processes, self.samples[-1], strict=True))
            print(f"{len(self.samples) * SAMPLE_SECONDS / 60:5.1f} min, MiB: {megabytes}; {self.counts}", flush=True)
        if time.monotonic() > self._until:
            self.finish(0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    seconds = 60 * parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        untrained_model(folder / "model", "deploy")
        untrained_policy(folder / "run", action_size=7)
        nodes = {
            "simulated_arm_node": {"camera_rate": RATE},
            "reward_node": {"model": str(folder / "model")},
            "act_node": {"policy": str(folder / "run")},
            "arm_node": {"dry_run": False, "step_seconds": 1 / RATE, "task": "deploy"},
        }
        processes = [
            NodeProcess(
                node,
                folder,
                parameters,
                namespace="/" if node == "reward_node" else NAMESPACE,
                before=FASTER_ARM if node == "arm_node" else "",
            )
            for node, parameters in nodes.items()
        ]
        for process in processes:
            process.start()
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        operator = Operator(processes, seconds)
        executor = make_executor()
        executor.add_node(operator)
        executor.spin_until_future_complete(operator.done, seconds + 120)
        executor.shutdown()
        rclpy.try_shutdown()
        statuses = [process.end() for process in processes]
        if operator.done.result() != 0:
            print("\n".join(process.said()[-2000:] for process in processes))
            return 1
        return judge(operator, processes, statuses, seconds)


def judge(operator: Operator, processes: list[NodeProcess], statuses: list[int], seconds: float) -> int:
    samples = np.array(operator.samples)
    warm = samples[int(min(seconds / 6, 600) / SAMPLE_SECONDS) :]
    tenth = max(1, len(warm) // 10)
    begin, end = np.median(warm[:tenth], 0), warm[-tenth:].max(0)
    for process, first, last, most in zip(processes, begin, end, samples.max(0), strict=True):
        print(f"{process.name}: {first:.1f} MiB after warm-up, {last:.1f} at the end ({last / first - 1:+.1%})", end="")
        print(f", {most:.1f} at most")
    for topic, count in operator.counts.items():
        print(f"{topic}s: {count}, {count / seconds:.1f} a second")
    faults = "; ".join(f"{reason} ({count})" for reason, count in operator.faults.items())
    print(f"faults of the arm, each cleared: {faults or 'none'}")
    print(f"exit statuses after Ctrl-C: {statuses}")
    flat = bool((end <= (1 + GROWTH) * begin).all())
    print("memory is flat within 5%" if flat else "MEMORY GROWS")
    return 0 if flat and not any(statuses) else 1


if __name__ == "__main__":
    sys.exit(main())
