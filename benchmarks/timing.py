"""Clocks for what torch computes on a CPU or a GPU."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

WARM_UP = 2
"""Runs of `rate` that are not counted."""
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
"""Elapsed time, and the processor's time: for a machine that others use."""


def synchronizer(device: str) -> Callable[[], None]:
    """A function that returns when `device`, cpu or cuda, has done all that it was given."""
    return torch.cuda.synchronize if device == "cuda" else lambda: None


def device_name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} CPU threads"


def rate(run: Callable[[], object], device: str, seconds: float) -> float:
    """How often a second `run` runs, after WARM_UP runs; measured for so many seconds."""
    synchronize = synchronizer(device)
    for _ in range(WARM_UP):
        run()
    synchronize()
    runs, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        run()
        synchronize()
        runs += 1
    return runs / (time.perf_counter() - begin)


class Timer:
    """Measures by one of CLOCKS."""

    def __init__(self, clock: str, device: str) -> None:
        self._clock = CLOCKS[clock]
        self._synchronize = synchronizer(device)

    def seconds(self, run: Callable[[], object], times: int) -> float:
        """The mean seconds of one of `times` runs in a row."""
        self._synchronize()
        begin = self._clock()
        for _ in range(times):
            run()
        self._synchronize()
        return (self._clock() - begin) / times

    def medians(self, runs: dict[str, tuple[Callable[[], object], int]], rounds: int) -> dict[str, float]:
        """The median seconds of each of `runs`, by name: what to run, and how often in each round. They take turns."""
        seconds_of: dict[str, list[float]] = {name: [] for name in runs}
        for number in range(rounds + 1):
            for name, (run, times) in runs.items():
                seconds = self.seconds(run, times)
                if number:  # The first round warms up.
                    seconds_of[name].append(seconds)
        return {name: statistics.median(values) for name, values in seconds_of.items()}
