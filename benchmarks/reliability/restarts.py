"""Does what reaches replay survive the death of any node? Each is killed, frozen and restarted, before a witness.

    .venv/bin/in_ros python -m benchmarks.reliability.restarts [--faults 100] [--seed 0] [--minutes 120]

A training graph in lockstep, a process per node over real DDS. In random order and at random time steps, each node is
killed (kill -9) and started again, frozen (SIGSTOP, SIGCONT) and restarted (SIGINT). Two witnesses: the environment's
own log, written before anything is published, which also paints each frame's number into its corner; and a recorder of
frames and rewards. Every transition in replay must have happened, once, in order, with the action that the environment
took and the reward that was published for that frame. What is missing must be within what the documents allow:

* an environment that ends takes at most 2 time steps with it: one under way to the policy, one under way to its reward;
* a policy node that is told to stop saves first: at most 2 time steps under way;
* a policy node that is killed loses at most what replay had not written, since the last end of an episode;
* a reward node, and any frozen node, loses nothing.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from graph import NodeProcess, verdict
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image
from viper_ros.msg import Reward

from viper_lab.experiment.untrained import untrained_model
from viper_ros.messages import images
from viper_ros.runtime.node import Health, ViperNode
from viper_ros.runtime.process import make_executor
from viper_ros.runtime.stamps import nanoseconds

TASK = "cartpole_swingup"
ENVIRONMENT = "env_0"
SIZE = 32
PATIENCE = 300.0
"""Seconds after which a loop that stands still has failed."""

WITNESSED_WORLD = """
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


def number_in(image: np.ndarray) -> int:
    """The number that the witness painted into a frame."""
    number, check = np.frombuffer(image[0, :8, 0].tobytes(), "<u4")
    assert number == ~check, "a frame without its number"
    return int(number)


@dataclass
class Fault:
    node: str
    kind: str
    first: int
    """The number of the newest frame when the fault began, and when the node was back."""
    last: int
    seconds: float
    """From the node's being back to the loop's going on."""


class Recorder(ViperNode):
    """Hears which frame has which stamp, and which rewards."""

    def __init__(self) -> None:
        super().__init__("recorder", [])
        self.numbers: dict[int, int] = {}
        self.rewards: dict[int, list[tuple[float, float]]] = {}
        self.healths: dict[str, str] = {}
        deep = QoSProfile(depth=1000)
        self.listen(DiagnosticArray, "/diagnostics", self._on_diagnostics, deep)
        self.listen(Image, f"{ENVIRONMENT}/image_raw", self._on_image, deep)
        self.listen(Reward, f"{ENVIRONMENT}/reward", self._on_reward, deep)

    def claims(self) -> dict[str, type]:
        return {}

    def health(self) -> Health:
        return Health("recording")

    def _on_diagnostics(self, array: DiagnosticArray) -> None:
        for status in array.status:
            values = {value.key: value.value for value in status.values}
            self.healths[status.name] = f"{status.message} {values}"

    def _on_image(self, image: Image) -> None:
        self.numbers[nanoseconds(image.header.stamp)] = number_in(images.to_rgb(image))

    def _on_reward(self, reward: Reward) -> None:
        heard = self.rewards.setdefault(nanoseconds(reward.header.stamp), [])
        heard.append((reward.reward, reward.log_likelihood))


