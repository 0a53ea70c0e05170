"""Two machines whose link is cut and mended: a lockstep run goes on, and an arm stops and stays still.

    sudo -E .venv/bin/in_ros python -m benchmarks.reliability.cut_link [--cuts 5]

Two network namespaces joined by a virtual cable stand for the machines (Linux, iproute2, root); DDS goes over UDP.
First a training graph, its environment and reward node on one machine and its policy node on the other: the cable is
unplugged for half a second to five seconds, once for 25 (longer than DDS remembers a neighbour), and what reached
replay is compared with the environment's own log, as in restarts.py. Then a deployment, twice: the policy away from the
arm, and arm_node away from the arm. Each time that the cable is unplugged the arm must come to rest, and stay so when
it is plugged in again, until the fault is cleared.
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
from pathlib import Path

import numpy as np
import rclpy
from fault_to_stop import ACTION, DEADLINE, MOVING_POLICY, PATIENT_ARM
from graph import NodeProcess, verdict
from rclpy.signals import SignalHandlerOptions
from restarts import Fault, Trial, judge
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from viper_lab.experiment.untrained import untrained_policy
from viper_ros.runtime.node import Health, ViperNode
from viper_ros.runtime.process import make_executor
from viper_ros.runtime.qos import RELIABLE

NAMESPACES = (f"viper{os.getpid()}a", f"viper{os.getpid()}b")
RESTING = 0.01
"""rad/s below which an arm counts as still: its servos tremble."""


class Machines:
    """Two namespaces and the cable between them, gone when it is closed."""

    def __init__(self) -> None:
        for name in NAMESPACES:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", NAMESPACES[0], "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", NAMESPACES[1])
        for i, name in enumerate(NAMESPACES):
            ip("-n", name, "address", "add", f"10.77.0.{i + 1}/24", "dev", "cable")
            ip("-n", name, "link", "set", "cable", "up", "multicast", "on")
            ip("-n", name, "route", "add", "224.0.0.0/4", "dev", "cable")

    def on(self, machine: int) -> list[str]:
        """The command that runs a command on a machine."""
        return ["ip", "netns", "exec", NAMESPACES[machine]]

    def plug(self, plugged: bool) -> None:
        ip("-n", NAMESPACES[0], "link", "set", "cable", "up" if plugged else "down")
        if plugged:  # The kernel forgets the route with the link.
            ip("-n", NAMESPACES[0], "route", "replace", "224.0.0.0/4", "dev", "cable")

    def close(self) -> None:
        for name in NAMESPACES:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def ip(*words: str) -> None:
    result = subprocess.run(["ip", *words], check=False, capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(f"ip {' '.join(words)}: {result.stderr.strip()}: this needs root and network namespaces")


def lockstep(machines: Machines, cuts: int, rng: np.random.Generator) -> list[str]:
    """What is wrong, in lines."""
    with tempfile.TemporaryDirectory() as folder:
        prefixes = {"sim_node": machines.on(0), "reward_node": machines.on(0), "policy_node": machines.on(1)}
        trial = Trial(Path(folder), prefixes)
        try:
            trial.begin()
            for number in range(cuts):
                seconds = 25.0 if number == cuts - 1 else rng.uniform(0.5, 5.0)
                first = trial.newest()
                machines.plug(False)
                trial.wait(seconds)
                last = trial.newest()
                machines.plug(True)
                going_on = trial.until(lambda last=last: trial.newest() > last + 3, f"going on after {seconds:.1f} s")
                trial.faults.append(Fault("link", "freeze", first, last, going_on))
                print(f"cut for {seconds:4.1f} s at frame {first}: going on after {going_on:.1f} s", flush=True)
                trial.wait(rng.uniform(0.5, 2.0))
            trial.end()
            return judge(trial)
        except (AssertionError, TimeoutError) as error:
            return [str(error), *(f"{node.name}:\n{node.said()[-1500:]}" for node in trial.nodes.values())]
        finally:
            machines.plug(True)
            for node in trial.nodes.values():
                if node.running:
                    node.kill()


class Observer(ViperNode):
    """On the arm's machine: prints how fast the arm moves, and calls the services that stdin names."""

    def __init__(self) -> None:
        super().__init__("observer", [])
        self._clients_by_name = {
            name: self.create_client(Trigger, name) for name in ("start_episode", "clear_fault", "reset_episode")
        }
        self._wanted: list[str] = []
        self.listen(JointState, "joint_states", self._on_joint_states, RELIABLE)
        self.every(0.05, self._call)
        threading.Thread(target=self._read, daemon=True).start()

    def claims(self) -> dict[str, type]:
        return {}

    def health(self) -> Health:
        return Health("observing")

    def _read(self) -> None:
        for line in sys.stdin:
            self._wanted.append(line.strip())
        self.finish(0)

    def _call(self) -> None:
        if self._wanted and self._clients_by_name[self._wanted[0]].service_is_ready():
            name = self._wanted.pop(0)
            future = self._clients_by_name[name].call_async(Trigger.Request())
            future.add_done_callback(lambda f: say(call=name, success=f.result().success, why=f.result().message))

    def _on_joint_states(self, states: JointState) -> None:
        say(time=time.monotonic(), speed=max(abs(velocity) for velocity in states.velocity))


