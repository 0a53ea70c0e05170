"""Videos of a behaviour in an environment.

An episode is two files in `<directory>/<task>/<behaviour>/`, the task being `Description.task`. The first has the
video, `00000.npz`:

    image        uint8   [time, height, width, 3]
    action       float32 [time, action size], the answer to the frame of the same index; zeros at the last
    task_reward  float64 [time], for reaching the frame of the same index; 0 at the first

The second has what is known of it, `00000.yaml`, an `Episode`. It is written last: a video without it does not count.
"""

from __future__ import annotations

import importlib.metadata
import math
import multiprocessing
import os
import signal
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

import sim as environments
from sim.env import SimDiedError, SimError
from sim.experts import make_behaviour

ATTEMPTS = 3
"""How often an episode is tried where the expert fails (then the best video is kept) or a worker dies (an error)."""


@dataclass(frozen=True)
class Setting:
    """How videos are made. All videos of one folder share it."""

    sim: str
    task: str
    behaviour: str
    image_size: tuple[int, int]
    action_repeat: int
    options: dict[str, Any]
    """The simulator's own, as `Description.options` has them."""
    hold_steps: int | None = field(default=None, kw_only=True)
    """How many steps a video goes on after the first reward above 0; to the episode's end where None."""


@dataclass(frozen=True)
class Episode(Setting):
    """What is known of a video."""

    seed: int
    task_return: float
    """The sum of the task's ground-truth rewards."""
    versions: dict[str, str]
    """Of the simulator's packages."""


def record(
    sim: str,
    task: str,
    behaviour: str,
    episodes: int,
    directory: Path,
    *,
    image_size: tuple[int, int],
    action_repeat: int,
    seed: int = 0,
    workers: int | None = None,
    min_score: float = 0.8,
    hold_steps: int | None = None,
    **options: Any,
) -> list[float]:
    """Record until the folder of `task` and `behaviour` has `episodes` videos. Returns the ground-truth returns of all
    of them.

    Videos that are there already are kept and counted, so what was interrupted goes on. An expert's episode that
    reaches less than `min_score` of the environment's return range is recorded again with another seed; the best of
    `ATTEMPTS` is kept. `workers` processes (None: one a core) record side by side; what they record doesn't depend on
    their number. `hold_steps`, for tasks that reward once, when they are solved: so many steps are recorded after that.
    Videos that go on holding still teach that standing still is likely, wherever it is done.

    Raises SimError for what `sim.make` refuses, for a folder of videos made otherwise, and where a video can't be
    written.
    """
    with environments.make(sim, task, image_size=image_size, action_repeat=action_repeat, **options) as environment:
        setting = Setting(
            sim, task, behaviour, image_size, action_repeat, environment.description.options, hold_steps=hold_steps
        )
        folder = directory / environment.description.task / behaviour
    make_behaviour(behaviour, sim, task, seed)
    _make_folder(folder)
    have = list_episodes(folder)
    for path, episode in have.items():
        _refuse_other(setting, episode, path)
    missing = [index for index in range(episodes) if _paths(folder, index)[1] not in have]
    jobs = [_Job(setting, folder, index, seed, min_score if behaviour == "expert" else -math.inf) for index in missing]
    if jobs:
        _video_all(jobs, min(workers or os.cpu_count() or 1, len(jobs)))
    return list(returns(folder).values())


def list_episodes(directory: Path) -> dict[Path, Episode]:
    """Every recorded episode under `directory`, sorted, by the path of its YAML file."""
    return {path: _read(path) for path in sorted(directory.rglob("[0-9]*.yaml"))}


def returns(directory: Path) -> dict[Path, float]:
    """The ground-truth return of every episode under `directory`, sorted, by the path of its video."""
    return {path.with_suffix(".npz"): episode.task_return for path, episode in list_episodes(directory).items()}


@dataclass(frozen=True)
class _Job:
    setting: Setting
    folder: Path
    index: int
    seed: int
    min_score: float


def _video_all(jobs: list[_Job], workers: int) -> None:
    """Hand the jobs to worker processes. A job whose worker dies goes to a new one."""
    queue, deaths = deque(jobs), Counter[int]()
    crew: dict[Connection, _Worker] = {}
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
    with Progress(*columns, TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[last]}")) as progress:
        name = f"{jobs[0].setting.task} {jobs[0].setting.behaviour}"
        bar = progress.add_task(name, total=len(jobs), last="")
        try:
            while queue or crew:
                while queue and len(crew) < workers:
                    worker = _Worker()
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
                        deaths[worker.job.index] += 1
                        if deaths[worker.job.index] == ATTEMPTS:
                            raise SimError(f"{ATTEMPTS} workers died recording episode {worker.job.index}") from None
                        progress.console.print(f"a worker died: episode {worker.job.index} is recorded again")
                        queue.append(worker.job)
                        continue
                    if kind == "note":
                        progress.console.print(value)
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
            for partial in jobs[0].folder.glob(".*.partial"):
                partial.unlink()


