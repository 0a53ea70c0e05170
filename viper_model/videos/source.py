"""What every format of videos answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from viper_model.errors import ModelError

SETTINGS = "videos.yaml"
"""The file of the user's choices, see `settings`."""
OLD_SETTINGS = "films.yaml"
"""Its name in earlier versions, which is still read."""
LFS_POINTER = b"version https://git-lfs"
LFS_POINTER_BYTES = 1024
"""The most that a pointer of Git LFS may have (its specification says so)."""
LEAST_SHARE = 0.9
"""A video is refused of which fewer frames than this share are there."""
CHUNK_BYTES = 16 * 2**20
"""Frames are handed over in chunks of about this size, whatever the video's length."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A video as it lies on the disk, unread."""

    format: str
    """Name of its format."""
    path: Path
    """The file or folder that it was found in."""
    files: tuple[Path, ...]
    """The files that hold its frames."""
    part: str = ""
    """Which of the videos at `path` it is, as `episode_00002`, where there can be several."""
    task: str | None = None
    """What the format itself says it shows; None where only its folder can tell."""

    @property
    def number(self) -> int:
        """Of the episode, as `part` has it; 0 for the only video."""
        return int(self.part.rpartition("_")[2] or 0)

    def key(self) -> tuple[object, ...]:
        """What tells it from other videos in the same files."""
        return self.format, self.part, self.task


@dataclass(frozen=True)
class Facts:
    """A video's number of frames, rate and size, as its headers and its first frame say, without decoding it."""

    frames: int | None
    rate: float | None
    """Hz."""
    height: int
    width: int


@dataclass(frozen=True)
class Chunk:
    """Consecutive frames of a video."""

    frames: np.ndarray
    """uint8 [n, height, width, 3], RGB."""
    seconds: np.ndarray | None = None
    """When each was recorded, float64 [n]; None where the format does not say."""
    task_reward: np.ndarray | None = None
    """The task's ground-truth reward for reaching each frame, float64 [n], where it is known. For checks only."""


class Format(Protocol):
    """What a module that reads one format provides: npz, rosbag, lerobot, video_file."""

    NAME: str

    def holds(self, path: Path) -> bool:
        """Whether a file or folder is of this format, broken or not."""
        ...

    def find(self, path: Path, camera: str | None) -> Sequence[Source]:
        """The videos in it, seen by `camera` where there are several. Raises ModelError where it is broken."""
        ...

    def look(self, source: Source) -> Facts:
        """Raises ModelError where the video is broken."""
        ...

    def read(self, source: Source) -> Iterator[Chunk]:
        """Its frames in order. Raises ModelError where the video is broken, perhaps after some chunks."""
        ...


def refuse_lfs_pointer(file: Path) -> None:
    """Raises ModelError where a file is not there itself: Git LFS left the few lines that stand for it."""
    if file.is_file() and file.stat().st_size <= LFS_POINTER_BYTES and file.read_bytes().startswith(LFS_POINTER):
        raise ModelError(
            f"{file.name} is a Git LFS pointer, not the file itself: run `git lfs pull` where it was cloned"
        )


def is_text(file: Path) -> bool:
    """Whether a file's beginning is that of a text."""
    with file.open("rb") as content:
        return b"\0" not in content.read(1024)


def chunks_of(frames: Iterable[tuple[np.ndarray, float | None]]) -> Iterator[Chunk]:
    """Frames (uint8 [height, width, 3]; seconds, or None for all) in chunks. Raises ModelError where their size
    changes."""
    images: list[np.ndarray] = []
    seconds: list[float | None] = []
    shape: tuple[int, ...] | None = None
    for image, second in frames:
        if shape not in (None, image.shape):
            raise ModelError("it changes its frame size on the way: record it with one size")
        shape = image.shape
        images.append(image)
        seconds.append(second)
        if len(images) * image.nbytes >= CHUNK_BYTES:
            yield _chunk(images, seconds)
            images, seconds = [], []
    if images:
        yield _chunk(images, seconds)


def _chunk(images: Sequence[np.ndarray], seconds: Sequence[float | None]) -> Chunk:
    return Chunk(np.stack(images), None if None in seconds else np.array(seconds, np.float64))


def choose_camera(cameras: Sequence[str], wanted: str | None) -> str:
    """The only camera, or the wanted one. Raises ModelError."""
    names = ", ".join(sorted(cameras))
    if wanted is not None:
        if wanted not in cameras:
            raise ModelError(f"it has no camera '{wanted}': set `camera` in {SETTINGS} to one of {names or '(none)'}")
        return wanted
    if not cameras:
        raise ModelError("it holds no images")
    if len(cameras) > 1:
        raise ModelError(f"it has several cameras: set `camera` in {SETTINGS} to one of {names}")
    return cameras[0]
