"""Which videos a folder holds.

A data folder is laid out as `<task>/<behaviour>/<video>`, or `<task>/<video>` where all are experts', or holds the
videos of a single task itself. A video is a file, or a folder that a recorder made. The folders `train` and `test` hold
experts' videos, as the data published with VIPER do; those in `test` are kept from training.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from viper_model.errors import ModelError
from viper_model.videos import lerobot, npz, rosbag, video_file
from viper_model.videos.source import Chunk, Format, Source

_MODULES: tuple[Format, ...] = (video_file, npz, rosbag, lerobot)
FORMATS = {module.NAME: module for module in _MODULES}
EXPERT = "expert"
BACKGROUND = "background"
"""Name of the behaviour whose videos train the background model of the likelihood ratio: anything but the task."""
SPLITS = {"train": False, "test": True}
"""Whether the videos in such a folder are kept from training."""


@dataclass(frozen=True)
class FoundVideo:
    task: str
    behaviour: str
    name: str
    """Path within the data folder, and which video of those at that path."""
    held_out: bool | None
    """Kept from training; None where the folders don't say."""
    source: Source


@dataclass(frozen=True)
class Found:
    videos: tuple[FoundVideo, ...]
    broken: dict[str, str]
    """Why each entry of the folder holds no video that can be read, by its path."""


def find_videos(root: Path, camera: str | None) -> Found:
    """The videos under `root`, unread, sorted by name. Raises ModelError where there is no such folder."""
    if not root.is_dir():
        raise ModelError(f"no data folder at {root}")
    videos: list[FoundVideo] = []
    broken: dict[str, str] = {}

    def look(path: Path, task: str, behaviour: str) -> bool:
        """Add the videos at `path`, if it is of any format."""
        found = format_of(path)
        if found is None:
            return False
        name = "" if path == root else str(path.relative_to(root))
        try:
            sources = found.find(path, camera)
            if not sources:
                broken[name or root.name] = "it holds no videos"
        except ModelError as error:
            broken[name or root.name] = str(error)
            return True
        held_out = SPLITS.get(behaviour)
        who = EXPERT if behaviour in SPLITS else behaviour
        for source in sources:
            full_name = "/".join(filter(None, (name, source.part)))
            videos.append(FoundVideo(source.task or task, who, full_name, held_out, source))
        return True

    only = root.resolve().name
    if not look(root, only, EXPERT):
        for first in _entries(root):
            if look(first, only, EXPERT) or not first.is_dir():
                continue
            for second in _entries(first):
                if look(second, first.name, EXPERT) or not second.is_dir():
                    continue
                for third in _entries(second):
                    look(third, first.name, second.name)
    return Found(tuple(sorted(videos, key=lambda video: video.name)), broken)


def read(source: Source) -> Iterator[Chunk]:
    """A video's frames. Raises ModelError where the file is damaged, whichever exception its reader raises."""
    try:
        yield from FORMATS[source.format].read(source)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"it cannot be read: {type(error).__name__}: {str(error).partition(chr(10))[0]}") from error


def format_of(path: Path) -> Format | None:
    return next((each for each in FORMATS.values() if each.holds(path)), None)


def _entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
