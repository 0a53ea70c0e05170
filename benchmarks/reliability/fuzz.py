"""What can a hostile message do? Every topic and service of every node, fed with what nobody should send.

    .venv/bin/in_ros python -m benchmarks.reliability.fuzz [--messages 100000] [--seed 0]

Each node runs in a process of its own over real DDS; what it subscribes to and offers is asked of the graph, so that
none is forgotten. Messages are good ones with some fields made bad, or bad in all fields, or broken bytes in place of a
serialised message: not finite, extreme and negative numbers, stamps of any time, arrays and strings of any length,
sizes that contradict each other, unknown encodings, tasks and parameters. Afterwards every process must be alive
without a traceback, and it must still do its work; the arm must not have moved. DDS keeps room for as many messages as
the history of a topic or service has, each as large as the largest so far: so memory is judged by sending the last
fifth of all messages once more, which must take no more of it.

Not sent are commands that do what they say: transitions that stop a node, and the parameter use_sim_time.
"""

from __future__ import annotations

import argparse
import importlib
import mmap
import re
import struct
import sys
import tempfile
import time
from array import array
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from graph import NodeProcess, verdict
from lifecycle_msgs.srv import GetState
from rclpy._rclpy_pybind11 import RCLError
from rclpy.client import Client
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import serialize_message
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
from viper_ros.msg import Action, Reward, Step

from sim import ActionSpace, Description
from viper_lab.experiment.untrained import untrained_model, untrained_policy
from viper_ros.arm import description as arm
from viper_ros.messages import environment_description as description
from viper_ros.messages import images
from viper_ros.runtime.node import Health, ViperNode
from viper_ros.runtime.process import make_executor
from viper_ros.runtime.qos import LATCHED, RELIABLE
from viper_ros.runtime.stamps import nanoseconds, to_stamp

TASK = "cartpole_swingup"
SIZE = 32
AT_ONCE = 8
"""Messages sent before the node is waited for: fewer than a subscription keeps."""
WITH_TOPICS = 0.7
"""Share of the messages; the rest goes to services."""
GROWTH_MIB = 40.0
"""That a process may grow while the same messages come again: what an allocator keeps of large ones."""
COUNTED = """
import mmap, struct
from viper_ros.runtime import node
file = open(PATH, 'r+b')
counter = mmap.mmap(file.fileno(), 8)
guard = node.ViperNode._guard
def counted(self, callback, *arguments):
    try:
        guard(self, callback, *arguments)
    finally:
        if arguments:
            counter[:] = struct.pack('<Q', struct.unpack('<Q', counter[:])[0] + 1)
node.ViperNode._guard = counted
"""
INTEGERS = {
    name: (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if name.startswith("int") else (0, 2**bits - 1)
    for bits in (8, 16, 32, 64)
    for name in (f"int{bits}", f"uint{bits}")
}
FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-300, 1e9, 1e38, float("nan"), float("inf"), float("-inf"))
WORDS = {
    "encoding": (
        "rgb8",
        "bgr8",
        "mono8",
        "mono16",
        "rgba8",
        "32FC1",
        "64FC4",
        "8UC3",
        "8UC99999999",
        "bayer_rggb8",
        "yuv422",
    ),
    "task": (TASK, "deploy", "hopper_hop", "../../etc/passwd"),
    "name": ("use_sim", "model", "publish_map", "repeat_after", "autostart", "dry_run", "latency", "task"),
    "": ("", "a", "x" * 100_000, "ü🤖" * 1000, "\n\r\t\x01", "../../../etc/passwd", "$(reboot)", "%s%n{}", "'; drop"),
}
ROUNDS = 10
AGAIN = (8, 9)
"""The rounds that come a second time."""
KEPT_TRANSITIONS = (2, 4, 5, 6, 7, 8)
"""Transitions that an active node obeys: they stop it, as they should."""


def interface(name: str, kind: str) -> Any:
    """The class of an interface: std_msgs/Header or std_msgs/msg/Header, `kind` being msg or srv."""
    package, *_, last = name.split("/")
    return getattr(importlib.import_module(f"{package}.{kind}"), last)


