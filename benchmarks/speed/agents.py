"""How fast an agent learns and acts, size by size: updates and replayed steps a second, milliseconds an action.

An action is timed alone, and beside updates that another thread makes without a pause, as in training.

    python -m benchmarks.speed.agents --device cuda [--agent dreamer] [--sizes XS S M] [--seconds 10]

Frames are random, 64 × 64 pixels, which take as long as any others. Dreamer learns from batches of 16 × 64 frames, as
in Hafner et al. 2023; other agents from batches of their own size. Exploration bonuses are on. The kernels of one
update are counted too: where an update takes about as long as launching them, a faster GPU does not help.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from torch.autograd import DeviceType  # type: ignore[attr-defined]
from torch.profiler import ProfilerActivity, profile

from benchmarks.timing import device_name, rate
from viper_model.agents.base import Agent, BatchShape
from viper_model.agents.registry import AGENTS, SIZES, make_agent

IMAGE_SIZE, ACTION_SIZE = 64, 6
DREAMER_BATCH = {"batch_size": 16, "batch_length": 64}


def new_agent(name: str, size: str, device: str) -> Agent:
    batch = DREAMER_BATCH if name == "dreamer" else {}
    return make_agent(
        name,
        size,
        "continuous",
        ACTION_SIZE,
        IMAGE_SIZE,
        exploration_weight=0.5,
        seed=0,
        device=device,
        **batch,
    )


def random_batch(of: BatchShape) -> dict[str, np.ndarray]:
    """See `batches.checked_batch`."""
    rng = np.random.default_rng(0)
    shape = (of.sequences, of.steps)
    return {
        "image": rng.integers(0, 256, (*shape, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8),
        "action": rng.uniform(-1, 1, (*shape, ACTION_SIZE)).astype(np.float32),
        "reward": rng.normal(size=shape).astype(np.float32),
        "is_first": np.zeros(shape, bool),
        "is_terminal": np.zeros(shape, bool),
    }


def count_kernels(run: Callable[[], object]) -> int:
    """CUDA kernels that one `run` launches."""
    with profile(activities=[ProfilerActivity.CUDA]) as trace:
        run()
    return sum(event.count for event in trace.key_averages() if event.device_type is DeviceType.CUDA)


@contextmanager
def beside(work: Callable[[], object]) -> Iterator[None]:
    """Meanwhile do `work` over and over in another thread."""
    stop = threading.Event()

    def repeat() -> None:
        while not stop.is_set():
            work()

    with ThreadPoolExecutor(1) as thread:
        repeating = thread.submit(repeat)
        try:
            yield
        finally:
            stop.set()
            repeating.result()


def durations(run: Callable[[], object], seconds: float) -> np.ndarray:
    """Milliseconds of each run, float64 [runs]; run after run for so many seconds. `run` waits for its own result."""
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        begin = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - begin))
    return np.array(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--agent", choices=tuple(AGENTS), default="dreamer")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, help="default: all that the agent has")
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement")
    arguments = parser.parse_args()
    device = arguments.device
    if device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no CUDA GPU here")
    print(f"{device_name(device)}, torch {torch.__version__}, {arguments.agent}; frames of {IMAGE_SIZE} × {IMAGE_SIZE}")
    for size in arguments.sizes or AGENTS[arguments.agent].sizes:
        measure(new_agent(arguments.agent, size, device), size, device, arguments.seconds)


def measure(agent: Agent, size: str, device: str, seconds: float) -> None:
    """Print a line."""
    batch, image, first = (
        random_batch(agent.batch),
        np.zeros((1, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8),
        np.zeros(1, bool),
    )
    policy = agent.policy()
    state = policy.initial(1)

    def update() -> None:
        agent.update(batch)

    def act() -> None:
        policy.act(state, image, first, sample=True)

    updates = rate(update, device, seconds)
    durations(act, seconds / 10)
    alone = np.median(durations(act, seconds / 4))
    with beside(update):
        median, slow = np.percentile(durations(act, seconds / 2), (50, 99))
    launched = f", {count_kernels(update)} kernels an update" if device == "cuda" else ""
    print(
        f"{size:5} {updates:6.2f} updates/s, {updates * agent.batch.learned_steps:8.0f} replayed steps/s{launched}; "
        f"an action {alone:.2f} ms in the median, beside updates {median:.2f} (99%: {slow:.2f})",
        flush=True,
    )


if __name__ == "__main__":
    main()
