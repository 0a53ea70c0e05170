"""More than a reward node can take: a camera at 60 Hz before a slow model, and ten environments at once.

    .venv/bin/in_ros python -m benchmarks.speed.load [--seconds 60]

First a camera alone (steps:=false), 640×480 at 60 Hz, before a model that takes a tenth of a second a frame: memory
must stay bounded, what is scored must be the newest, and what is not must be counted. Then environments in lockstep,
one and ten, against one reward node of size tiny (untrained, which costs the same): rewards a second and latencies, as
the node tells on /diagnostics. Each environment shows its next frame when it has the last one's reward.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from graph import NodeProcess
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from viper_ros.msg import Reward, Step

from viper_lab.experiment.untrained import untrained_model
from viper_ros.messages import images
from viper_ros.runtime.node import Health, ViperNode
from viper_ros.runtime.process import join_graph, make_executor
from viper_ros.runtime.qos import RELIABLE
from viper_ros.runtime.stamps import nanoseconds, to_stamp

TASK = "cartpole_swingup"
RATE = 60.0
SCORING_SECONDS = 0.1
SLOW_MODEL = f"""
import time
from viper_ros.nodes.reward_node import RewardNode
configure = RewardNode.configure
class Slow:
    def __init__(self, stream):
        self._stream = stream
    def step(self, *arguments):
        time.sleep({SCORING_SECONDS})
        return self._stream.step(*arguments)
def configured(self):
    configure(self)
    self._stream = Slow(self._stream)
RewardNode.configure = configured
"""


class Environments(ViperNode):
    def __init__(self, names: list[str]) -> None:
        super().__init__("environments", [])
        self.values: dict[str, str] = {}
        self.rewards: list[tuple[float, float]] = []
        """When a reward came, and the age of its frame, both in seconds."""
        self._frame = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        self._shows = {
            name: (
                self.create_publisher(Step, f"{name}/step", RELIABLE),
                self.create_publisher(Image, f"{name}/image_raw", RELIABLE),
            )
            for name in names
        }
        for name in names:
            self.listen(Reward, f"{name}/reward", partial(self._on_reward, name), RELIABLE)
        self.listen(DiagnosticArray, "/diagnostics", self._on_diagnostics, RELIABLE)

    def claims(self) -> dict[str, type]:
        return {}

    def health(self) -> Health:
        return Health("showing")

    def connected(self) -> bool:
        return all(show.get_subscription_count() for shows in self._shows.values() for show in shows)

    def show(self, name: str, first: bool = False) -> None:
        stamp = self.get_clock().now().to_msg()
        step = Step(task=TASK, is_first=first)
        step.header.stamp = stamp
        steps, frames = self._shows[name]
        steps.publish(step)
        frames.publish(images.to_message(self._frame, stamp, "camera"))

    def _on_reward(self, name: str, reward: Reward) -> None:
        self.rewards.append((time.monotonic(), age(self, reward)))
        self.show(name)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.endswith("reward_node"):
                self.values = {value.key: value.value for value in status.values}


class Camera(ViperNode):
    def __init__(self) -> None:
        super().__init__("camera", [])
        self.values: dict[str, str] = {}
        self.ages: list[float] = []
        self.stamps: list[int] = []
        self.shown = 0
        self._frame = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
        self.images = self.create_publisher(Image, "env_0/image_raw", qos_profile_sensor_data)
        self.listen(Reward, "env_0/reward", self._on_reward, RELIABLE)
        self.listen(DiagnosticArray, "/diagnostics", self._on_diagnostics, RELIABLE)
        self.recording = False
        self.every(1 / RATE, self._video)

    def claims(self) -> dict[str, type]:
        return {}

    def health(self) -> Health:
        return Health("recording")

    def _video(self) -> None:
        if self.recording:
            stamp = self.get_clock().now().nanoseconds
            self.images.publish(images.to_message(self._frame, to_stamp(stamp), "camera"))
            self.shown += 1

    def _on_reward(self, reward: Reward) -> None:
        self.ages.append(age(self, reward))
        self.stamps.append(nanoseconds(reward.header.stamp))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.endswith("reward_node"):
                self.values = {value.key: value.value for value in status.values}


def age(node: ViperNode, reward: Reward) -> float:
    return (node.get_clock().now().nanoseconds - nanoseconds(reward.header.stamp)) / 1e9


def spin(node: ViperNode, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
    executor = make_executor()
    executor.add_node(node)
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        executor.spin_until_future_complete(node.done, min(0.1, max(0.0, end - time.monotonic())))
    executor.remove_node(node)
    executor.shutdown()


def camera(folder: Path, seconds: float) -> list[str]:
    """What is wrong, in lines."""
    reward_node = NodeProcess(
        "reward_node", folder, {"model": str(folder / "model"), "steps": False}, before=SLOW_MODEL
    )
    reward_node.start()
    node = Camera()
    spin(node, 300.0, lambda: node.images.get_subscription_count() > 0)
    node.recording = True
    spin(node, 10.0)
    begin = reward_node.memory()
    spin(node, seconds)
    end = reward_node.memory()
    node.recording = False
    spin(node, 3.0)
    scored, dropped = int(node.values["frames_scored"]), int(node.values["frames_dropped"])
    reward_node.end()
    node.destroy_node()
    lost, ages, values = node.shown - scored - dropped, np.array(node.ages) * 1e3, node.values
    rate = node.shown / (seconds + 10)
    print(f"camera at {rate:.0f} Hz, 640×480, a model of {SCORING_SECONDS * 1e3:.0f} ms a frame: {node.shown} shown")
    print(f"  {scored} scored, {dropped} dropped and counted, {lost} lost before the node ({lost / node.shown:.1%})")
    print(f"  age of a frame when its reward comes: median {np.median(ages):.0f} ms, most {ages.max():.0f} ms")
    print(f"  memory {begin:.0f} MiB after 10 s, {end:.0f} MiB at the end; longest queue {values['longest_queue']}")
    wrong = []
    if node.stamps != sorted(node.stamps):
        wrong.append("rewards out of order")
    if end > 1.05 * begin:
        wrong.append(f"memory grew from {begin:.0f} to {end:.0f} MiB")
    if int(node.values["longest_queue"]) > 1:
        wrong.append(f"{node.values['longest_queue']} frames waited, not the newest alone")
    return wrong


def environments(folder: Path, count: int, seconds: float) -> None:
    names = [f"env_{i}" for i in range(count)]
    reward_node = NodeProcess("reward_node", folder, {"model": str(folder / "model"), "environments": names})
    reward_node.start()
    node = Environments(names)
    spin(node, 300.0, node.connected)
    spin(node, 1.0)
    for name in names:
        node.show(name, first=True)
    spin(node, 5.0)
    node.rewards.clear()
    spin(node, seconds)
    reward_node.end()
    node.destroy_node()
    ages = np.array([age for _, age in node.rewards]) * 1e3
    inside = f"{node.values['latency_ms_median']} / {node.values['latency_ms_p99']} ms inside the node"
    print(
        f"{count:2} environments: {len(ages) / seconds:6.1f} rewards a second; "
        f"longest queue {node.values['longest_queue']}"
    )
    print(f"  latency median / p99 {np.median(ages):.1f} / {np.quantile(ages, 0.99):.1f} ms, {inside}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    seconds = parser.parse_args().seconds
    join_graph([])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        untrained_model(folder / "model", TASK)
        wrong = camera(folder, seconds)
        for count in (1, 10):
            environments(folder, count, seconds / 3)
    rclpy.try_shutdown()
    for line in wrong:
        print(f"WRONG: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
