"""A training graph in lockstep, a process per node, before two witnesses of what happens in it.

The environment's own log is written before anything is published, and the environment paints the number of each frame
into the frame's corner; the recorder hears frames and rewards. `replay_check` compares replay with both.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from viper_ros.msg import Reward

from benchmarks.node_process import NodeProcess
from benchmarks.observer import Observer
from viper_lab.experiment.untrained import untrained_model
from viper_ros.messages import images
from viper_ros.runtime.stamps import nanoseconds

TASK = "cartpole_swingup"
ENVIRONMENT = "env_0"
SIZE = 32
PATIENCE = 300.0
"""Seconds after which a loop that stands still has failed."""
WITNESSED_ENVIRONMENT = """
import json, os
import numpy as np
import sim

class Witnessed:
    '''Numbers its frames, and writes down what happens before anybody else knows of it.'''

    def __init__(self, environment, path):
        self._environment, self._path = environment, path
        self._number = len(open(path).read().splitlines()) if os.path.exists(path) else 0
        self._log = open(path, 'ab', buffering=0)

    def __getattr__(self, name):
        return getattr(self._environment, name)

    def reset(self):
        return self._told(self._environment.reset(), None)

    def step(self, action):
        return self._told(self._environment.step(action), [float(value) for value in action])

    def _told(self, time_step, action):
        number, self._number = self._number, self._number + 1
        image = time_step.image.copy()
        image[0, :8] = np.frombuffer(np.array([number, number ^ 0xFFFFFFFF], '<u4').tobytes(), np.uint8)[:, None]
        happened = {'number': number, 'action': action, 'first': time_step.is_first, 'last': time_step.is_last}
        self._log.write((json.dumps(happened) + chr(10)).encode())
        return type(time_step)(**{**vars(time_step), 'image': image})

make = sim.make
sim.make = lambda *arguments, **options: Witnessed(make(*arguments, **options), PATH)
"""
"""Code that sim_node's process runs first."""


def number_in(image: np.ndarray) -> int:
    """The number that the witness painted into a frame."""
    number, check = np.frombuffer(image[0, :8, 0].tobytes(), "<u4")
    assert number == ~check, "a frame without its number"
    return int(number)


@dataclass(frozen=True)
class Fault:
    """What was done to a node or to the link between nodes."""

    node: str
    kind: str
    """kill, freeze or restart."""
    first: int
    """The number of the newest frame when the fault began."""
    last: int
    """The number of the newest frame when the node was back."""
    seconds: float
    """From the node's return until the loop went on."""


class Recorder(Observer):
    """Hears which frame has which stamp, and every reward."""

    def __init__(self) -> None:
        super().__init__("recorder")
        self.numbers: dict[int, int] = {}
        """Numbers of frames, by stamp."""
        self.rewards: dict[int, list[tuple[float, float]]] = {}
        """Reward and log-likelihood, as often as they were published, by stamp."""
        deep = QoSProfile(depth=1000)
        self.listen(Image, f"{ENVIRONMENT}/image_raw", self._on_image, deep)
        self.listen(Reward, f"{ENVIRONMENT}/reward", self._on_reward, deep)

    def _on_image(self, image: Image) -> None:
        self.numbers[nanoseconds(image.header.stamp)] = number_in(images.to_rgb(image))

    def _on_reward(self, reward: Reward) -> None:
        heard = self.rewards.setdefault(nanoseconds(reward.header.stamp), [])
        heard.append((reward.reward, reward.log_likelihood))


class TrainingGraph:
    """sim_node, reward_node and policy_node; what still runs of them is killed at the end of a `with` block."""

    def __init__(self, folder: Path, prefixes: Mapping[str, Sequence[str]] | None = None) -> None:
        """prefixes: by node, a command that runs the node's command."""
        self.run = folder / "run"
        self._log = folder / "witness.jsonl"
        untrained_model(folder / "model", TASK)
        parameters: dict[str, dict[str, Any]] = {
            "sim_node": {"task": TASK, "image_size": SIZE, "action_repeat": 50, "repeat_after": 0.05},
            "reward_node": {"model": str(folder / "model")},
            "policy_node": {
                "run": str(self.run),
                "image_size": SIZE,
                "steps": 1_000_000,
                "prefill": 50,
                "batch_size": 2,
                "replay_ratio": 0.5,
                "evaluate_every": 1_000_000,
                "end_evaluation_episodes": 1,
                "save_every": 5.0,
            },
        }
        witnessed = WITNESSED_ENVIRONMENT.replace("PATH", repr(str(self._log)))
        self.nodes = {
            name: NodeProcess(
                name,
                folder,
                values,
                namespace=f"/{ENVIRONMENT}" if name == "sim_node" else "/",
                before=witnessed if name == "sim_node" else "",
                prefix=(prefixes or {}).get(name, ()),
            )
            for name, values in parameters.items()
        }
        self.recorder = Recorder()
        self.faults: list[Fault] = []

    def __enter__(self) -> TrainingGraph:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for node in self.nodes.values():
            if node.running:
                node.kill()
        self.recorder.close()

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Raises TimeoutError, naming `what`, where the condition does not hold within PATIENCE."""
        if not self.recorder.spin_until(condition, PATIENCE, every=0.02):
            raise TimeoutError(f"{what}: not within {PATIENCE:.0f} s; the nodes say {self.recorder.diagnoses}")

    def newest(self) -> int:
        """The number of the environment's newest frame; -1 where there is none."""
        return self.happened()[-1]["number"] if self._log.exists() and self._log.stat().st_size else -1

    def happened(self) -> list[dict[str, Any]]:
        """All time steps, as the environment logged them: number, action, first, last."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def start(self) -> None:
        for node in self.nodes.values():
            node.start()
        # When the first round of evaluation is over and saved, every time step goes into replay.
        checkpoint = self.run / "checkpoint.safetensors"
        self.wait_until(
            lambda: any((self.run / "replay").glob("*.npz")) and checkpoint.exists(), "the graph's beginning"
        )
        saved = checkpoint.stat().st_mtime
        self.wait_until(lambda: checkpoint.stat().st_mtime > saved, "a checkpoint")

    def end(self) -> None:
        """As Ctrl-C does. Raises AssertionError where a node's exit status is not 0."""
        statuses = {name: self.nodes[name].end() for name in ("policy_node", "reward_node", "sim_node")}
        self.recorder.spin(0.5)
        if any(statuses.values()):
            raise AssertionError(f"exit statuses {statuses}")

    def note_fault(self, node: str, kind: str, first: int) -> Fault:
        """Wait until the loop goes on after a fault that is over now, and keep the fault. first: as Fault.first."""
        last, begin = self.newest(), time.monotonic()
        self.wait_until(lambda: self.newest() > last + 3, f"going on after {kind} of {node}")
        self.faults.append(Fault(node, kind, first, last, time.monotonic() - begin))
        return self.faults[-1]
