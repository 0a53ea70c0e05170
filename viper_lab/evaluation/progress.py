"""How far the runs of a benchmark are, and how long the rest will take."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from viper_lab.evaluation.suite import Run
from viper_model.metrics import METRICS

_TAIL_BYTES = 8192


def collected_steps(run: Path) -> int:
    """Environment steps that a run has collected, as of its last finished episode."""
    try:
        with open(run / METRICS, "rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
            lines = file.read().splitlines()
    except OSError:
        return 0
    for line in reversed(lines):
        try:
            return int(json.loads(line)["step"])
        except (ValueError, KeyError, TypeError):
            continue  # Half a line, at the tail's begin or of a process that is writing.
    return 0


class Estimate:
    """Learns what a step costs from the runs under way, each kind of run by itself."""

    def __init__(self, folder: Path) -> None:
        """folder: has the runs' directories."""
        self._folder = folder
        self._began: dict[Run, tuple[float, int]] = {}
        """When a run was first seen under way, s, and at which step."""
        self._spent: dict[Run, tuple[float, int]] = {}
        """Seconds and steps since then."""

    def update(self, under_way: Iterable[Run], now: float | None = None) -> None:
        """under_way: the runs that are trained at this time. now: in seconds."""
        now = time.monotonic() if now is None else now
        under_way = set(under_way)
        for run in self._began.keys() - under_way:
            del self._began[run]  # Stopped; if it goes on, it is measured anew.
        for run in under_way:
            steps = collected_steps(self._folder / run.name)
            began, first = self._began.setdefault(run, (now, steps))
            if steps > first:
                self._spent[run] = (now - began, steps - first)

    def remaining_seconds(self, unfinished: Iterable[Run], workers: int) -> float | None:
        """How long `workers` side by side will take for these; None where no run has shown yet what a step costs."""
        seconds: dict[tuple[str, str] | None, float] = defaultdict(float)
        steps: dict[tuple[str, str] | None, int] = defaultdict(int)
        for run, (spent, done) in self._spent.items():
            for kind in ((run.agent, run.reward), None):
                seconds[kind] += spent
                steps[kind] += done
        if not steps[None]:
            return None
        left = []
        for run in unfinished:
            kind = (run.agent, run.reward) if steps.get((run.agent, run.reward)) else None
            todo = max(0, run.steps - collected_steps(self._folder / run.name))
            left.append(todo * seconds[kind] / steps[kind])
        return max(sum(left) / workers, max(left, default=0.0))


def duration(seconds: float) -> str:
    """As people say it, to the minute."""
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{max(1, minutes)} min"
