"""The nodes that benchmarks.reliability.fuzz attacks, the node that attacks, and the messages that are valid."""

from __future__ import annotations

import mmap
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
from viper_ros.msg import Action, Step

from benchmarks.node_process import NodeProcess
from benchmarks.observer import Observer
from benchmarks.reliability.hostile_messages import SIZE, TASK
from sim import ActionSpace, Description
from viper_lab.experiment.untrained import untrained_model, untrained_policy
from viper_ros.arm import files as arm
from viper_ros.messages import environment_description as description
from viper_ros.messages import images
from viper_ros.runtime.qos import LATCHED, RELIABLE

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
"""Code that a node's process runs first: it counts the messages that the node has handled, in the file PATH."""


class Victim:
    """A node under attack."""

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
        """Messages and requests, by topic or service."""
        self.memory: list[float] = []
        """MiB, after the first time and after the second time that the same messages came."""

    @property
    def full_name(self) -> str:
        return f"{self.namespace}/{self.node_name}"

    @property
    def handled(self) -> int:
        """How many messages it has handled."""
        return int(struct.unpack("<Q", self._counter[:])[0])


class Attacker(Observer):
    """The node that sends hostile messages."""

    def __init__(self) -> None:
        super().__init__("attacker")
        self.arm_speed = 0.0
        """The highest speed of a joint that arm_node has commanded, rad/s."""
        self.listen(JointTrajectory, "/arm/arm_controller/joint_trajectory", self._on_command, RELIABLE)
        latched = self.create_publisher(String, "/learner/env_0/description", LATCHED)
        latched.publish(String(data=environment_description()))

    def hear(self, kind: type, topic: str) -> list[Any]:
        """A list to which every message of a topic is added from now on."""
        heard: list[Any] = []
        self.listen(kind, topic, heard.append, RELIABLE)
        return heard

    def _on_command(self, command: JointTrajectory) -> None:
        for point in command.points:
            self.arm_speed = max(self.arm_speed, *(abs(velocity) for velocity in point.velocities))


def make_victims(folder: Path) -> list[Victim]:
    """Every kind of node, not yet started. Their models and logs go into `folder`."""
    untrained_model(folder / "model", TASK)
    untrained_policy(folder / "trained", action_size=7)
    model = str(folder / "model")
    never = 10**9
    learner = {
        "run": str(folder / "run"),
        "image_size": SIZE,
        "prefill": never,
        "steps": never,
        "evaluate_every": never,
    }
    environment = {"task": TASK, "image_size": SIZE, "action_repeat": 50, "repeat_after": 0.2}
    nodes: list[tuple[str, str, dict[str, Any]]] = [
        ("sim_node", "/environment", environment),
        ("reward_node", "/scorer", {"model": model}),
        ("reward_node", "/viewer", {"model": model, "steps": False}),
        ("policy_node", "/learner", learner),
        ("act_node", "/actor", {"policy": str(folder / "trained")}),
        ("arm_node", "/arm", {"dry_run": False}),
        ("simulated_arm_node", "/simulated", {"camera_rate": 2.0}),
    ]
    return [Victim(node, namespace, folder, parameters) for node, namespace, parameters in nodes]


def environment_description() -> str:
    """What an environment of TASK says of itself, as JSON."""
    space = ActionSpace("continuous", 1)
    return description.to_json(Description("dmc", TASK, space, (SIZE, SIZE), 0.1, (0.0, 1000.0), {}))


def valid_message(topic: str, kind: type, stamp: Time, rng: np.random.Generator) -> Any:
    """A message as the node that subscribes to `topic` expects it."""
    if kind is Image:
        return images.to_message(rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8), stamp, "camera")
    if kind is String:
        return String(data=environment_description())
    if kind is JointState:
        panda = arm.load("panda")
        message = JointState(name=list(panda.joints), position=panda.home.tolist())
    elif kind is Step:
        message = Step(task=TASK, is_first=bool(rng.random() < 0.1), is_last=bool(rng.random() < 0.05))
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