class Trial:
    def __init__(self, folder: Path, prefixes: dict[str, list[str]] | None = None) -> None:
        """`prefixes`: by node, a command that runs the node's command (in another network namespace, say)."""
        prefixes = prefixes or {}
        self.folder, self.run = folder, folder / "run"
        self.witness = folder / "witness.jsonl"
        untrained_model(folder / "model", TASK)
        self.nodes = {
            "sim_node": NodeProcess(
                "sim_node",
                folder,
                {"task": TASK, "image_size": SIZE, "action_repeat": 50, "repeat_after": 0.2},
                namespace=f"/{ENVIRONMENT}",
                before=WITNESSED_WORLD.replace("PATH", repr(str(self.witness))),
                prefix=prefixes.get("sim_node", ()),
            ),
            "reward_node": NodeProcess(
                "reward_node",
                folder,
                {"model": str(folder / "model")},
                prefix=prefixes.get("reward_node", ()),
            ),
            "policy_node": NodeProcess(
                "policy_node",
                folder,
                {
                    "run": str(self.run),
                    "image_size": SIZE,
                    "steps": 1_000_000,
                    "prefill": 50,
                    "batch_size": 2,
                    "batch_length": 8,
                    "replay_ratio": 0.5,
                    "evaluate_every": 1_000_000,
                    "end_evaluation_episodes": 1,
                    "save_every": 5.0,
                },
                prefix=prefixes.get("policy_node", ()),
            ),
        }
        self.recorder = Recorder()
        self._executor = make_executor()
        self._executor.add_node(self.recorder)
        self.faults: list[Fault] = []

    def wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._executor.spin_until_future_complete(self.recorder.done, left)

    def until(self, condition: Callable[[], bool], what: str) -> float:
        begin = time.monotonic()
        while not condition():
            if time.monotonic() - begin > PATIENCE:
                raise TimeoutError(f"{what}: not within {PATIENCE:.0f} s; the nodes say {self.recorder.healths}")
            self.wait(0.02)
        return time.monotonic() - begin

    def newest(self) -> int:
        """The number of the environment's newest frame."""
        return self.happened()[-1]["number"] if self.witness.exists() and self.witness.stat().st_size else -1

    def happened(self) -> list[dict]:
        return [json.loads(line) for line in self.witness.read_text().splitlines()]

    def begin(self) -> None:
        for node in self.nodes.values():
            node.start()
        # The first round of evaluation is made and saved: from here on, all goes into replay.
        checkpoint = self.run / "checkpoint.safetensors"
        self.until(lambda: any((self.run / "replay").glob("*.npz")) and checkpoint.exists(), "the graph's beginning")
        saved = checkpoint.stat().st_mtime
        self.until(lambda: checkpoint.stat().st_mtime > saved, "a checkpoint")

    def inflict(self, name: str, kind: str, rng: np.random.Generator) -> None:
        node, first = self.nodes[name], self.newest()
        if kind == "freeze":
            node.signal(signal.SIGSTOP)
            self.wait(rng.uniform(0.1, 3.0))
            node.signal(signal.SIGCONT)
        else:
            if kind == "kill":
                node.kill()
            elif node.end() != 0:
                raise AssertionError(
                    f"{name} ended with status {node.status} when told to stop:\n{node.said()[-2000:]}"
                )
            self.wait(rng.uniform(0.0, 1.0))
            node.start()
        last = self.newest()
        seconds = self.until(lambda: self.newest() > last + 3, f"going on after {kind} of {name}")
        self.faults.append(Fault(name, kind, first, last, seconds))
        self.wait(rng.uniform(0.0, 2.0))

    def end(self) -> None:
        statuses = {name: self.nodes[name].end() for name in ("policy_node", "reward_node", "sim_node")}
        self.wait(0.5)
        self._executor.shutdown()
        if any(statuses.values()):
            raise AssertionError(f"exit statuses {statuses}")


def replayed(run: Path) -> dict[str, np.ndarray]:
    names = ("stamp", "image", "action", "reward", "log_likelihood", "is_first", "is_last")
    chunks = []
    for path in sorted((run / "replay").glob("*.npz")):
        with np.load(path) as chunk:
            chunks.append({name: chunk[name] for name in names})
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in names}