def hostile(kind: str, field: str, rng: np.random.Generator) -> Any:
    """A value of a message field's type that nobody should send."""
    if match := re.fullmatch(r"sequence<(.+?)(?:, \d+)?>", kind):
        return hostile_sequence(match[1], field, rng)
    if match := re.fullmatch(r"(.+)\[(\d+)\]", kind):
        values = [hostile(match[1], field, rng) for _ in range(int(match[2]))]
        return np.array(values) if match[1] in INTEGERS or match[1] in ("double", "float") else values
    if kind == "boolean":
        return bool(rng.integers(2))
    if kind == "octet":
        return bytes([int(rng.integers(256))])
    if kind in INTEGERS:
        low, high = INTEGERS[kind]
        extremes = (low, high, 0, 1, 2, 63, 65, 999_999_999, -1)
        return min(high, max(low, extremes[rng.integers(len(extremes))]))
    if kind in ("double", "float"):
        value = float(rng.choice(FLOATS)) if rng.random() < 0.7 else float(rng.normal() * 10.0 ** rng.integers(-3, 12))
        return value if kind == "double" else float(np.float32(value))
    if kind.startswith("string") or kind.startswith("wstring"):
        words = WORDS.get(field, WORDS[""]) if rng.random() < 0.6 else WORDS[""]
        return words[rng.integers(len(words))]
    message = interface(kind, "msg")()
    fill(message, rng)
    return message


def hostile_sequence(kind: str, field: str, rng: np.random.Generator) -> Any:
    if kind in INTEGERS or kind in ("double", "float"):
        length = int(
            rng.choice(
                [0, 1, 2, 6, 7, 8, 100, SIZE * SIZE * 3, 100_000], p=[0.1, 0.1, 0.1, 0.1, 0.2, 0.1, 0.1, 0.15, 0.05]
            )
        )
        if kind in ("double", "float"):
            return [hostile(kind, field, rng) for _ in range(min(length, 1000))]
        low, high = INTEGERS[kind]
        code = {
            "uint8": "B",
            "int8": "b",
            "uint16": "H",
            "int16": "h",
            "uint32": "I",
            "int32": "i",
            "uint64": "Q",
            "int64": "q",
        }
        return array(code[kind], rng.integers(low, high, length, endpoint=True, dtype=kind).tobytes())
    length = int(rng.choice([0, 1, 2, 7, 50], p=[0.2, 0.3, 0.2, 0.2, 0.1]))
    return [hostile(kind, field, rng) for _ in range(length)]


def fill(message: Any, rng: np.random.Generator, share: float = 1.0) -> None:
    """Make so large a share of a message's fields bad, one at least."""
    fields = list(message.get_fields_and_field_types().items())
    if not fields:
        return
    chosen = [field for field in fields if rng.random() < share] or [fields[rng.integers(len(fields))]]
    for name, kind in chosen:
        nested = getattr(message, name)
        if share < 1 and hasattr(nested, "get_fields_and_field_types") and rng.random() < 0.7:
            fill(nested, rng, share)
        else:
            setattr(message, name, hostile(kind, name, rng))


def broken(message: Any, rng: np.random.Generator) -> bytes:
    """The bytes of a message, cut short or with some of them changed."""
    content = bytearray(serialize_message(message))
    for _ in range(rng.integers(1, 4)):
        place = int(rng.integers(4, len(content))) if len(content) > 4 else 0
        kind = rng.integers(3)
        if kind == 0:
            content = content[: max(4, place)]
        elif kind == 1:
            content[place : place + 4] = b"\xff\xff\xff\xff"
        else:
            content[place : place + 1] = bytes([int(rng.integers(256))])
    return bytes(content)


class Fuzzer(ViperNode):
    def __init__(self) -> None:
        super().__init__("fuzzer", [])
        self.heard: dict[str, list[Any]] = {}
        self.healths: dict[str, dict[str, str]] = {}
        self.moved = 0.0
        self.listen(JointTrajectory, "/arm/arm_controller/joint_trajectory", self._on_command, RELIABLE)
        self.listen(DiagnosticArray, "/diagnostics", self._on_diagnostics, RELIABLE)

    def claims(self) -> dict[str, type]:
        return {}

    def health(self) -> Health:
        return Health("fuzzing")

    def hear(self, kind: type, topic: str) -> list[Any]:
        self.heard[topic] = []
        self.listen(kind, topic, self.heard[topic].append, RELIABLE)
        return self.heard[topic]

    def _on_command(self, command: JointTrajectory) -> None:
        for point in command.points:
            self.moved = max(self.moved, *(abs(velocity) for velocity in point.velocities))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.healths[status.name] = {value.key: value.value for value in status.values}


