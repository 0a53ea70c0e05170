"""Video files, one video each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from viper_model.videos.source import Chunk, Facts, Source, chunks_of
from viper_model.videos.video_io import decode, probe

NAME = "video"
# fmt: off
ENDINGS = (
    ".mp4", ".mov", ".m4v", ".qt", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".divx", ".wmv", ".asf", ".flv", ".f4v",
    ".ogv", ".gif", ".mts", ".m2ts", ".m2t", ".ts", ".mpg", ".mpeg", ".m2v", ".vob", ".mxf", ".dv", ".mjpg", ".mjpeg",
    ".h264", ".264", ".h265", ".265", ".hevc", ".ivf", ".obu", ".y4m", ".nut",
)
# fmt: on
"""Of the files that PyAV's FFmpeg reads, those that cameras, recorders and simulators write."""


def holds(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and path.is_file()


def find(path: Path, camera: str | None) -> Sequence[Source]:
    return [Source(format=NAME, path=path, files=(path,))]


def look(source: Source) -> Facts:
    return Facts(*probe(source.path))


def read(source: Source) -> Iterator[Chunk]:
    return chunks_of(decode(source.path))
