"""Videos decoded once, and then read from the disk as they are needed.

A decoded video is a folder with `frames.npy`, perhaps `task_reward.npy`, and `video.json`. Its name stands for
everything that shaped it: the recording (its files' sizes and times), the preparation and the frames' size. It is
written under another name and renamed when it is whole and on the disk. So the cache can be deleted at any time, and a
process that is killed leaves nothing half-done under a name that is looked for.
"""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from viper_model.errors import ModelError
from viper_model.files import disk_is_full, locked
from viper_model.videos.find import look, read
from viper_model.videos.preparation import Preparation
from viper_model.videos.source import Source

logger = logging.getLogger(__name__)

VERSION = 2
"""Of the cache's layout and of what decoding makes."""
FOLDER = ".viper_cache"
DECODE_IN_PROCESS_BYTES = 8 * 2**20
"""Where the recordings have fewer bytes than this in all, this process decodes them itself: starting others would take
longer."""


@dataclass(frozen=True)
class Job:
    """A video to be decoded."""

    source: Source
    preparation: Preparation
    image_size: int

    def name(self) -> str:
        """The name of the video's folder in the cache. Raises ModelError where the video's files are gone."""
        try:
            files = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in self.source.files]
        except OSError as error:
            raise ModelError(f"{error.filename} is missing") from error
        made_of = (VERSION, files, self.source.key(), self.preparation.key(), self.image_size)
        return hashlib.sha256(repr(made_of).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Decoded:
    """A video in the cache."""

    frames_file: Path
    frames: int
    height: int
    """Of the recorded frames, like `width`."""
    width: int
    rate: float | None
    """Hz, of the recorded frames; None where it is not known."""
    task_reward: np.ndarray | None

    @staticmethod
    def open(folder: Path, image_size: int) -> Decoded | None:
        """The video in a folder of the cache; None where it isn't there whole."""
        try:
            facts = json.loads((folder / "video.json").read_text())
            frames = np.load(folder / "frames.npy", mmap_mode="r")
            if frames.shape != (facts["frames"], image_size, image_size, 3) or frames.dtype != np.uint8:
                return None
            reward = np.load(folder / "task_reward.npy") if facts["has_reward"] else None
        except (OSError, EOFError, ValueError, KeyError, TypeError):
            return None
        return Decoded(folder / "frames.npy", facts["frames"], facts["height"], facts["width"], facts["rate"], reward)


def cache_folder(root: Path) -> Path:
    """Where the videos of a data folder are kept decoded: in it, or in the user's cache where it can't be written."""
    try:
        (root / FOLDER).mkdir(exist_ok=True)
        if os.access(root / FOLDER, os.W_OK):
            return root / FOLDER
    except OSError:
        pass
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "viper_ros"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(f"cannot write to {root / FOLDER} nor to {folder}: {error.strerror}") from error
    return folder


def decode_videos(jobs: Sequence[Job], cache: Path) -> list[Decoded | ModelError]:
    """Each video from the cache, decoded first where it isn't there, or why it can't be.

    Several processes decode side by side, each holding a few frames at a time. Raises ModelError where the cache can't
    be written.
    """
    videos: dict[Job, Decoded | ModelError] = {}
    missing = []
    for job in jobs:
        try:
            video = Decoded.open(cache / job.name(), job.image_size)
        except ModelError as error:
            videos[job] = error
            continue
        if video:
            videos[job] = video
        else:
            missing.append(job)
    if missing:
        with _cache_lock(cache):
            try:
                for job, why in _progress(missing, _decode_all(missing, cache)):
                    video = None if why else Decoded.open(cache / job.name(), job.image_size)
                    videos[job] = video or ModelError(
                        why or "the cache was deleted while videos were read: start again"
                    )
            except OSError as error:
                why = "the disk is full: make room" if disk_is_full(error) else f"{error.strerror}: set it right"
                raise ModelError(f"cannot keep decoded videos in {cache}, {why} and start again") from error
    return [videos[job] for job in jobs]


_UNGUARDED = "videos are read in processes, which run your script again: begin below `if __name__ == '__main__':`"


@contextmanager
def _cache_lock(cache: Path) -> Iterator[None]:
    """Hold the cache's lock, so that one process at a time decodes into it.

    What killed processes left unfinished is removed first.
    """

    def taken() -> None:
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            # One of our own processes, which as it starts runs the caller's script again and would wait for itself.
            raise ModelError(_UNGUARDED)
        logger.warning("another process reads videos into %s: waiting for it", cache)

    with locked(cache / ".lock", taken):
        for part in cache.glob("*.part"):
            shutil.rmtree(part, ignore_errors=True)
        yield


def _decode_all(jobs: Sequence[Job], cache: Path) -> Iterator[tuple[Job, str | None]]:
    """Each job as it is done, with what is wrong with its video."""
    workers = min(len(os.sched_getaffinity(0)), len(jobs))
    if workers == 1 or sum(path.stat().st_size for job in jobs for path in job.source.files) < DECODE_IN_PROCESS_BYTES:
        for job in jobs:
            yield job, decode(job, cache)
        return
    with _processes(workers) as pool:
        left: dict[Future[str | None], Job] = {pool.submit(decode, job, cache): job for job in jobs}
        for future in as_completed(list(left)):
            try:
                why = future.result()
            except BrokenProcessPool:
                continue
            yield left.pop(future), why
    if len(left) == len(jobs):
        _refuse_processes_that_die_at_once()
    for job in left.values():  # A process died. One video at a time will show on which.
        with _processes(1) as pool:
            try:
                yield job, pool.submit(decode, job, cache).result()
            except BrokenProcessPool:
                yield job, "the process that decoded it died: it is damaged, or memory ran out"


def _refuse_processes_that_die_at_once() -> None:
    with _processes(1) as pool:
        try:
            pool.submit(os.getpid).result()
        except BrokenProcessPool:
            raise ModelError(_UNGUARDED) from None


@contextmanager
def _processes(workers: int) -> Iterator[ProcessPoolExecutor]:
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start_worker)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C, which the terminal sends to all, ends it without a word.
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def decode(job: Job, cache: Path) -> str | None:
    """Put a video into the cache; returns what is wrong with it. Raises OSError where the cache can't be written."""
    part = Path(tempfile.mkdtemp(suffix=".part", dir=cache))
    try:
        try:
            target = cache / job.name()
            if Decoded.open(target, job.image_size):  # Another process was faster.
                return None
            _write(job, part)
        except ModelError as error:
            return str(error)
        shutil.rmtree(target, ignore_errors=True)  # There only where it was damaged.
        os.rename(part, target)
        return None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write(job: Job, folder: Path) -> None:
    size = job.image_size
    facts = look(job.source)
    count = 0
    rewards: list[np.ndarray] = []
    # Not np.lib.format.open_memmap: a full disk would kill the process instead of raising an error.
    with open(folder / "frames.npy", "wb") as file:
        _write_header(file, (0, size, size, 3))
        for chunk in job.preparation.video(read(job.source), size):
            file.write(np.ascontiguousarray(chunk.frames).data)
            count += len(chunk.frames)
            if chunk.task_reward is not None:
                rewards.append(chunk.task_reward)
        file.seek(0)
        _write_header(file, (count, size, size, 3))
        file.flush()
        os.fsync(file.fileno())
    if rewards:
        np.save(folder / "task_reward.npy", np.concatenate(rewards))
    document = {"frames": count, "height": facts.height, "width": facts.width, "rate": facts.rate}
    (folder / "video.json").write_text(json.dumps({**document, "has_reward": bool(rewards)}))


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    # NumPy leaves room in the header for a longer first dimension.
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _progress(jobs: Sequence[Job], done: Iterator[tuple[Job, str | None]]) -> Iterator[tuple[Job, str | None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield from progress.track(done, total=len(jobs), description="reading videos")