def judge(trial: Trial) -> list[str]:
    """All that is wrong, in lines; prints what was found."""
    wrong = []
    happened, steps = trial.happened(), replayed(trial.run)
    numbers = [number_in(image) for image in steps["image"]]
    if numbers != sorted(set(numbers)):
        twice = sorted({number for number in numbers if numbers.count(number) > 1})
        wrong.append(f"time steps doubled or out of order in replay, frames {twice[:10]}")
    heard: list[int] = []
    unheard: list[int] = []
    for row, number in enumerate(numbers):
        time_step, after = happened[number], happened[number + 1] if number + 1 < len(happened) else None
        if trial.recorder.numbers.get(int(steps["stamp"][row]), number) != number:
            wrong.append(f"frame {number} is in replay under the stamp of another")
        if bool(steps["is_last"][row]) != time_step["last"] or (time_step["first"] and not steps["is_first"][row]):
            wrong.append(f"frame {number}: first or last is not as it happened")
        if after and after["action"] is not None:
            taken = np.array(after["action"], np.float32)
            if not np.array_equal(taken, steps["action"][row]):
                wrong.append(
                    f"frame {number}: action {steps['action'][row]} in replay, but the environment took {taken}"
                )
        pair = (float(steps["reward"][row]), float(steps["log_likelihood"][row]))
        published = trial.recorder.rewards.get(int(steps["stamp"][row]))
        (heard if published else unheard).append(number)
        if published and pair not in published:
            wrong.append(f"frame {number}: reward {pair} in replay, but {published} was published")
    # The recorder may find a reward node that is back later than the policy node does, but misses nothing from then on.
    for fault in trial.faults:
        if fault.node == "reward_node" and fault.kind != "freeze":
            found = min((number for number in heard if number > fault.last + 1), default=numbers[-1] + 1)
            unheard = [number for number in unheard if not fault.first - 1 <= number < found]
    if heard and unheard:
        wrong.append(f"rewards in replay that the recorder did not hear: frames {unheard}")

    begin = min(numbers)
    missing = sorted(set(range(begin, happened[-1]["number"] + 1)) - set(numbers))
    unexplained = [number for number in missing if number < happened[-1]["number"] - 2]
    losses: dict[tuple[str, str], list[int]] = {}
    for fault in trial.faults:
        mine = [number for number in unexplained if lowest(fault, happened) <= number <= fault.last + 1]
        losses.setdefault((fault.node, fault.kind), []).append(len(mine))
        unexplained = [number for number in unexplained if number not in mine]
        if fault.node == "sim_node" and len(mine) > 2:
            wrong.append(f"{fault.kind} of the environment lost the {len(mine)} time steps {mine}")
    if unexplained:
        wrong.append(f"time steps lost that no fault accounts for: frames {unexplained}")
    print(
        f"{len(happened)} time steps happened, {len(numbers)} are in replay ({len(happened) - begin} since evaluation)"
    )
    print(f"{len(heard)} rewards in replay were heard by the recorder too, {len(numbers) - len(heard)} were not")
    for (node, kind), counts in sorted(losses.items()):
        seconds = [fault.seconds for fault in trial.faults if (fault.node, fault.kind) == (node, kind)]
        print(
            f"{node:12} {kind:8} {len(counts):3} times: time steps lost {sum(counts):3}, "
            f"at most {max(counts):2} at once; "
            f"going on after {np.median(seconds):4.1f} s, at most {max(seconds):4.1f}"
        )
    return wrong


def lowest(fault: Fault, happened: list[dict]) -> int:
    """The first frame that the fault may have lost; beyond its last where it may lose none."""
    if fault.kind == "freeze" or fault.node == "reward_node":
        return fault.last + 2
    if fault.node == "sim_node" or fault.kind == "restart":
        return fault.first - 2
    # Replay is written when an episode's last time step has its reward, which comes a time step or two later.
    ended = [time_step["number"] for time_step in happened[: max(0, fault.first - 2)] if time_step["last"]]
    return ended[-1] + 1 if ended else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=120.0, help="judge what there is after so long")
    arguments = parser.parse_args()
    over = time.monotonic() + 60 * arguments.minutes
    rng = np.random.default_rng(arguments.seed)
    every = [
        (node, kind) for node in ("sim_node", "reward_node", "policy_node") for kind in ("kill", "freeze", "restart")
    ]
    plan = []
    while len(plan) < arguments.faults:
        plan += [every[i] for i in rng.permutation(len(every))]
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(Path(folder))
        try:
            trial.begin()
            for number, (node, kind) in enumerate(plan[: arguments.faults]):
                if time.monotonic() > over:
                    break
                trial.inflict(node, kind, rng)
                fault = trial.faults[-1]
                print(f"{number + 1:3} {kind:7} {node:12} at frame {fault.first}: {fault.seconds:.1f} s", flush=True)
            trial.end()
            wrong = judge(trial)
            wrong += [
                f"{n.name} left a traceback:\n{n.said()}" for n in trial.nodes.values() if "Traceback" in n.said()
            ]
        except (AssertionError, TimeoutError) as error:
            wrong = [str(error), *(f"{node.name}:\n{node.said()[-1500:]}" for node in trial.nodes.values())]
        finally:
            for node in trial.nodes.values():
                if node.running:
                    node.kill()
    rclpy.try_shutdown()
    return verdict(wrong, "nothing lost beyond what is allowed, nothing doubled, no wrong reward")


if __name__ == "__main__":
    sys.exit(main())
