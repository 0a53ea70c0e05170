"""Videos as NumPy archives, one video each.

Ours have the arrays `image` (uint8 [time, height, width, 3]) and perhaps `task_reward` (float [time]); those that were
published with VIPER have the frames as `arr_0` and nothing else.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from viper_model.errors import ModelError
from viper_model.videos.source import CHUNK_BYTES, Chunk, Facts, Source

NAME = "npz"
FRAMES = ("image", "arr_0")


def holds(path: Path) -> bool:
    return path.suffix == ".npz" and path.is_file()


def find(path: Path, camera: str | None) -> Sequence[Source]:
    return [Source(format=NAME, path=path, files=(path,))]


def look(source: Source) -> Facts:
    with _frames(source.path) as (_, shape):
        return Facts(frames=shape[0], rate=None, height=shape[1], width=shape[2])


def read(source: Source) -> Iterator[Chunk]:
    reward = _task_reward(source.path)
    with _frames(source.path) as (file, (time, *picture)):
        if reward is not None and (reward.shape != (time,) or not np.isfinite(reward).all()):
            raise ModelError(f"{source.path.name}: `task_reward` is not one finite number a frame")
        size = int(np.prod(picture))
        n = max(1, CHUNK_BYTES // size)
        for begin in range(0, time, n):
            end = min(begin + n, time)
            data = file.read((end - begin) * size)
            if len(data) < (end - begin) * size:
                raise ModelError(f"{source.path.name} is cut short")
            frames = np.frombuffer(data, np.uint8).reshape(end - begin, *picture)
            yield Chunk(frames, task_reward=None if reward is None else reward[begin:end])


@contextmanager
def _frames(path: Path) -> Iterator[tuple[IO[bytes], tuple[int, ...]]]:
    """The array of frames as a stream of bytes, and its shape: np.load would hold all of it in memory."""
    try:
        with zipfile.ZipFile(path) as archive:
            name = next((name for name in FRAMES if f"{name}.npy" in archive.namelist()), None)
            if name is None:
                raise ModelError(f"{path.name} has no array `image`")
            with archive.open(f"{name}.npy") as file:
                version = np.lib.format.read_magic(file)
                header = (
                    np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                )
                shape, column_major, dtype = header(file)
                if dtype != np.uint8 or len(shape) != 4 or shape[-1] != 3 or 0 in shape or column_major:
                    raise ModelError(
                        f"{path.name}: `{name}` is {dtype} {list(shape)}, not uint8 [time, height, width, 3]"
                    )
                yield file, shape
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise ModelError(f"{path.name} cannot be read: {error}") from error


def _task_reward(path: Path) -> np.ndarray | None:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return np.asarray(arrays["task_reward"], np.float64) if "task_reward" in arrays else None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, AttributeError, TypeError) as error:
        raise ModelError(f"{path.name} cannot be read: {error}") from error