class Victim:
    """A node under attack, with a count of the messages that it has handled."""

    def __init__(self, node: str, namespace: str, folder: Path, parameters: dict[str, Any]) -> None:
        counter = folder / f"{namespace.strip('/')}.counter"
        counter.write_bytes(bytes(8))
        with open(counter, "r+b") as file:
            self._counter = mmap.mmap(file.fileno(), 8)
        before = COUNTED.replace("PATH", repr(str(counter)))
        self.process = NodeProcess(node, folder, parameters, namespace=namespace, before=before)
        self.node_name = "simulated_arm" if node == "simulated_arm_node" else node
        self.namespace = namespace
        self.sent: Counter[str] = Counter()
        self.memory: list[float] = []

    @property
    def handled(self) -> int:
        return int(struct.unpack("<Q", self._counter[:])[0])


class Attack:
    def __init__(self, folder: Path, rng: np.random.Generator) -> None:
        self.rng = rng
        untrained_model(folder / "model", TASK)
        untrained_policy(folder / "trained", action_size=7)
        model = str(folder / "model")
        self.victims = [
            Victim(node, namespace, folder, parameters)
            for node, namespace, parameters in (
                (
                    "sim_node",
                    "/environment",
                    {"task": TASK, "image_size": SIZE, "action_repeat": 50, "repeat_after": 0.2},
                ),
                ("reward_node", "/scorer", {"model": model}),
                ("reward_node", "/viewer", {"model": model, "steps": False}),
                (
                    "policy_node",
                    "/learner",
                    {
                        "run": str(folder / "run"),
                        "image_size": SIZE,
                        "prefill": 10**9,
                        "steps": 10**9,
                        "evaluate_every": 10**9,
                    },
                ),
                ("act_node", "/actor", {"policy": str(folder / "trained")}),
                ("arm_node", "/arm", {"dry_run": False}),
                ("simulated_arm_node", "/simulated", {"camera_rate": 2.0}),
            )
        ]
        self.fuzzer = Fuzzer()
        self.fuzzer.create_publisher(String, "/learner/env_0/description", LATCHED).publish(String(data=facts()))
        self._steps_of_arm = self.fuzzer.hear(Step, "/arm/step")
        self._executor = make_executor()
        self._executor.add_node(self.fuzzer)

    def spin(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._executor.spin_until_future_complete(self.fuzzer.done, left)

    def until(self, condition: Callable[[], bool], seconds: float, act: Callable[[], None] = lambda: None) -> bool:
        """Spin, and `act` again and again, until something has come about. False where it doesn't in time."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            act()
            self.spin(0.1)
        return True

    def begin(self) -> None:
        for victim in self.victims:
            victim.process.start()
        for victim in self.victims:
            name = f"{victim.namespace}/{victim.node_name}"
            process = victim.process
            self.until(
                lambda name=name, process=process: name in self.fuzzer.healths or process.status is not None, 300
            )
            if name not in self.fuzzer.healths:
                raise TimeoutError(f"{name} did not start:\n{process.said()}")
            state = self.fuzzer.create_client(GetState, f"{name}/get_state")
            labels: list[str] = []

            def ask(state: Client = state, labels: list[str] = labels) -> None:
                future = state.call_async(GetState.Request())
                future.add_done_callback(lambda f: labels.append(f.result().current_state.label))

            if not self.until(lambda labels=labels: "active" in labels, 300, ask):
                raise TimeoutError(f"{name} did not become active:\n{process.said()}")
        if not self.until(lambda: "steps" in self.fuzzer.healths["/learner/policy_node"], 60):
            raise TimeoutError("the policy node got no description")

    def endpoints(self, victim: Victim) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """The topics that a node subscribes to and its services, with their types, as the graph tells."""
        where = (victim.node_name, victim.namespace)
        topics = [(name, kinds[0]) for name, kinds in self.fuzzer.get_subscriber_names_and_types_by_node(*where)]
        services = [(name, kinds[0]) for name, kinds in self.fuzzer.get_service_names_and_types_by_node(*where)]
        return topics, services

    def attack(self, messages: int) -> None:
        everything = {victim: self.endpoints(victim) for victim in self.victims}
        topics = sum(len(topics) for topics, _ in everything.values())
        services = sum(len(services) for _, services in everything.values())
        # Transient local reaches every subscription, those to descriptions too.
        qos = QoSProfile(depth=2 * AT_ONCE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        publishers = {
            (victim, name): self.fuzzer.create_publisher(interface(kind, "msg"), name, qos)
            for victim, (subscribed, _) in everything.items()
            for name, kind in subscribed
        }
        clients = {
            (victim, name): self.fuzzer.create_client(interface(kind, "srv"), name)
            for victim, (_, offered) in everything.items()
            for name, kind in offered
        }
        self.spin(2.0)
        print(f"{topics} topics and {services} services of {len(self.victims)} nodes", flush=True)
        # In rounds, so that a node's state is attacked from all sides at once.
        each = -(-int(messages * WITH_TOPICS) // (topics * ROUNDS))
        each_service = -(-int(messages * (1 - WITH_TOPICS)) // (services * ROUNDS))
        again = None
        for number in (*range(ROUNDS), *AGAIN):
            if number == AGAIN[0]:
                if again:
                    self.rng.bit_generator.state = again
                again = self.rng.bit_generator.state
            for (victim, name), publisher in publishers.items():
                self._publish(victim, name, publisher, each)
            for (victim, name), client in clients.items():
                self._call(victim, name, client, each_service)
            if number == ROUNDS - 1:
                self.spin(1.0)
                for victim in self.victims:
                    if victim.process.status is None:
                        victim.memory.append(victim.process.memory())
            print(f"round {number + 1} of {ROUNDS}: {sum(sum(v.sent.values()) for v in self.victims)} sent", flush=True)

    def _publish(self, victim: Victim, name: str, publisher: Publisher, count: int) -> None:
        for begin in range(0, count, AT_ONCE):
            if victim.process.status is not None:
                return
            expected = victim.handled
            for _ in range(min(AT_ONCE, count - begin)):
                message = self.message(name, publisher.msg_type)
                if self.rng.random() < 0.1:
                    with suppress(RCLError):  # Some breakages DDS itself doesn't send.
                        publisher.publish(broken(message, self.rng))
                else:
                    publisher.publish(message)
                    expected += 1
                victim.sent[name] += 1
            waited = time.monotonic()
            before = victim.handled
            while victim.handled < expected and time.monotonic() - waited < 0.5:
                time.sleep(0.0005)
                if victim.handled != before:
                    before, waited = victim.handled, time.monotonic()

    def _call(self, victim: Victim, name: str, client: Client, count: int) -> None:
        for begin in range(0, count, AT_ONCE):
            if victim.process.status is not None or not client.service_is_ready():
                return
            futures = []
            for _ in range(min(AT_ONCE, count - begin)):
                request = client.srv_type.Request()
                fill(request, self.rng, float(self.rng.choice([0.5, 1.0])))
                harmless(request)
                futures.append(client.call_async(request))
                victim.sent[name] += 1
            end = time.monotonic() + 2.0
            while not all(future.done() for future in futures) and time.monotonic() < end:
                self._executor.spin_until_future_complete(futures[-1], 0.05)
            for future in futures:
                client.remove_pending_request(future)

    def message(self, topic: str, kind: type) -> Any:
        message = self.good(topic, kind)
        choice = self.rng.random()
        if choice < 0.7:
            fill(message, self.rng, 0.2)
        elif choice < 0.95:
            fill(message, self.rng)
        return message

    def good(self, topic: str, kind: type) -> Any:
        stamp = to_stamp(self.fuzzer.get_clock().now().nanoseconds // 10**8 * 10**8)  # Halves meet now and then.
        if kind is Image:
            return images.to_message(self.rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8), stamp, "camera")
        if kind is String:
            return String(data=facts())
        if kind is JointState:
            panda = arm.load("panda")
            message = JointState(name=list(panda.joints), position=panda.home.tolist())
        elif kind is Step:
            message = Step(task=TASK, is_first=bool(self.rng.random() < 0.1), is_last=bool(self.rng.random() < 0.05))
        elif kind is Action:
            message = Action(values=[0.0] * (7 if topic.startswith("/arm") else 1))
        elif kind is JointTrajectory:
            panda = arm.load("panda")
            gripper = "gripper" in topic
            joints, places = (panda.gripper.joints, [0.04, 0.04]) if gripper else (panda.joints, panda.home.tolist())
            message = JointTrajectory(joint_names=list(joints), points=[JointTrajectoryPoint(positions=places)])
        else:
            message = kind()
        if hasattr(message, "header"):
            message.header.stamp = stamp
        return message

    def still_working(self) -> list[str]:
        """The nodes that do not do their work any more."""
        trials = {
            "/environment": self._environment_answers,
            "/scorer": partial(self._is_scored, "/scorer/env_0"),
            "/viewer": partial(self._is_scored, "/viewer/env_0"),
            "/learner": partial(self._is_acted_on, "/learner/env_0"),
            "/actor": partial(self._is_acted_on, "/actor"),
            "/arm": self._arm_begins,
            "/simulated": self._simulated_arm_moves,
        }
        return [
            victim.process.name
            for victim in self.victims
            if victim.process.status is None and not trials[victim.namespace]()
        ]

    def _environment_answers(self) -> bool:
        steps = self.fuzzer.hear(Step, "/environment/step")
        actions = self.fuzzer.create_publisher(Action, "/environment/action", RELIABLE)
        if not self.until(lambda: bool(steps), 30):
            return False
        newest = max(nanoseconds(step.header.stamp) for step in steps)

        def answer() -> None:
            action = Action(values=[0.5])
            action.header.stamp = to_stamp(newest)
            actions.publish(action)

        return self.until(lambda: any(nanoseconds(step.header.stamp) > newest for step in steps), 30, answer)

    def _show(self, environment: str) -> Callable[[], int]:
        frames = self.fuzzer.create_publisher(Image, f"{environment}/image_raw", RELIABLE)
        steps = self.fuzzer.create_publisher(Step, f"{environment}/step", RELIABLE)
        picture = self.rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8)

        def show() -> int:
            stamp = self.fuzzer.get_clock().now().nanoseconds
            step = Step(task=TASK, is_first=True)
            step.header.stamp = to_stamp(stamp)
            steps.publish(step)
            frames.publish(images.to_message(picture, step.header.stamp, "camera"))
            return stamp

        return show

    def _is_scored(self, environment: str) -> bool:
        rewards, show, shown = self.fuzzer.hear(Reward, f"{environment}/reward"), self._show(environment), []
        return self.until(
            lambda: any(nanoseconds(r.header.stamp) in shown and np.isfinite(r.reward) for r in rewards),
            30,
            lambda: shown.append(show()),
        )

    def _is_acted_on(self, environment: str) -> bool:
        """As an environment in lockstep: the time step and its reward come again until it is answered."""
        actions, show, shown = self.fuzzer.hear(Action, f"{environment}/action"), self._show(environment), []
        rewards = self.fuzzer.create_publisher(Reward, f"{environment}/reward", RELIABLE)

        def live() -> None:
            shown.append(show())
            for _ in range(2):
                self.spin(0.05)
                reward = Reward(reward=1.0, log_likelihood=-5.0)
                reward.header.stamp = to_stamp(shown[-1])
                rewards.publish(reward)

        return self.until(lambda: any(nanoseconds(a.header.stamp) in shown for a in actions), 30, live)

    def _arm_begins(self) -> bool:
        """Well supplied and cleared, the arm may begin an episode again."""
        clear, begin = (self.fuzzer.create_client(Trigger, f"/arm/{name}") for name in ("clear_fault", "start_episode"))
        joints = self.fuzzer.create_publisher(JointState, "/arm/joint_states", RELIABLE)
        frames = self.fuzzer.create_publisher(Image, "/arm/camera/image_raw", RELIABLE)
        button = self.fuzzer.create_publisher(Bool, "/arm/e_stop", RELIABLE)
        before = len(self._steps_of_arm)

        def supply() -> None:
            button.publish(Bool(data=False))
            for _ in range(10):
                stamp = self.fuzzer.get_clock().now().to_msg()
                joints.publish(self.good("/arm/joint_states", JointState))
                frames.publish(images.to_message(np.zeros((SIZE, SIZE, 3), np.uint8), stamp, "camera"))
                self.spin(0.02)
            clear.call_async(Trigger.Request())
            begin.call_async(Trigger.Request())

        return self.until(lambda: len(self._steps_of_arm) > before, 30, supply)

    def _simulated_arm_moves(self) -> bool:
        states = self.fuzzer.hear(JointState, "/simulated/joint_states")
        commands = self.fuzzer.create_publisher(JointTrajectory, "/simulated/arm_controller/joint_trajectory", RELIABLE)
        target = arm.load("panda").home + 0.1
        command = JointTrajectory(joint_names=list(arm.load("panda").joints))
        command.points = [JointTrajectoryPoint(positions=target.tolist())]
        command.points[0].time_from_start.sec = 1
        return self.until(
            lambda: bool(states) and np.abs(np.array(states[-1].position) - target).max() < 0.05,
            30,
            lambda: commands.publish(command),
        )


def harmless(request: Any) -> None:
    """Take out of a request what would rightly stop the node or its clock."""
    if hasattr(request, "transition") and request.transition.id in KEPT_TRANSITIONS:
        request.transition.id = 99
    if hasattr(request, "transition") and request.transition.id == 0:
        request.transition.label = "nonsense"
    for parameter in getattr(request, "parameters", []):
        if getattr(parameter, "name", "") == "use_sim_time":
            parameter.name = "use_sim"


def facts() -> str:
    space = ActionSpace("continuous", 1)
    return description.to_json(Description("dmc", TASK, space, (SIZE, SIZE), 0.1, (0.0, 1000.0), {}))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        attack = Attack(Path(folder), np.random.default_rng(arguments.seed))
        processes = [victim.process for victim in attack.victims]
        try:
            attack.begin()
            attack.attack(arguments.messages)
            moved = attack.fuzzer.moved
            wrong += [f"{name} does not work any more" for name in attack.still_working()]
            wrong += [f"the arm moved with {moved} rad/s"] if moved > 1e-6 else []
            attack.spin(1.5)
            for victim in attack.victims:
                wrong += report(victim, attack.fuzzer.healths)
        except TimeoutError as error:
            wrong.append(str(error))
        finally:
            statuses = {process.name: process.end() for process in processes}
        wrong += [f"{name} ended with status {status} when told to stop" for name, status in statuses.items() if status]
    rclpy.try_shutdown()
    total = sum(sum(victim.sent.values()) for victim in attack.victims)
    print(f"{total} messages and requests sent; commanded motion of the arm: {attack.fuzzer.moved} rad/s at most")
    return verdict(wrong, "no node ended, none left a traceback, memory bounded, all still work, the arm stood still")


def report(victim: Victim, healths: dict[str, dict[str, str]]) -> list[str]:
    """Prints what a node went through; returns what is wrong with it."""
    process = victim.process
    refused = healths.get(f"{victim.namespace}/{victim.node_name}", {}).get("messages_refused", "0")
    memory = " → ".join(f"{megabytes:.0f}" for megabytes in victim.memory)
    counts = f"{sum(victim.sent.values()):6} sent, {victim.handled:6} handled, {refused:>6} refused"
    print(f"{process.name:30} {counts}; {memory} MiB")
    wrong = []
    if process.status is not None:
        wrong.append(f"{process.name} ended with status {process.status}")
    if "Traceback" in process.said():
        wrong.append(f"{process.name} left a traceback")
    if len(victim.memory) == 2 and victim.memory[1] > victim.memory[0] + GROWTH_MIB:
        wrong.append(
            f"{process.name} grew from {victim.memory[0]:.0f} to {victim.memory[1]:.0f} MiB by messages that it knew"
        )
    return wrong + ([line[:300] for line in process.said().splitlines()[-30:]] if wrong else [])


if __name__ == "__main__":
    sys.exit(main())
