"""Processes that record episodes side by side."""

from __future__ import annotations

import importlib.metadata
import multiprocessing
import os
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

import sim as environments
from sim.env import Env, SimDiedError, SimError
from sim.record.episode import record_episode
from sim.record.files import EpisodeRecord, RecordingSettings, remove_partial_files, write_episode

_DEATHS = 3
"""How many workers may die recording the same episode."""


@dataclass(frozen=True)
class Job:
    """Episodes to record into one folder."""

    settings: RecordingSettings
    folder: Path
    seed: int
    min_score: float


def record_all(job: Job, episodes: Iterable[int], workers: int) -> None:
    """Hand the episodes, by their numbers, to worker processes. One whose worker dies goes to a new worker."""
    queue, deaths = deque(episodes), Counter[int]()
    crew: dict[Connection, _Worker] = {}
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
    with Progress(*columns, TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[last]}")) as progress:
        bar = progress.add_task(f"{job.settings.task} {job.settings.behaviour}", total=len(queue), last="")
        try:
            while queue or crew:
                while queue and len(crew) < workers:
                    worker = _Worker(job)
                    crew[worker.connection] = worker
                    worker.give(queue.popleft())
                for connection in wait(list(crew)):
                    assert isinstance(connection, Connection)
                    worker = crew[connection]
                    try:
                        kind, value = connection.recv()
                    except (EOFError, ConnectionResetError):
                        del crew[connection]
                        worker.stop()
                        deaths[worker.episode] += 1
                        if deaths[worker.episode] == _DEATHS:
                            raise SimError(f"{_DEATHS} workers died recording episode {worker.episode}") from None
                        progress.console.print(f"a worker died: episode {worker.episode} is recorded again")
                        queue.append(worker.episode)
                        continue
                    if kind == "note":
                        progress.console.print(value, markup=False, soft_wrap=True)
                    elif kind == "error":
                        raise SimError(value)
                    else:
                        progress.update(bar, advance=1, last=f"return {value:.0f}")
                        if queue:
                            worker.give(queue.popleft())
                        else:
                            crew.pop(connection).stop()
        finally:
            for worker in crew.values():
                worker.stop()
            remove_partial_files(job.folder)


class _Worker:
    """A process that records one episode at a time."""

    episode: int

    def __init__(self, job: Job) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(target=_work, args=(job, theirs), daemon=True)
        self._process.start()
        theirs.close()  # so that we hear when the process dies

    def give(self, episode: int) -> None:
        self.episode = episode
        with suppress(ConnectionError):  # a worker that is dead is heard of where answers are read
            self.connection.send(episode)

    def stop(self) -> None:
        self._process.kill()
        self._process.join()
        self.connection.close()


def _work(job: Job, connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is answered by the parent, which stops us
    os.environ["LP_NUM_THREADS"] = "1"  # Mesa's software renderer: the other cores have workers of their own
    settings = job.settings
    with suppress(EOFError, ConnectionError):  # when nobody is left to record for
        try:
            with environments.make(
                settings.sim,
                settings.task,
                image_size=settings.image_size,
                action_repeat=settings.action_repeat,
                **settings.options,
            ) as environment:
                while True:
                    task_return = _record(environment, job, connection.recv(), lambda n: connection.send(("note", n)))
                    connection.send(("return", task_return))
        except SimDiedError as error:
            connection.send(("note", str(error)))  # a new worker tries again
        except SimError as error:
            connection.send(("error", str(error)))


def _version(package: str) -> str:
    """Of an installed package; `unknown` of one that was put on Python's path by hand."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _record(environment: Env, job: Job, episode: int, say: Callable[[str], None]) -> float:
    """Record and write an episode; returns its ground-truth return."""
    recording = record_episode(environment, job.settings, episode, job.seed, job.min_score, say)
    packages = [requirement.split("==")[0] for requirement in environments.SIMS[job.settings.sim].split()]
    versions = {package: _version(package) for package in packages}
    record = EpisodeRecord(
        **vars(job.settings), seed=recording.seed, task_return=recording.task_return, versions=versions
    )
    write_episode(job.folder, episode, recording.video, record)
    return recording.task_return
