"""Videos as NumPy archives.

Ours have the arrays `image` (uint8 [time, height, width, 3]) and perhaps `task_reward` (float [time]); those that were
published with VIPER have the frames as `arr_0` and nothing else. Dreamer's replay has `image` and `is_first` ([time]),
others have `is_last` alone: an archive with several episodes is a video an episode.
"""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Literal

import numpy as np

from viper_model.errors import ModelError
from viper_model.videos.source import CHUNK_BYTES, Chunk, Facts, Source

NAME = "npz"
UNNAMED, SECOND_UNNAMED = "arr_0", "arr_1"
"""As np.savez calls arrays that are given no name."""
FRAMES = ("image", UNNAMED)


def holds(path: Path) -> bool:
    return path.suffix == ".npz" and path.is_file()


@dataclass(frozen=True, kw_only=True)
class NpzVideo(Source):
    begin: int = 0
    """Its first frame in the archive."""
    end: int
    """The frame after its last."""


def find(path: Path, camera: str | None) -> Sequence[NpzVideo]:
    with _frames(path) as (_, (time, *_), _):
        pass
    begins = [0, *_later_begins(path, time)]
    return [
        NpzVideo(
            format=NAME,
            path=path,
            files=(path,),
            part=f"episode_{index:05}" if len(begins) > 1 else "",
            begin=begin,
            end=end,
        )
        for index, (begin, end) in enumerate(pairwise([*begins, time]))
    ]


def _later_begins(path: Path, time: int) -> list[int]:
    """The frames after the first with which an episode begins."""
    is_first = _numbers(path, "is_first", time)
    if is_first is not None:
        return (np.flatnonzero(is_first[1:]) + 1).tolist()
    is_last = _numbers(path, "is_last", time)
    return [] if is_last is None else (np.flatnonzero(is_last[:-1]) + 1).tolist()


def look(source: Source) -> Facts:
    assert isinstance(source, NpzVideo)
    with _frames(source.path) as (_, (_, height, width, _), _):
        return Facts(frames=source.end - source.begin, rate=None, height=height, width=width)


def read(source: Source) -> Iterator[Chunk]:
    assert isinstance(source, NpzVideo)
    with _frames(source.path) as (file, (time, *picture), column_major):
        reward = _numbers(source.path, "task_reward", time)
        size = math.prod(picture)
        n = max(1, CHUNK_BYTES // size)
        if column_major:  # Each frame's bytes lie scattered over all of it.
            whole = _array(file, (time, *picture), "F")
        else:
            file.seek(source.begin * size, os.SEEK_CUR)
        for begin in range(source.begin, source.end, n):
            end = min(begin + n, source.end)
            frames = whole[begin:end] if column_major else _array(file, (end - begin, *picture), "C")
            yield Chunk(np.ascontiguousarray(frames), task_reward=None if reward is None else reward[begin:end])


@contextmanager
def _frames(path: Path) -> Iterator[tuple[IO[bytes], tuple[int, ...], bool]]:
    """The array of frames as a stream of bytes, its shape, and whether its first index changes fastest in the stream.

    np.load would hold all of it in memory.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
            name = next((name for name in FRAMES if name in names), None)
            if name is None:
                raise ModelError(f"{path.name} has no array `image`; its arrays: {', '.join(names) or 'none'}")
            if name == UNNAMED and SECOND_UNNAMED in names:
                with archive.open(f"{SECOND_UNNAMED}.npy") as file:
                    if _is_video(*_header(file)):
                        raise ModelError(f"{path.name} has several videos: save each in a file of its own")
            with archive.open(f"{name}.npy") as file:
                shape, column_major, dtype = _header(file)
                if not _is_video(shape, column_major, dtype):
                    raise ModelError(
                        f"{path.name}: `{name}` is {dtype} {list(shape)}, not uint8 [time, height, width, 3]"
                    )
                if file.tell() + math.prod(shape) > archive.getinfo(f"{name}.npy").file_size:
                    raise ModelError(f"{path.name}: `{name}` is cut short")
                yield file, shape, column_major
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise ModelError(f"{path.name} cannot be read: {error}") from error


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """An array's shape, whether it is column-major, and its type."""
    first = np.lib.format.read_magic(file) == (1, 0)
    return (np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0)(file)


def _is_video(shape: tuple[int, ...], column_major: bool, dtype: np.dtype) -> bool:
    return dtype == np.uint8 and len(shape) == 4 and shape[-1] == 3 and 0 not in shape


def _array(file: IO[bytes], shape: tuple[int, ...], order: Literal["C", "F"]) -> np.ndarray:
    """The next bytes of a stream as an array. Raises ModelError where there are fewer."""
    data = file.read(math.prod(shape))
    if len(data) < math.prod(shape):
        raise ModelError("it is cut short")
    return np.frombuffer(data, np.uint8).reshape(shape, order=order)


def _numbers(path: Path, name: str, time: int) -> np.ndarray | None:
    """An array with a finite number a frame, float64 [time]; None where there is no such array. Raises ModelError."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            numbers = np.asarray(arrays[name], np.float64) if name in arrays else None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, AttributeError, TypeError) as error:
        raise ModelError(f"{path.name} cannot be read: {error}") from error
    if numbers is not None and (numbers.size != time or not np.isfinite(numbers).all()):
        raise ModelError(f"{path.name}: `{name}` is not one finite number a frame")
    return None if numbers is None else numbers.reshape(time)
