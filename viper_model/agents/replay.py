"""Experience, in memory and on disk."""

from __future__ import annotations

import io
import threading
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from viper_model.errors import ModelError
from viper_model.files import replace_file

SCALARS = {
    "stamp": np.int64,
    "reward": np.float32,
    "log_likelihood": np.float32,
    "is_first": np.bool_,
    "is_last": np.bool_,
    "is_terminal": np.bool_,
}


@dataclass
class _Chunk:
    """Consecutive steps of one stream: a file, and the same in memory."""

    path: Path
    stream: str
    start: int
    """How many steps the stream had before it."""
    arrays: dict[str, np.ndarray]
    length: int = 0
    saved: int = 0
    """How many of its steps the file has."""


class Replay:
    """What several environments lived through, each a stream of steps in order. Safe to use from several threads.

    Everything is held in memory as it is on disk: a step takes image_size² * 3 bytes, so that 100,000 steps of 64x64
    take 1.2 GB. At least the newest `capacity_steps` are kept, and at most a chunk more for each stream; what is
    older is dropped, file and all.

    A chunk's file is written, in one step, whenever the chunk is full and whenever an episode ends: who kills the
    process loses at most the last, unfinished part of each stream.
    """

    def __init__(
        self, directory: Path, capacity_steps: int, image_size: int, action_size: int, chunk_steps: int = 256
    ) -> None:
        """Open `directory` (made if missing) and load what is there. What cannot be read is named in `skipped`."""
        self.skipped: list[str] = []
        """One line for each file in the directory that is not a whole chunk of such experience."""
        self._directory = directory
        self._capacity = capacity_steps
        self._chunk_steps = chunk_steps
        self._shapes: dict[str, tuple[type, tuple[int, ...]]] = {
            "image": (np.uint8, (image_size, image_size, 3)),
            "action": (np.float32, (action_size,)),
            **{name: (dtype, ()) for name, dtype in SCALARS.items()},
        }
        self._chunks: list[_Chunk] = []  # the oldest first
        self._streams: dict[str, list[_Chunk]] = {}
        self._growing: dict[str, _Chunk] = {}
        self._steps = self._total = 0
        self._next_file = 0
        self._lock = threading.Lock()
        self._file_lock = threading.Lock()
        self._load()

    def __len__(self) -> int:
        """Steps stored."""
        return self._steps

    @property
    def total(self) -> int:
        """Steps ever stored, those that were dropped included."""
        return self._total

    def newest(self, stream: str) -> tuple[int, np.ndarray] | None:
        """The stamp and the action [action_size] of the last step of `stream`; None where it has none."""
        with self._lock:
            chunks = self._streams.get(stream)
            if not chunks:
                return None
            arrays, last = chunks[-1].arrays, chunks[-1].length - 1
            return int(arrays["stamp"][last]), arrays["action"][last].copy()

    def append(self, stream: str, step: Mapping[str, Any]) -> None:
        """Store the next step of `stream`.

        step: image uint8 [image_size, image_size, 3], action float32 [action_size], and the scalars stamp (nanoseconds,
        what the time step is known by), reward, log_likelihood, is_first, is_last, is_terminal. The first step of a
        stream since the replay was opened counts as the first of an episode: what came before it is unknown.
        Raises ModelError where the step is of another kind (it is then not stored) and where a file cannot be written
        (it is then stored all the same, and its file written with the next).
        """
        values = {name: self._checked(name, step) for name in self._shapes}
        with self._lock:
            chunk = self._growing.get(stream)
            if chunk is None:
                values["is_first"] = np.array(True)
            if chunk is None or chunk.length == self._chunk_steps:
                chunk = self._growing[stream] = self._new_chunk(stream)
            for name, value in values.items():
                chunk.arrays[name][chunk.length] = value
            chunk.length += 1
            self._steps += 1
            self._total += 1
            dropped = self._drop_oldest()
        for old in dropped:
            old.path.unlink(missing_ok=True)
        if chunk.length == self._chunk_steps or bool(values["is_last"]):
            self.flush()

    def flush(self) -> None:
        """Write all that is not on disk yet. Raises ModelError where that fails; a later flush tries again."""
        with self._file_lock:
            with self._lock:
                unsaved = [(chunk, chunk.length) for chunk in self._chunks if chunk.saved < chunk.length]
            for chunk, length in unsaved:  # steps below `length` do not change any more
                content = io.BytesIO()
                arrays = {name: array[:length] for name, array in chunk.arrays.items()}
                np.savez(content, stream=np.array(chunk.stream), start=np.array(chunk.start), **arrays)
                replace_file(chunk.path, content.getvalue())
                chunk.saved = length

    def windows(self, length: int) -> int:
        """How many different sequences of `length` steps there are."""
        with self._lock:
            return sum(self._windows(chunks, length) for chunks in self._streams.values())

    def sample(self, batch: int, length: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """`batch` sequences of consecutive steps of one stream each, all equally likely, newest steps included.

        Sequences run on from one episode into the next. Returns arrays [batch, length, ...] by the names in `append`.
        Raises ModelError where no stream is that long yet.
        """
        with self._lock:
            streams = [chunks for chunks in self._streams.values() if chunks]
            chunk_ends = [np.cumsum([chunk.length for chunk in chunks]) for chunks in streams]
            ends = np.cumsum([max(0, each[-1] - length + 1) for each in chunk_ends])
            if not len(ends) or not ends[-1]:
                raise ModelError(f"the replay has no {length} consecutive steps yet: collect more before sampling")
            sampled: dict[str, np.ndarray] = {
                name: np.empty((batch, length, *shape), dtype) for name, (dtype, shape) in self._shapes.items()
            }
            for row, window in enumerate(rng.integers(ends[-1], size=batch)):
                stream = int(np.searchsorted(ends, window, side="right"))
                first = int(window - (ends[stream - 1] if stream else 0))
                target = {name: array[row] for name, array in sampled.items()}
                self._copy(streams[stream], chunk_ends[stream], first, length, target)
            return sampled

    def _checked(self, name: str, step: Mapping[str, Any]) -> np.ndarray:
        dtype, shape = self._shapes[name]
        if name not in step:
            raise ModelError(f"a step without {name} cannot be stored")
        value = np.asarray(step[name])
        if value.shape != shape or (name == "image" and value.dtype != np.uint8):
            raise ModelError(f"the replay stores {name} as {np.dtype(dtype)} {list(shape)}, not {list(value.shape)}")
        if name in ("action", "reward") and not np.isfinite(value).all():
            raise ModelError(f"a step whose {name} is not finite cannot be stored")
        return value.astype(dtype)

    def _new_chunk(self, stream: str) -> _Chunk:
        chunks = self._streams.setdefault(stream, [])
        start = chunks[-1].start + chunks[-1].length if chunks else 0
        arrays: dict[str, np.ndarray] = {
            name: np.zeros((self._chunk_steps, *shape), dtype) for name, (dtype, shape) in self._shapes.items()
        }
        chunk = _Chunk(self._directory / f"{self._next_file:08d}.npz", stream, start, arrays)
        self._next_file += 1
        self._chunks.append(chunk)
        chunks.append(chunk)
        return chunk

    def _drop_oldest(self) -> list[_Chunk]:
        dropped = []
        while oldest := next((each for each in self._chunks if self._growing.get(each.stream) is not each), None):
            if self._steps - oldest.length < self._capacity:
                break
            self._chunks.remove(oldest)
            self._streams[oldest.stream].remove(oldest)
            self._steps -= oldest.length
            dropped.append(oldest)
        return dropped

    @staticmethod
    def _windows(chunks: list[_Chunk], length: int) -> int:
        return max(0, sum(chunk.length for chunk in chunks) - length + 1)

    @staticmethod
    def _copy(
        chunks: list[_Chunk], chunk_ends: np.ndarray, first: int, length: int, target: Mapping[str, np.ndarray]
    ) -> None:
        """`length` steps of a stream from its `first` on into `target`, out of as many chunks as it takes.

        chunk_ends: how many steps the stream has up to the end of each chunk.
        """
        index = int(np.searchsorted(chunk_ends, first, side="right"))
        first -= int(chunk_ends[index - 1]) if index else 0
        copied = 0
        while copied < length:
            chunk = chunks[index]
            taken = min(length - copied, chunk.length - first)
            for name, array in chunk.arrays.items():
                target[name][copied : copied + taken] = array[first : first + taken]
            copied, index, first = copied + taken, index + 1, 0

    def _load(self) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ModelError(f"cannot keep experience in {self._directory}: {error.strerror}") from error
        for path in sorted(self._directory.glob("*.npz")):
            try:
                self._next_file = max(self._next_file, int(path.stem) + 1)
                chunk = self._read(path)
            except (ValueError, TypeError, KeyError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
                self.skipped.append(f"{path} is not a whole chunk of this experience: {error}; skipped")
                continue
            chunks = self._streams.setdefault(chunk.stream, [])
            if chunks and chunks[-1].start + chunks[-1].length != chunk.start:
                chunk.arrays["is_first"][0] = True  # what came before it is missing
            chunks.append(chunk)
            self._chunks.append(chunk)
            self._steps += chunk.length
        self._total = sum(chunks[-1].start + chunks[-1].length for chunks in self._streams.values())
        if self._chunks:
            for old in self._drop_oldest():
                old.path.unlink(missing_ok=True)

    def _read(self, path: Path) -> _Chunk:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in self._shapes}
            stream, start = str(file["stream"]), int(file["start"])
        length = len(arrays["reward"])
        for name, (dtype, shape) in self._shapes.items():
            if arrays[name].dtype != dtype or arrays[name].shape != (length, *shape):
                raise ValueError(f"its {name} is {arrays[name].dtype} {list(arrays[name].shape)}")
        if not length:
            raise ValueError("it is empty")
        return _Chunk(path, stream, start, arrays, length, length)
