"""Which videos a folder holds.

A data folder is laid out as `<task>/<behaviour>/<video>`, or `<task>/<video>` where all are experts', or is the folder
of a single task itself. Where several robots do the tasks it is `<embodiment>/<task>/<behaviour>/<video>`: what
is learned is told the task alone, and the folder of one robot is a data folder too. A video is a file, or a folder that
a recorder made. A task is called as its folder; where no folders are of behaviours, what a format itself says counts.
The folders `train` and `test` hold experts' videos, as the data published with VIPER do; those in `test` are kept from
training.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from viper_model.errors import ModelError
from viper_model.videos import lerobot, npz, rosbag, video_file
from viper_model.videos.source import SETTINGS, Chunk, Facts, Format, Source, is_text, refuse_lfs_pointer

_MODULES: tuple[Format, ...] = (video_file, npz, rosbag, lerobot)
FORMATS = {module.NAME: module for module in _MODULES}
EXPERT = "expert"
BACKGROUND = "background"
"""Name of the behaviour whose videos train the background model of the likelihood ratio: anything but the task."""
SPLITS = {"train": False, "test": True}
"""Whether the videos in such a folder are kept from training."""
_OF_A_TASK = {EXPERT, BACKGROUND, *SPLITS}
"""Folders that tell a task's folder from an embodiment's."""
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".thm", ".ppm", ".pgm", ".exr", ".heic", ".avif")
BESIDE_VIDEOS = (*PICTURES, ".wav", ".mp3", ".m4a", ".pdf", ".safetensors")
"""Endings of files that lie beside videos and are none."""
LIKELIHOOD_MAP = "_likelihood_map.mp4"
"""What the files end with that `viper score` writes, by default where it is called: no expert's videos."""
ZARR = ".zarr"
"""Ending of folders of arrays."""
PICTURES_OF_A_VIDEO = 16
"""A folder of so many numbered pictures was meant as a video."""


@dataclass(frozen=True)
class FoundVideo:
    task: str
    behaviour: str
    name: str
    """Path within the data folder, and which video of those at that path."""
    held_out: bool | None
    """Kept from training; None where the folders don't say."""
    source: Source
    embodiment: str = ""
    """The robot that does the task, where the folders tell."""

    @property
    def pair(self) -> str:
        return pair_name(self.embodiment, self.task)


def pair_name(embodiment: str, task: str) -> str:
    """A task and who does it, as `panda/lift`; the task alone where the embodiment is not known."""
    return f"{embodiment}/{task}" if embodiment else task


@dataclass(frozen=True)
class Found:
    videos: tuple[FoundVideo, ...]
    broken: dict[str, str]
    """Why each entry of the folder holds no video that can be read, by its path."""


def find_videos(root: Path, camera: str | None) -> Found:
    """The videos under `root`, unread, sorted by name. Raises ModelError where there is no such folder."""
    if root.is_file():
        raise ModelError(f"{root} is a file: put it into a folder, and give that")
    if not root.is_dir():
        raise ModelError(f"no data folder at {root}")
    videos: list[FoundVideo] = []
    broken: dict[str, str] = {}

    def look(path: Path, task: str, behaviour: str, embodiment: str = "", *, named: bool = True) -> bool:
        """Add the videos at `path`, or why there are none. False for a folder to look into.

        named: the task is called as a folder, whatever the format itself says.
        """
        name = str(path.relative_to(root)) if path != root else root.name
        if path.name == SETTINGS and path.parent != root:
            broken[name] = f"it is read in {root} alone: move it there"
            return True
        try:
            sources = sources_at(path, camera)
        except ModelError as error:
            broken[name] = str(error)
            if isinstance(error.__cause__, OSError):
                return True
            return format_of(path) is not None or not path.is_dir() or path.suffix == ZARR
        held_out = SPLITS.get(behaviour)
        who = EXPERT if behaviour in SPLITS else behaviour
        for source in sources:
            full_name = "/".join(filter(None, (name if path != root else "", source.part))) or name
            said = task if named else source.task or task
            videos.append(FoundVideo(said, who, full_name, held_out, source, embodiment))
        return bool(sources) or not path.is_dir()

    def too_deep(folders: Iterable[Path]) -> None:
        for folder in folders:
            if any(map(_is_video, _entries(folder))):
                broken[str(folder.relative_to(root))] = "its videos lie too deep: put them one folder higher"

    only = root.resolve().name
    if not look(root, only, EXPERT, named=False):
        of_one_task = _is_a_task(root)
        for first in _entries(root):
            if look(first, only, EXPERT, named=of_one_task):
                continue
            if of_one_task:
                too_deep(each for each in _entries(first) if not look(each, only, first.name))
                continue
            if first.name == BACKGROUND:
                broken[first.name] = f"it lies beside the tasks: put it into a task's folder, as <task>/{BACKGROUND}"
                continue
            of_a_task = not _OF_A_TASK.isdisjoint(path.name for path in _entries(first))
            for second in _entries(first):
                if look(second, first.name, EXPERT, named=of_a_task):
                    continue
                for third in _entries(second):
                    if look(third, first.name, second.name):
                        continue
                    if of_a_task:
                        too_deep([third])
                    else:
                        too_deep(
                            each for each in _entries(third) if not look(each, second.name, third.name, first.name)
                        )
    return Found(tuple(sorted(videos, key=lambda video: video.name)), broken)