class _Worker:
    """A process that records one job at a time."""

    job: _Job

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(target=_work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()  # so that we hear when the process dies

    def give(self, job: _Job) -> None:
        self.job = job
        self.connection.send(job)

    def stop(self) -> None:
        self._process.kill()
        self._process.join()
        self.connection.close()


def _work(connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is answered by the parent, which stops us
    os.environ["LP_NUM_THREADS"] = "1"  # Mesa's software renderer: the other cores have workers of their own
    with suppress(EOFError, ConnectionError):  # when nobody is left to record for
        while True:
            job = connection.recv()
            answer: tuple[str, object]
            try:
                answer = "return", _video_job(job, lambda note: connection.send(("note", note)))
            except SimDiedError as error:
                connection.send(("note", str(error)))
                return  # a new worker tries again
            except SimError as error:
                answer = "error", str(error)
            connection.send(answer)


def _video_job(job: _Job, say: Callable[[str], None]) -> float:
    best: tuple[float, int, dict[str, NDArray[Any]]] | None = None
    for attempt in range(ATTEMPTS):
        seed = int(np.random.SeedSequence([job.seed, job.index, attempt]).generate_state(1)[0])
        video, score = _video(job.setting, seed)
        task_return = float(video["task_reward"].sum())
        if best is None or task_return > best[0]:
            best = task_return, seed, video
        if score >= job.min_score:
            break
        then = "recording again" if attempt + 1 < ATTEMPTS else f"keeping the best, {best[0]:.0f}"
        say(f"episode {job.index}: the expert reached {task_return:.0f}, {score:.0%} of the range: {then}")
    assert best is not None
    task_return, seed, video = best
    packages = [requirement.split("==")[0] for requirement in environments.SIMS[job.setting.sim].split()]
    versions = {package: importlib.metadata.version(package) for package in packages}
    episode = Episode(**vars(job.setting), seed=seed, task_return=task_return, versions=versions)
    _write(job.folder, job.index, video, episode)
    return task_return


def _video(setting: Setting, seed: int) -> tuple[dict[str, NDArray[Any]], float]:
    """One episode: its arrays, and its score, the return's place in the environment's return range from 0 to 1."""
    behaviour = make_behaviour(setting.behaviour, setting.sim, setting.task, seed)
    with environments.make(
        setting.sim,
        setting.task,
        image_size=setting.image_size,
        action_repeat=setting.action_repeat,
        seed=seed,
        **setting.options,
    ) as environment:
        time_steps, actions = [environment.reset()], []
        behaviour.reset(environment)
        steps_left = math.inf
        while not time_steps[-1].is_last and steps_left > 0:
            actions.append(behaviour.act(environment))
            time_steps.append(environment.step(actions[-1]))
            steps_left -= 1
            if setting.hold_steps is not None and time_steps[-1].task_reward > 0:
                steps_left = min(steps_left, setting.hold_steps)
        description = environment.description
    video = {
        "image": np.stack([time_step.image for time_step in time_steps]),
        "action": np.stack([*actions, np.zeros(description.action_space.size, np.float32)]),
        "task_reward": np.array([time_step.task_reward for time_step in time_steps]),
    }
    return video, description.normalised_score(video["task_reward"].sum())


def _paths(folder: Path, index: int) -> tuple[Path, Path]:
    return folder / f"{index:05}.npz", folder / f"{index:05}.yaml"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SimError(f"can't record in {folder}: {error.strerror}") from error


def _write(folder: Path, index: int, video: dict[str, NDArray[Any]], episode: Episode) -> None:
    video_path, episode_path = _paths(folder, index)
    document = asdict(episode) | {"image_size": list(episode.image_size)}
    try:
        with _partial(video_path).open("wb") as file:
            np.savez_compressed(file, **video)
        os.replace(_partial(video_path), video_path)
        _partial(episode_path).write_text(yaml.safe_dump(document, sort_keys=False))
        os.replace(_partial(episode_path), episode_path)
    except OSError as error:
        reason = f"{error.strerror}: free some space or choose another directory, then run this again"
        raise SimError(f"can't write {video_path}: {reason}") from error


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")


def _read(path: Path) -> Episode:
    try:
        document = yaml.safe_load(path.read_text())
        return Episode(**document | {"image_size": tuple(document["image_size"])})
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise SimError(f"{path} does not describe an episode: remove it, and the video beside it") from error


def _refuse_other(setting: Setting, episode: Episode, path: Path) -> None:
    for name in (each.name for each in fields(Setting)):
        wanted, found = getattr(setting, name), getattr(episode, name)
        if wanted != found:
            raise SimError(
                f"{path.parent} has videos with {name} {found}, not {wanted}: choose another directory, or "
                f"record with {name} {found}"
            )
