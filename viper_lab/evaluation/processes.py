"""Jobs as processes of this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence

import torch

from viper_lab.evaluation.children import be_a_child
from viper_lab.evaluation.jobs import Job


def default_workers() -> int:
    """How many trainings this machine runs side by side: one a GPU where there are any, else one a core."""
    return torch.cuda.device_count() or len(os.sched_getaffinity(0))


class LocalProcess:
    """A job in a process of its own, with a session of its own: Ctrl-C in the terminal is for who started it."""

    def __init__(self, command: Sequence[str], job: Job, environment: dict[str, str]) -> None:
        job.log.parent.mkdir(parents=True, exist_ok=True)
        with open(job.log, "ab") as log:
            self._process = subprocess.Popen(
                [*command, *job.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
                preexec_fn=be_a_child,
            )

    def status(self) -> int | None:
        return self._process.poll()

    def stop(self) -> None:
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: int) -> None:
        """To the whole session, as a terminal does: a recording has processes of its own."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


class LocalProcesses:
    """The engine of one machine: GPUs and cores are shared out evenly."""

    def __init__(self, command: Sequence[str], workers: int) -> None:
        """command: the `viper` command, without arguments. workers: how many jobs there are at a time, at most."""
        self._command = command
        self._threads = max(1, len(os.sched_getaffinity(0)) // workers)
        self._gpus = _visible_gpus()
        self._crew: list[LocalProcess | None] = [None] * workers

    def start(self, job: Job) -> LocalProcess:
        free = next(n for n, process in enumerate(self._crew) if process is None or process.status() is not None)
        environment = {"OMP_NUM_THREADS": str(self._threads), **os.environ}
        if self._gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self._gpus[free % len(self._gpus)]
        process = self._crew[free] = LocalProcess(self._command, job, environment)
        return process


def _visible_gpus() -> list[str]:
    told = os.environ.get("CUDA_VISIBLE_DEVICES")
    return told.split(",") if told else [str(number) for number in range(torch.cuda.device_count())]
