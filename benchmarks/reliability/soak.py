"""The memory of each node of a deployment over an hour: camera, arm, policy and rewards at 30 Hz.

    .venv/bin/in_ros python -m benchmarks.reliability.soak [--minutes 60]

A process per node, over DDS. The simulated arm moves and its camera records at 30 Hz; arm_node shows each frame to
act_node and reward_node and carries out the actions. The arm's deadlines are 5 s, so that a busy machine causes few
faults; a fault is cleared and a new episode started, as an operator would; an arm that can't start is sent home. The
resident memory of each node is read every 10 s. The trial passes where the largest value of the last tenth is within 5%
of the median of the first tenth after the warm-up (a sixth of the time, 10 minutes at most). Models are untrained: they
take as much memory as trained ones.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.client import Client
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from rclpy.utilities import try_shutdown
from std_srvs.srv import Trigger
from viper_ros.msg import Action, Reward

from benchmarks.node_process import NodeProcess, ends_of_output
from benchmarks.observer import Diagnosis, Observer
from benchmarks.reliability.moving_arm import arm_with
from viper_lab.experiment.untrained import untrained_model, untrained_policy
from viper_ros.runtime.qos import RELIABLE

RATE = 30.0
SAMPLE_SECONDS = 10.0
GROWTH = 0.05
"""Share by which memory may grow."""
NAMESPACE = "/env_0"
ARM_NODE = f"{NAMESPACE}/arm_node"


class Operator(Observer):
    """Starts episodes, clears faults, and reads the memory of all nodes."""

    def __init__(self, processes: list[NodeProcess], seconds: float) -> None:
        super().__init__("operator")
        self._processes, self._until = processes, time.monotonic() + seconds
        self._start: Client = self.create_client(Trigger, f"{NAMESPACE}/start_episode")
        self._reset: Client = self.create_client(Trigger, f"{NAMESPACE}/reset_episode")
        self._clear: Client = self.create_client(Trigger, f"{NAMESPACE}/clear_fault")
        self.samples: list[list[float]] = []
        self.counts = {"reward": 0, "action": 0}
        self.faults: dict[str, int] = {}
        self._fault = ""
        self._heard = "nothing yet", time.monotonic()
        """What arm_node said last on /diagnostics, and when."""
        self._counted_before = dict(self.counts)
        self.listen(Reward, f"{NAMESPACE}/reward", lambda _: self._count("reward"), RELIABLE)
        self.listen(Action, f"{NAMESPACE}/action", lambda _: self._count("action"), RELIABLE)
        self.every(SAMPLE_SECONDS, self._read)

    def _count(self, topic: str) -> None:
        self.counts[topic] += 1

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        super()._on_diagnostics(message)
        if any(status.name == ARM_NODE for status in message.status):
            self._operate(self.diagnoses[ARM_NODE])

    def _operate(self, arm: Diagnosis) -> None:
        state = arm.values.get("state")
        self._heard = f"{state}: {arm.message}", time.monotonic()
        if state == "stopped by a fault":
            reason = re.sub(r"\d+(\.\d+)?", "…", arm.message.partition(";")[0])
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
        gone = [process.name for process in self._processes if process.exit_status is not None]
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
        nodes: dict[str, dict[str, Any]] = {
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
                before=arm_with(5.0, control_rate=RATE, tracking_tolerance=1.0) if node == "arm_node" else "",
            )
            for node, parameters in nodes.items()
        ]
        for process in processes:
            process.start()
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        operator = Operator(processes, seconds)
        operator.spin(seconds + 120)
        operator.close()
        try_shutdown()
        statuses = [process.end() for process in processes]
        if operator.done.result() != 0:
            print("\n".join(ends_of_output(processes)))
            return 1
        return judge(operator, processes, statuses, seconds)


def judge(operator: Operator, processes: list[NodeProcess], statuses: list[int], seconds: float) -> int:
    """Print the memory, the counts and the verdict. Returns the exit status."""
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
