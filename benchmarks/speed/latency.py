"""Milliseconds from a camera's frame to its reward and to its action over DDS, with a process per node.

    .venv/bin/in_ros python -m benchmarks.speed.latency [--frames 300]

This process is the camera: it publishes a step and a frame, and takes the time until the reward or the action with
their stamp arrives. Three peers take turns, at two image sizes and three rates:
* real: the nodes with untrained models of size tiny, which take as long as trained ones;
* quick: the same nodes with models that answer at once, that is ROS and everything else but the models;
* bare: a node of a few lines that answers each image with an empty reward, that is rclpy and DDS alone.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from rclpy.utilities import try_shutdown
from sensor_msgs.msg import Image
from viper_ros.msg import Action, Reward, Step

from benchmarks.node_process import NodeProcess, ends_of_output
from benchmarks.observer import Observer
from viper_lab.experiment.untrained import untrained_model, untrained_policy
from viper_ros.messages import images
from viper_ros.runtime.process import join_graph
from viper_ros.runtime.qos import RELIABLE
from viper_ros.runtime.stamps import nanoseconds, to_stamp

TASK = "cartpole_swingup"
WARM_UP = 10
"""Frames that are not counted."""
SIZES = ((64, 64), (480, 640))
RATES = (10.0, 30.0, 60.0)
LIMIT_MS = 3.0
"""For the ROS part's 99th percentile at 64×64 and 30 Hz."""
QUICK_REWARD = """
import numpy as np
from viper_model.reward.scorer import FrameScore
from viper_ros.nodes.reward_node import RewardNode
configure = RewardNode.configure
class QuickScorer:
    def step(self, videos, *rest):
        return [FrameScore(0.0, 0.0, np.zeros((4, 4), np.float32)) for _ in videos]
def configured(self):
    configure(self)
    self._scorer = QuickScorer()
RewardNode.configure = configured
"""
QUICK_POLICY = """
import numpy as np
from viper_model.agents.snapshot_policy import SnapshotPolicy
SnapshotPolicy.act = lambda self, state, image, first, sample: (np.zeros((len(image), 7), np.float32), state)
"""
BARE = """
import rclpy
from rclpy.task import Future
from sensor_msgs.msg import Image
from viper_ros.msg import Reward
from viper_ros.runtime.process import join_graph, make_executor
from viper_ros.runtime.qos import RELIABLE
join_graph([])
node = rclpy.create_node('bare')
publisher = node.create_publisher(Reward, '/bare/env_0/reward', RELIABLE)
node.create_subscription(Image, '/bare/env_0/image_raw', lambda m: publisher.publish(Reward(header=m.header)), RELIABLE)
executor = make_executor()
executor.add_node(node)
done = Future()
while rclpy.ok():  # EventsExecutor.spin brings nothing.
    executor.spin_until_future_complete(done, 1.0)
"""


class Camera(Observer):
    def __init__(self) -> None:
        super().__init__("camera")
        self._sent: dict[int, float] = {}
        self.latencies: dict[str, list[float]] = {}
        """Seconds, by part: reward or action."""
        self._topics = {}
        """Publishers of steps and of frames, by peer."""
        for name in ("bare", "quick", "real"):
            for part, kind in (("reward", Reward), ("action", Action)):
                topic = f"/{name}/env_0/{part}"
                self.listen(kind, topic, partial(self._on_answer, part), RELIABLE)
            self._topics[name] = (
                self.create_publisher(Step, f"/{name}/env_0/step", RELIABLE),
                self.create_publisher(Image, f"/{name}/env_0/image_raw", RELIABLE),
            )

    def _on_answer(self, part: str, answer: Reward | Action) -> None:
        stamp = nanoseconds(answer.header.stamp)
        if stamp in self._sent:
            self.latencies.setdefault(part, []).append(time.perf_counter() - self._sent[stamp])

    def connected(self) -> bool:
        return all(
            image.get_subscription_count() >= (1 if name == "bare" else 2) for name, (_, image) in self._topics.items()
        )

    def show(self, name: str, size: tuple[int, int], first: bool) -> None:
        stamp = self.get_clock().now().nanoseconds
        step = Step(task=TASK, is_first=first)
        step.header.stamp = to_stamp(stamp)
        frame = images.to_message(
            np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8), step.header.stamp, ""
        )
        steps, frames = self._topics[name]
        self._sent = {stamp: time.perf_counter(), **dict(itertools.islice(self._sent.items(), 100))}
        steps.publish(step)
        frames.publish(frame)


def measure(camera: Camera, name: str, size: tuple[int, int], rate: float, frames: int) -> dict[str, np.ndarray]:
    """Latencies in ms, by part: reward and action."""
    begin = time.perf_counter()
    for number in range(WARM_UP + frames):
        if number == WARM_UP:
            camera.latencies = {}
        camera.show(name, size, number == 0)
        due = begin + (number + 1) / rate
        while (left := due - time.perf_counter()) > 0:
            camera.spin(left)
    return {part: np.array(seconds) * 1e3 for part, seconds in camera.latencies.items()}


def compare(camera: Camera, frames: int) -> float:
    """Print a row for each image size and rate. Returns what LIMIT_MS limits, in ms."""
    quick = 0.0
    print("ms: median / 99th percentile     bare      reward, ROS      action, ROS     reward, all     action, all")
    for size, rate in itertools.product(SIZES, RATES):
        found = {name: measure(camera, name, size, rate, frames) for name in ("bare", "quick", "real")}
        columns = [found["bare"]["reward"]]
        columns += [found[name][part] for name in ("quick", "real") for part in ("reward", "action")]
        cells = "  ".join(f"{np.median(c):6.2f} /{np.quantile(c, 0.99):7.2f}" for c in columns)
        print(f"{size[1]}×{size[0]} at {rate:2.0f} Hz, {frames} frames: {cells}", flush=True)
        missing = [frames - len(column) for column in columns]
        if any(count > 0 for count in missing):
            print(f"    without an answer in time: {missing}")
        if size == SIZES[0] and rate == 30.0:
            quick = max(float(np.quantile(found["quick"][part], 0.99)) for part in ("reward", "action"))
    return quick


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=300)
    frames = parser.parse_args().frames
    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        untrained_model(folder / "model", TASK)
        untrained_policy(folder / "run", action_size=7)
        processes = []
        for name, quick in (("real", False), ("quick", True)):
            model, policy = {"model": str(folder / "model")}, {"policy": str(folder / "run")}
            before = (QUICK_REWARD, QUICK_POLICY) if quick else ("", "")
            processes += [
                NodeProcess("reward_node", folder, model, namespace=f"/{name}", before=before[0]),
                NodeProcess("act_node", folder, policy, namespace=f"/{name}/env_0", before=before[1]),
            ]
        for process in processes:
            process.start()
        bare = subprocess.Popen([sys.executable, "-c", BARE])
        join_graph([])
        camera = Camera()
        try:
            if not camera.spin_until(camera.connected, 600):
                raise SystemExit("the nodes did not start:\n" + "\n".join(ends_of_output(processes)))
            quick_ms = compare(camera, frames)
        finally:
            camera.close()
            try_shutdown()
            bare.kill()
            bare.wait()
            for process in processes:
                process.end()
    print(f"the ROS part at 64×64 and 30 Hz: {quick_ms:.2f} ms at the 99th percentile; target {LIMIT_MS:.0f} ms")
    return 0 if quick_ms < LIMIT_MS else 1


if __name__ == "__main__":
    sys.exit(main())