def say(**what: object) -> None:
    print(json.dumps(what), flush=True)


def observe() -> int:
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    observer, executor = Observer(), make_executor()
    executor.add_node(observer)
    executor.spin_until_future_complete(observer.done, 3600)
    executor.shutdown()
    rclpy.try_shutdown()
    return 0


class Watch:
    """The observer's process, and what it says."""

    def __init__(self, prefix: list[str]) -> None:
        self._process = subprocess.Popen(
            [*prefix, sys.executable, __file__, "--observe"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.speeds: list[tuple[float, float]] = []
        self.answers: list[dict] = []
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
        """Call a service until it answers; True where it did what was asked."""
        before = len(self.answers)
        assert self._process.stdin
        self._process.stdin.write(name + "\n")
        self._process.stdin.flush()
        wait(lambda: len(self.answers) > before, 60, f"{name} to answer")
        return bool(self.answers[-1]["success"])

    def insist(self, name: str) -> None:
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


def deployment(machines: Machines, away: str, cuts: int) -> list[str]:
    """Cut the link while the policy moves the arm. `away`: the node that is not on the arm's machine."""
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        untrained_policy(folder / "run", len(ACTION))
        parameters = {
            "simulated_arm_node": {},
            "arm_node": {"dry_run": False, "action": "joint_velocity"},
            "act_node": {"policy": str(folder / "run")},
        }
        before = {"arm_node": PATIENT_ARM, "act_node": MOVING_POLICY}
        nodes = [
            NodeProcess(node, folder, values, before=before.get(node, ""), prefix=machines.on(int(node == away)))
            for node, values in parameters.items()
        ]
        for node in nodes:
            node.start()
        watch = Watch(machines.on(0))
        stops = []
        try:
            wait(lambda: len(watch.speeds) > 0, 300, "the arm")
            for number in range(cuts):
                watch.insist("clear_fault")
                watch.insist("reset_episode")
                wait(lambda: watch.speeds[-1][1] < RESTING, 60, "the arm to be home")
                watch.insist("start_episode")
                wait(watch.moving, 60, "the arm to move")
                machines.plug(False)
                cut = time.monotonic()
                time.sleep(DEADLINE + 1.5)
                still = [at for at, speed in watch.speeds if at > cut and speed > RESTING]
                stops.append(max(still, default=cut) - cut)
                if watch.speeds[-1][1] > RESTING:
                    wrong.append(f"cut {number + 1}: the arm still moves with {watch.speeds[-1][1]:.3f} rad/s")
                machines.plug(True)
                mended = time.monotonic()
                time.sleep(3.0)
                after = max((speed for at, speed in watch.speeds if at > mended), default=0.0)
                if after > RESTING:
                    wrong.append(f"cut {number + 1}: the arm moved with {after:.3f} rad/s when the link was back")
                print(f"{away} cut off: the arm was still after {stops[-1]:.2f} s and stayed so", flush=True)
        except TimeoutError as error:
            wrong.append(f"{away} cut off: {error}; {watch.answers[-3:]}")
            wrong += [f"{node.name}:\n{node.said()[-1500:]}" for node in nodes]
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
    os.environ["FASTDDS_BUILTIN_TRANSPORTS"] = "UDPv4"  # Shared memory would go around the cable.
    machines = Machines()
    try:
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        wrong = lockstep(machines, arguments.cuts, np.random.default_rng(0))
        for away in ("act_node", "arm_node"):
            wrong += deployment(machines, away, arguments.cuts)
        rclpy.try_shutdown()
    finally:
        machines.close()
    return verdict(
        wrong, "nothing lost, doubled or out of order in the run; the arm stopped at every cut and stayed still"
    )


if __name__ == "__main__":
    sys.exit(main())