def _is_a_task(folder: Path) -> bool:
    """Whether a data folder's own folders are behaviours."""
    entries = _entries(folder)
    names = {path.name for path in entries if path.is_dir()}
    return not names.isdisjoint({EXPERT, *SPLITS}) or (BACKGROUND in names and any(map(_is_video, entries)))


def sources_at(path: Path, camera: str | None) -> Sequence[Source]:
    """The videos in a file or folder; none where nothing there is meant as one. Raises ModelError where it is
    broken."""
    with _damage_told():
        found = format_of(path)
        if found is None:
            _refuse_unread(path)
            return ()
        for file in [path] if path.is_file() else [*_entries(path), *(path / "meta").rglob("*")]:
            refuse_lfs_pointer(file)
        sources = found.find(path, camera)
    if not sources:
        raise ModelError("it holds no videos")
    return sources


def look(source: Source) -> Facts:
    """A video's facts. Raises ModelError where it is broken."""
    with _damage_told():
        for file in source.files:
            refuse_lfs_pointer(file)
        return FORMATS[source.format].look(source)


def read(source: Source) -> Iterator[Chunk]:
    """A video's frames. Raises ModelError where the file is damaged."""
    with _damage_told():
        for file in source.files:
            refuse_lfs_pointer(file)
        yield from FORMATS[source.format].read(source)


@contextmanager
def _damage_told() -> Iterator[None]:
    """ModelError instead of whichever exception a reader raises of a damaged file."""
    try:
        yield
    except ModelError:
        raise
    except OSError as error:
        raise ModelError(f"it cannot be read: {error.strerror or error}") from error
    except Exception as error:
        raise ModelError(f"it cannot be read: {type(error).__name__}: {str(error).partition(chr(10))[0]}") from error


def format_of(path: Path) -> Format | None:
    return next((each for each in FORMATS.values() if each.holds(path)), None)


def _is_video(path: Path) -> bool:
    """Whether a file or folder is meant as a video, read or not."""
    try:
        _refuse_unread(path)
        return format_of(path) is not None
    except ModelError:
        return True
    except OSError:
        return False


def _refuse_unread(path: Path) -> None:
    """Raises ModelError where a path of no known format was meant as a video."""
    if path.suffix == ZARR and path.is_dir():
        raise ModelError("it is of no format that is read: make it an .mp4 or .npz")
    if path.is_dir():
        beside = {file.stem for file in _entries(path) if file.is_file() and format_of(file)}
        pictures = [file for file in _entries(path) if file.suffix.lower() in PICTURES and file.stem not in beside]
        numbered = [file for file in pictures if any(map(str.isdigit, file.stem))]
        if len(numbered) >= PICTURES_OF_A_VIDEO:
            how = f"ffmpeg -framerate 10 -pattern_type glob -i '*{numbered[0].suffix}' video.mp4"
            raise ModelError(
                f"it holds single pictures: make a video of them, as `{how}` does in the order of their names"
            )
    elif not path.exists():
        raise ModelError(f"it is a link to {path.readlink()}, which is not there")
    elif path.is_file() and path.suffix.lower() not in BESIDE_VIDEOS:
        refuse_lfs_pointer(path)
        if not is_text(path):
            raise ModelError("it is of no format that is read: make it an .mp4 or .npz")


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder, without what is hidden and what `viper score` wrote there."""
    return sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and not path.name.endswith(LIKELIHOOD_MAP) and not rosbag.is_scored_copy(path)
    )
