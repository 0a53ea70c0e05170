"""`viper` commands side by side, each as soon as what it needs is done."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Protocol

MOST_STARTS = 3
"""A job that is killed so often is given up,"""
LONG_SECONDS = 600.0
"""unless it ran for so long before: then it got on, and the next kill is the first."""
POLL_SECONDS = 0.2
STOP_SECONDS = 120.0
"""How long jobs that are stopped have to save and end, before they are killed."""


@dataclass(frozen=True)
class Job:
    name: str
    arguments: tuple[str, ...]
    """Of the `viper` command."""
    log: Path
    """What the command says is appended to it."""
    needs: frozenset[str] = frozenset()
    """Names of the jobs that must have succeeded before."""


class Worker(Protocol):
    """A job under way."""

    def status(self) -> int | None:
        """The command's exit status, None while it runs; negative or above 128 where a signal ended it."""

    def stop(self) -> None:
        """Ask the command to save and end."""

    def kill(self) -> None:
        """End the command at once."""


class Engine(Protocol):
    """Where jobs run."""

    def start(self, job: Job) -> Worker: ...


class Crew:
    """Runs jobs, `workers` at a time, in their order. One that fails is told, and the others go on; one that something
    kills is started again, unless that happens MOST_STARTS times in a row."""

    def __init__(self, jobs: Sequence[Job], engine: Engine, workers: int, tell: Callable[[str], None]) -> None:
        """tell: is given a line for everything that happens to a job."""
        self.waiting = list(jobs)
        self.running: dict[str, tuple[Job, Worker]] = {}
        self.done: set[str] = set()
        self.failed: dict[str, str] = {}
        """By job: why, in one line."""
        self._engine, self._workers, self._tell = engine, workers, tell
        self._killed = Counter[str]()
        self._began: dict[str, float] = {}

    def run(self, watch: Callable[[], None]) -> None:
        """Run all jobs to their end. watch: is called a few times a second.

        SIGINT and SIGTERM stop all jobs in order, and raise KeyboardInterrupt or SystemExit(143) when they have ended.
        """
        usual = signal.signal(signal.SIGTERM, _terminated)
        try:
            while self.waiting or self.running:
                self._look()
                self._start()
                watch()
                time.sleep(POLL_SECONDS)
        finally:
            self._stop()
            signal.signal(signal.SIGTERM, usual)

    def _look(self) -> None:
        for name, (job, worker) in list(self.running.items()):
            status = worker.status()
            if status is None:
                continue
            del self.running[name]
            if status == 0:
                self.done.add(name)
                self._tell(f"done: {name}")
            elif 0 < status <= 128:
                self._fail(job, _last_line(job.log))
            else:
                long = time.monotonic() - self._began[name] > LONG_SECONDS
                self._killed[name] = 1 if long else self._killed[name] + 1
                if self._killed[name] < MOST_STARTS:
                    self._tell(f"killed: {name}; it goes on where it was")
                    self.waiting.insert(0, job)
                else:
                    self._fail(job, f"something killed it {MOST_STARTS} times (is there enough memory?)")

    def _start(self) -> None:
        for job in list(self.waiting):
            if lacking := [need for need in job.needs if need in self.failed]:
                self.waiting.remove(job)
                self._fail(job, f"it needs what failed: {', '.join(sorted(lacking))}")
            elif job.needs <= self.done and len(self.running) < self._workers:
                self.waiting.remove(job)
                self.running[job.name] = (job, self._engine.start(job))
                self._began[job.name] = time.monotonic()
                self._tell(f"started: {job.name}")

    def _fail(self, job: Job, why: str) -> None:
        self.failed[job.name] = why
        self._tell(f"failed: {job.name}: {why} (all it said: {job.log})")

    def _stop(self) -> None:
        """Stop what still runs, and wait for it. A second Ctrl-C changes nothing."""
        workers = [worker for _, worker in self.running.values()]
        if not workers:
            return
        usual = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        for worker in workers:
            worker.stop()
        deadline = time.monotonic() + STOP_SECONDS
        while any(worker.status() is None for worker in workers) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        for worker in workers:
            worker.kill()
        for number, handler in usual.items():
            signal.signal(number, handler)


def _terminated(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _last_line(log: Path) -> str:
    """The last line that a command said."""
    try:
        lines = log.read_text(errors="replace").split("\n")
    except OSError:
        return "it said nothing"
    said = [line.strip() for line in lines if line.strip()]
    return said[-1] if said else "it said nothing"
