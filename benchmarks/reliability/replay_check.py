"""Whether replay holds what happened in a training graph, and lost no more than its faults may lose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reliability.training_graph import Fault, TrainingGraph, number_in


def check_replay(graph: TrainingGraph) -> list[str]:
    """All that is wrong, in lines; prints what was found."""
    happened, replay = graph.happened(), read_replay(graph.run)
    numbers = [number_in(image) for image in replay["image"]]
    wrong = []
    if numbers != sorted(set(numbers)):
        twice = sorted({number for number in numbers if numbers.count(number) > 1})
        wrong.append(f"time steps doubled or out of order in replay, frames {twice[:10]}")
    for row, number in enumerate(numbers):
        wrong += check_step({name: values[row] for name, values in replay.items()}, number, happened)
    wrong += check_rewards(graph, replay, numbers)
    since_evaluation = len(happened) - min(numbers)
    print(f"{len(happened)} time steps happened, {len(numbers)} are in replay ({since_evaluation} since evaluation)")
    return wrong + check_losses(graph.faults, happened, numbers)


def read_replay(run: Path) -> dict[str, np.ndarray]:
    """What a run has in replay, in its order: [steps, ...] by name."""
    names = ("stamp", "image", "action", "reward", "log_likelihood", "is_first", "is_last")
    chunks = []
    for path in sorted((run / "replay").glob("*.npz")):
        with np.load(path) as chunk:
            chunks.append({name: chunk[name] for name in names})
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in names}


def check_step(step: dict[str, Any], number: int, happened: list[dict[str, Any]]) -> list[str]:
    """Whether a step of replay, that of frame `number`, is as the environment logged it."""
    wrong = []
    logged, after = happened[number], happened[number + 1] if number + 1 < len(happened) else None
    if bool(step["is_last"]) != logged["last"] or (logged["first"] and not step["is_first"]):
        wrong.append(f"frame {number}: first or last is not as it happened")
    if after and after["action"] is not None:
        taken = np.array(after["action"], np.float32)
        if not np.array_equal(taken, step["action"]):
            wrong.append(f"frame {number}: action {step['action']} in replay, but the environment took {taken}")
    return wrong


def check_rewards(graph: TrainingGraph, replay: dict[str, np.ndarray], numbers: list[int]) -> list[str]:
    """Whether the stamp and the reward of each step are those that the recorder heard."""
    wrong = []
    recorder = graph.recorder
    heard: list[int] = []
    unheard: list[int] = []
    for number, stamp, *pair in zip(
        numbers, replay["stamp"].tolist(), replay["reward"].tolist(), replay["log_likelihood"].tolist(), strict=True
    ):
        if recorder.numbers.get(stamp, number) != number:
            wrong.append(f"frame {number} is in replay under the stamp of another")
        published = recorder.rewards.get(stamp)
        (heard if published else unheard).append(number)
        if published and tuple(pair) not in published:
            wrong.append(f"frame {number}: reward {pair} in replay, but {published} was published")
    print(f"{len(heard)} rewards in replay were heard by the recorder too, {len(unheard)} were not")
    # The recorder may discover a restarted reward node later than the policy node does; from then on it misses nothing.
    for fault in graph.faults:
        if fault.node == "reward_node" and fault.kind != "freeze":
            found = min((number for number in heard if number > fault.last + 1), default=numbers[-1] + 1)
            unheard = [number for number in unheard if not fault.first - 1 <= number < found]
    if heard and unheard:
        wrong.append(f"rewards in replay that the recorder did not hear: frames {unheard}")
    return wrong


def check_losses(faults: list[Fault], happened: list[dict[str, Any]], numbers: list[int]) -> list[str]:
    """Whether the faults account for every time step that is missing; prints the losses by node and kind of fault."""
    wrong = []
    newest = happened[-1]["number"]
    missing = sorted(set(range(min(numbers), newest + 1)) - set(numbers))
    unexplained = [number for number in missing if number < newest - 2]
    losses: dict[tuple[str, str], list[int]] = {}
    for fault in faults:
        lost = [number for number in unexplained if first_lost(fault, happened) <= number <= fault.last + 1]
        losses.setdefault((fault.node, fault.kind), []).append(len(lost))
        unexplained = [number for number in unexplained if number not in lost]
        if fault.node == "sim_node" and len(lost) > 2:
            wrong.append(f"{fault.kind} of the environment lost the {len(lost)} time steps {lost}")
    if unexplained:
        wrong.append(f"time steps lost that no fault accounts for: frames {unexplained}")
    for (node, kind), counts in sorted(losses.items()):
        seconds = [fault.seconds for fault in faults if (fault.node, fault.kind) == (node, kind)]
        print(
            f"{node:12} {kind:8} {len(counts):3} times: time steps lost {sum(counts):3}, "
            f"at most {max(counts):2} at once; "
            f"going on after {np.median(seconds):4.1f} s, at most {max(seconds):4.1f}"
        )
    return wrong


def first_lost(fault: Fault, happened: list[dict[str, Any]]) -> int:
    """The number of the first frame that a fault may lose; beyond the fault's last where it may lose none."""
    if fault.kind == "freeze" or fault.node == "reward_node":
        return fault.last + 2
    if fault.node == "sim_node" or fault.kind == "restart":
        return fault.first - 2
    # Replay is written when an episode's last time step has its reward, which comes a time step or two later.
    ended = [time_step["number"] for time_step in happened[: max(0, fault.first - 2)] if time_step["last"]]
    return ended[-1] + 1 if ended else 0
