"""Two machines whose link is cut and restored: whether training goes on, and whether an arm stops and stays still.

    sudo -E .venv/bin/in_ros python -m benchmarks.reliability.cut_link [--cuts 5]

Two network namespaces joined by a virtual cable stand for the machines (Linux, iproute2, root); DDS uses UDP. First a
training graph in lockstep, with its environment and reward node on one machine and its policy node on the other: the
cable is unplugged for 0.5 to 5 s, and once for 25 s (after which DDS has forgotten the other machine), and replay is
compared with what happened, as in benchmarks.reliability.restarts. Then a deployment, twice: with the policy not on the
arm's machine, and with arm_node not on it. Each time that the cable is unplugged the arm must come to rest, and stay so
when the cable is plugged in again, until the fault is cleared.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.client import Client
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from rclpy.utilities import try_shutdown
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from benchmarks.node_process import NodeProcess, ends_of_output
from benchmarks.observer import Observer
from benchmarks.reliability.moving_arm import ACTION, CONSTANT_POLICY, DEADLINE, arm_with
from benchmarks.reliability.replay_check import check_replay
from benchmarks.reliability.training_graph import TrainingGraph
from benchmarks.verdict import print_verdict
from viper_lab.experiment.untrained import untrained_policy
from viper_ros.runtime.qos import RELIABLE

NAMESPACES = (f"viper{os.getpid()}a", f"viper{os.getpid()}b")
RESTING = 0.01
"""rad/s: an arm whose joints are slower counts as still, as its servos tremble."""


class Machines:
    """Two network namespaces and the cable between them; `close` removes them."""

    def __init__(self) -> None:
        for name in NAMESPACES:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", NAMESPACES[0], "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", NAMESPACES[1])
        for i, name in enumerate(NAMESPACES):
            ip("-n", name, "address", "add", f"10.77.0.{i + 1}/24", "dev", "cable")
            ip("-n", name, "link", "set", "cable", "up", "multicast", "on")
            ip("-n", name, "route", "add", "224.0.0.0/4", "dev", "cable")

    def prefix(self, machine: int) -> list[str]:
        """The words before a command that is to run on a machine, 0 or 1."""
        return ["ip", "netns", "exec", NAMESPACES[machine]]

    def plug(self, plugged: bool) -> None:
        ip("-n", NAMESPACES[0], "link", "set", "cable", "up" if plugged else "down")
        if plugged:  # With the link, the kernel drops the route.
            ip("-n", NAMESPACES[0], "route", "replace", "224.0.0.0/4", "dev", "cable")

    def close(self) -> None:
        for name in NAMESPACES:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def ip(*words: str) -> None:
    result = subprocess.run(["ip", *words], check=False, capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(f"ip {' '.join(words)}: {result.stderr.strip()}: this needs root and network namespaces")


def cut_training(machines: Machines, cuts: int, rng: np.random.Generator) -> list[str]:
    """Cut the link of a training graph. Returns what is wrong, in lines."""
    prefixes = {"sim_node": machines.prefix(0), "reward_node": machines.prefix(0), "policy_node": machines.prefix(1)}
    with tempfile.TemporaryDirectory() as folder, TrainingGraph(Path(folder), prefixes) as graph:
        try:
            graph.start()
            for number in range(cuts):
                seconds = 25.0 if number == cuts - 1 else rng.uniform(0.5, 5.0)
                first = graph.newest()
                machines.plug(False)
                graph.recorder.spin(seconds)
                machines.plug(True)
                fault = graph.note_fault("link", "freeze", first)
                print(f"cut for {seconds:4.1f} s at frame {first}: going on after {fault.seconds:.1f} s", flush=True)
                graph.recorder.spin(rng.uniform(0.5, 2.0))
            graph.end()
            return check_replay(graph)
        except (AssertionError, TimeoutError) as error:
            return [str(error), *ends_of_output(graph.nodes.values())]
        finally:
            machines.plug(True)


class ArmObserver(Observer):
    """On the arm's machine, in a process of its own: prints how fast the arm moves, and calls the services that stdin
    names, each print a line of JSON."""

    def __init__(self) -> None:
        super().__init__("arm_observer")
        self._triggers: dict[str, Client] = {
            name: self.create_client(Trigger, name) for name in ("start_episode", "clear_fault", "reset_episode")
        }
        self._wanted: list[str] = []
        self.listen(JointState, "joint_states", self._on_joint_states, RELIABLE)
        self.every(0.05, self._call)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            self._wanted.append(line.strip())
        self.finish(0)

    def _call(self) -> None:
        if self._wanted and self._triggers[self._wanted[0]].service_is_ready():
            name = self._wanted.pop(0)
            future = self._triggers[name].call_async(Trigger.Request())
            future.add_done_callback(partial(self._on_answer, name))

    def _on_answer(self, name: str, future: Future[Trigger.Response]) -> None:
        response = future.result()
        assert response
        print_json(call=name, success=response.success, why=response.message)

    def _on_joint_states(self, states: JointState) -> None:
        print_json(time=time.monotonic(), speed=max(abs(velocity) for velocity in states.velocity))


def print_json(**values: object) -> None:
    print(json.dumps(values), flush=True)


def observe() -> int:
    """The main function of the observer's process."""
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    observer = ArmObserver()
    observer.spin(3600)
    observer.close()
    try_shutdown()
    return 0


