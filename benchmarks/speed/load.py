"""A reward node under more load than it can take: a camera faster than its model, and ten environments at once.

    .venv/bin/in_ros python -m benchmarks.speed.load [--seconds 60]

First a camera alone (steps:=false), 640×480 at 60 Hz, and a model that takes a tenth of a second a frame: memory must
stay bounded, each scored frame must be the newest, and frames that are not scored must be counted. Then one and ten
environments in lockstep and a model of size tiny (untrained, which takes as long): rewards a second, and latencies as
measured here and as the node tells on /diagnostics.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from rclpy.utilities import try_shutdown
from sensor_msgs.msg import Image
from viper_ros.msg import Reward, Step

from benchmarks.node_process import NodeProcess
from benchmarks.observer import Observer
from benchmarks.verdict import print_verdict
from viper_lab.experiment.untrained import untrained_model
from viper_ros.messages import images
from viper_ros.runtime.process import join_graph
from viper_ros.runtime.qos import RELIABLE
from viper_ros.runtime.stamps import nanoseconds

TASK = "cartpole_swingup"
RATE = 60.0
SCORING_SECONDS = 0.1
GROWTH = 0.05
"""Share by which memory may grow."""
SLOW_MODEL = f"""
import time
from viper_ros.nodes.reward_node import RewardNode
configure = RewardNode.configure
class SlowScorer:
    def __init__(self, scorer):
        self._scorer = scorer
    def step(self, *arguments):
        time.sleep({SCORING_SECONDS})
        return self._scorer.step(*arguments)
def configured(self):
    configure(self)
    self._scorer = SlowScorer(self._scorer)
RewardNode.configure = configured
"""


class RewardMeter(Observer):
    """Shows frames to a reward node and keeps the age of each when its reward comes."""

    def __init__(self, environments: list[str], qos: QoSProfile, size: tuple[int, int]) -> None:
        super().__init__("reward_meter")
        self.ages: list[float] = []
        """Seconds."""
        self.stamps: list[int] = []
        self._frame = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
        self._frames = {name: self.create_publisher(Image, f"{name}/image_raw", qos) for name in environments}
        for name in environments:
            self.listen(Reward, f"{name}/reward", partial(self.on_reward, name), RELIABLE)

    def connected(self) -> bool:
        return all(publisher.get_subscription_count() for publisher in self._frames.values())

    def reward_node(self) -> dict[str, str]:
        """What the reward node says on /diagnostics."""
        return self.diagnoses["/reward_node"].values

    def show(self, name: str, stamp: Time) -> None:
        self._frames[name].publish(images.to_message(self._frame, stamp, "camera"))

    def on_reward(self, name: str, reward: Reward) -> None:
        stamp = nanoseconds(reward.header.stamp)
        self.ages.append((self.get_clock().now().nanoseconds - stamp) / 1e9)
        self.stamps.append(stamp)


class Camera(RewardMeter):
    """Shows a frame every 1 / RATE seconds while it is `recording`."""

    def __init__(self) -> None:
        super().__init__(["env_0"], qos_profile_sensor_data, (480, 640))
        self.shown = 0
        self.recording = False
        self.every(1 / RATE, self._record)

    def _record(self) -> None:
        if self.recording:
            self.show("env_0", self.get_clock().now().to_msg())
            self.shown += 1


class Environments(RewardMeter):
    """Each environment shows its next frame when it has the last one's reward."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(names, RELIABLE, (64, 64))
        self._steps = {name: self.create_publisher(Step, f"{name}/step", RELIABLE) for name in names}

    def connected(self) -> bool:
        return super().connected() and all(steps.get_subscription_count() for steps in self._steps.values())

    def step(self, name: str, is_first: bool) -> None:
        step = Step(task=TASK, is_first=is_first)
        step.header.stamp = self.get_clock().now().to_msg()
        self._steps[name].publish(step)
        self.show(name, step.header.stamp)

    def on_reward(self, name: str, reward: Reward) -> None:
        super().on_reward(name, reward)
        self.step(name, is_first=False)


def connect(meter: RewardMeter, reward_node: NodeProcess) -> None:
    if not meter.spin_until(meter.connected, 300.0):
        raise SystemExit(f"the reward node did not start:\n{reward_node.output()}")


def measure_camera(folder: Path, seconds: float) -> list[str]:
    """Print what a camera and a slow model gave; returns what is wrong, in lines."""
    parameters = {"model": str(folder / "model"), "steps": False}
    reward_node = NodeProcess("reward_node", folder, parameters, before=SLOW_MODEL)
    reward_node.start()
    camera = Camera()
    connect(camera, reward_node)
    camera.recording = True
    camera.spin(10.0)
    begin = reward_node.memory()
    camera.spin(seconds)
    end = reward_node.memory()
    camera.recording = False
    camera.spin(3.0)
    values = camera.reward_node()
    reward_node.end()
    camera.close()
    scored, dropped, longest_queue = (int(values[k]) for k in ("frames_scored", "frames_dropped", "longest_queue"))
    lost, ages = camera.shown - scored - dropped, np.array(camera.ages) * 1e3
    rate = camera.shown / (seconds + 10)
    print(f"camera at {rate:.0f} Hz, 640×480, a model of {SCORING_SECONDS * 1e3:.0f} ms a frame: {camera.shown} shown")
    print(f"  {scored} scored, {dropped} dropped and counted, {lost} lost before the node ({lost / camera.shown:.1%})")
    print(f"  age of a frame when its reward comes: median {np.median(ages):.0f} ms, most {ages.max():.0f} ms")
    print(f"  memory {begin:.0f} MiB after 10 s, {end:.0f} MiB at the end; longest queue {longest_queue}")
    wrong = []
    if camera.stamps != sorted(camera.stamps):
        wrong.append("rewards out of order")
    if end > (1 + GROWTH) * begin:
        wrong.append(f"memory grew from {begin:.0f} to {end:.0f} MiB")
    if longest_queue > 1:
        wrong.append(f"{longest_queue} frames waited, not the newest alone")
    return wrong


def measure_environments(folder: Path, count: int, seconds: float) -> None:
    """Print the rewards a second and the latencies that `count` environments get together."""
    names = [f"env_{i}" for i in range(count)]
    reward_node = NodeProcess("reward_node", folder, {"model": str(folder / "model"), "environments": names})
    reward_node.start()
    environments = Environments(names)
    connect(environments, reward_node)
    environments.spin(1.0)
    for name in names:
        environments.step(name, is_first=True)
    environments.spin(5.0)
    environments.ages.clear()
    environments.spin(seconds)
    values, ages = environments.reward_node(), np.array(environments.ages) * 1e3
    reward_node.end()
    environments.close()
    inside = f"{values['latency_ms_median']} / {values['latency_ms_p99']} ms inside the node"
    print(
        f"{count:2} environments: {len(ages) / seconds:6.1f} rewards a second; longest queue {values['longest_queue']}"
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
        wrong = measure_camera(folder, seconds)
        for count in (1, 10):
            measure_environments(folder, count, seconds / 3)
    try_shutdown()
    return print_verdict(wrong, "memory bounded, the newest frame scored, the others counted")


if __name__ == "__main__":
    sys.exit(main())
