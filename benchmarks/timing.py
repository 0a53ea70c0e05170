"""On which device, and how often a second: what the benchmarks of torch in this folder share."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

WARM_UP = 2
"""Runs that are not counted."""


def waiting_for(device: str) -> Callable[[], None]:
    """What waits until `device`, cpu or cuda, has done all that it was given."""
    return torch.cuda.synchronize if device == "cuda" else lambda: None


def device_name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} CPU threads"


def rate(run: Callable[[], object], device: str, seconds: float) -> float:
    """How often a second `run` runs, after WARM_UP runs."""
    wait = waiting_for(device)
    for _ in range(WARM_UP):
        run()
    wait()
    runs, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        run()
        wait()
        runs += 1
    return runs / (time.perf_counter() - begin)