class ArmWatch:
    """The ArmObserver's process, and what it has printed."""

    def __init__(self, prefix: list[str]) -> None:
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "benchmarks.reliability.cut_link", "--observe"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.speeds: list[tuple[float, float]] = []
        """When, and how fast the fastest joint moved (rad/s)."""
        self.answers: list[dict[str, Any]] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            said = json.loads(line)
            if "speed" in said:
                self.speeds.append((said["time"], said["speed"]))
            else:
                self.answers.append(said)

    def call(self, name: str) -> bool:
        """Call a service and wait for its answer; True where it did what was asked."""
        before = len(self.answers)
        assert self._process.stdin
        self._process.stdin.write(name + "\n")
        self._process.stdin.flush()
        wait(lambda: len(self.answers) > before, 60, f"{name} to answer")
        return bool(self.answers[-1]["success"])

    def call_until_done(self, name: str) -> None:
        wait(lambda: self.call(name), 60, f"{name}")

    def moving(self) -> bool:
        return len(self.speeds) > 10 and min(speed for _, speed in self.speeds[-10:]) > 0.1

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(60)


def wait(condition: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.02)


def cut_deployment(machines: Machines, away: str, cuts: int) -> list[str]:
    """Cut the link while the policy moves the arm. away: the node that is not on the arm's machine. Returns what is
    wrong, in lines."""
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        untrained_policy(folder / "run", len(ACTION))
        parameters: dict[str, dict[str, Any]] = {
            "simulated_arm_node": {},
            "arm_node": {"dry_run": False, "action": "joint_velocity"},
            "act_node": {"policy": str(folder / "run")},
        }
        before = {"arm_node": arm_with(DEADLINE), "act_node": CONSTANT_POLICY}
        nodes = [
            NodeProcess(node, folder, values, before=before.get(node, ""), prefix=machines.prefix(int(node == away)))
            for node, values in parameters.items()
        ]
        for node in nodes:
            node.start()
        watch = ArmWatch(machines.prefix(0))
        stops = []
        try:
            wait(lambda: len(watch.speeds) > 0, 300, "the arm")
            for number in range(cuts):
                watch.call_until_done("clear_fault")
                watch.call_until_done("reset_episode")
                wait(lambda: watch.speeds[-1][1] < RESTING, 60, "the arm to be home")
                watch.call_until_done("start_episode")
                wait(watch.moving, 60, "the arm to move")
                machines.plug(False)
                cut = time.monotonic()
                time.sleep(DEADLINE + 1.5)
                still = [at for at, speed in watch.speeds if at > cut and speed > RESTING]
                stops.append(max(still, default=cut) - cut)
                if watch.speeds[-1][1] > RESTING:
                    wrong.append(f"cut {number + 1}: the arm still moves with {watch.speeds[-1][1]:.3f} rad/s")
                machines.plug(True)
                restored = time.monotonic()
                time.sleep(3.0)
                after = max((speed for at, speed in watch.speeds if at > restored), default=0.0)
                if after > RESTING:
                    wrong.append(f"cut {number + 1}: the arm moved with {after:.3f} rad/s when the link was back")
                print(f"{away} cut off: the arm was still after {stops[-1]:.2f} s and stayed so", flush=True)
        except TimeoutError as error:
            wrong.append(f"{away} cut off: {error}; {watch.answers[-3:]}")
            wrong += ends_of_output(nodes)
        finally:
            machines.plug(True)
            watch.close()
            for node in nodes:
                node.end()
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", type=int, default=5)
    parser.add_argument("--observe", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.observe:
        return observe()
    os.environ["FASTDDS_BUILTIN_TRANSPORTS"] = "UDPv4"  # Shared memory would bypass the cable.
    machines = Machines()
    try:
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        wrong = cut_training(machines, arguments.cuts, np.random.default_rng(0))
        for away in ("act_node", "arm_node"):
            wrong += cut_deployment(machines, away, arguments.cuts)
        try_shutdown()
    finally:
        machines.close()
    return print_verdict(
        wrong, "nothing lost, doubled or out of order in the run; the arm stopped at every cut and stayed still"
    )


if __name__ == "__main__":
    sys.exit(main())
