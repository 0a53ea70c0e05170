"""The videos of a data folder as a model is trained on and judged by: prepared, split, and read from the disk as
needed.

A model is trained on the `expert` videos that are not held out and, where its background is recorded, on `background`
videos; videos of any other behaviour (`random`, `noisy`, …) only check the result. What a folder looks like is said in
`videos.find`, how its videos are prepared in `videos.settings`.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from viper_model.errors import ModelError
from viper_model.videos import video_file
from viper_model.videos.cache import Decoded, Job, cache_folder, decode_videos
from viper_model.videos.find import EXPERT as EXPERT
from viper_model.videos.find import FoundVideo, find_videos, format_of, pair_name, read, sources_at
from viper_model.videos.preparation import mixed_rates
from viper_model.videos.settings import VideoSettings
from viper_model.videos.source import SETTINGS, Source
from viper_model.videos.split import SHORTEST, held_out_names

logger = logging.getLogger(__name__)

MOST_NAMED_VIDEOS = 5
"""How many videos that can't be used a warning names; `viper data` names all."""
OPEN_FILES = 256
"""How many videos' files are kept open at once."""


@dataclass(frozen=True)
class Recording:
    """A single video, whole, in memory."""

    frames: np.ndarray
    """uint8 [time, height, width, 3], RGB."""
    task_reward: np.ndarray | None
    """The task's ground-truth reward, float [time], where it is known. For checks only; never trained on."""


@dataclass(frozen=True)
class Video:
    """An episode of a data set."""

    task: str
    behaviour: str
    name: str
    """Path within the data folder."""
    held_out: bool
    """Kept from training."""
    frames_file: Path
    """A .npy of its frames."""
    task_reward: np.ndarray | None
    """The task's ground-truth reward, float64 [time], where it is known."""
    embodiment: str = ""
    """The robot that does the task, where the folders tell."""

    @property
    def pair(self) -> str:
        """See `find.pair_name`."""
        return pair_name(self.embodiment, self.task)

    @property
    def frames(self) -> np.ndarray:
        """uint8 [time, image_size, image_size, 3], RGB: a read-only map of the file, read where it is looked at."""
        return _map(self.frames_file)


@lru_cache(OPEN_FILES)
def _map(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        why = f"{path.parent.parent} was deleted while its videos were in use, or can't be read ({error}): start again"
        raise ModelError(why) from error


class FrameSet:
    """The frames of several videos as one array, video after video."""

    def __init__(self, videos: Sequence[Video]) -> None:
        self.videos = videos
        self.lengths = [len(video.frames) for video in videos]
        self._ends = np.cumsum(self.lengths)
        self._begins = self._ends - self.lengths

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        """int [n] → uint8 [n, height, width, 3], read from the disk."""
        video = np.searchsorted(self._ends, index, side="right")
        return np.stack([self.videos[f].frames[i] for f, i in zip(video, index - self._begins[video], strict=True)])


@dataclass(frozen=True)
class Dataset:
    videos: tuple[Video, ...]
    skipped: dict[str, str]
    """Why each file that can't be used is skipped, by its path within the data folder."""
    settings: VideoSettings
    """How the videos were prepared."""

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(sorted({video.task for video in self.videos}))

    def select(self, behaviour: str, *, task: str | None = None, held_out: bool = True) -> list[Video]:
        """The videos of a behaviour (and task, or pair as `panda/lift`), trained on or kept from training."""
        return [
            video
            for video in self.videos
            if video.behaviour == behaviour and video.held_out == held_out and task in (None, video.task, video.pair)
        ]


def load_dataset(
    root: Path,
    image_size: int,
    tasks: Sequence[str] | None = None,
    *,
    shortest: int = SHORTEST,
    of_model: VideoSettings | None = None,
) -> Dataset:
    """The videos under `root` at `image_size` pixels a side, decoded into a cache on disk.

    tasks: only these, of whichever embodiment, or of one, as `panda/lift`; all where None. of_model: how the model that
    is shown them was shown its own; as their videos.yaml says where None.
    Memory is bounded by the number of videos, not by their length. Videos of fewer frames than `shortest` are skipped,
    as are broken ones; a warning names them. Every task needs two expert videos at least, one of which is held out;
    which ones depends on their names only. Raises ModelError where there are none, and for a bad videos.yaml.
    """
    settings = VideoSettings.load(root)
    found = find_videos(root, settings.camera)
    available = sorted({video.pair for video in found.videos})
    known = {video.task for video in found.videos}
    for task in settings.masks:
        if task not in known and known:
            raise ModelError(f"{root / SETTINGS} has a mask for '{task}', but there are no videos of such a task")
    wanted = [video for video in found.videos if tasks is None or not {video.task, video.pair}.isdisjoint(tasks)]
    settings = settings.for_model(of_model) if of_model else settings
    preparations = {task: settings.of(task) for task in known}
    jobs = [Job(video.source, preparations[video.task], image_size) for video in wanted]
    skipped = dict(found.broken)
    usable: list[tuple[FoundVideo, Decoded]] = []
    for video, decoded in zip(wanted, decode_videos(jobs, cache_folder(root)) if jobs else (), strict=True):
        if isinstance(decoded, ModelError):
            skipped[video.name] = str(decoded)
        elif settings.crop and (misfit := settings.crop.misfit(decoded.width, decoded.height)):
            skipped[video.name] = misfit  # In the cache already, it was not looked at again.
        elif decoded.frames < max(shortest, SHORTEST):
            skipped[video.name] = f"it has {decoded.frames} frames; {max(shortest, SHORTEST)} are needed"
        else:
            usable.append((video, decoded))
    held_out = held_out_names(video for video, _ in usable)
    videos = tuple(
        Video(
            video.task,
            video.behaviour,
            video.name,
            video.name in held_out,
            decoded.frames_file,
            decoded.task_reward,
            video.embodiment,
        )
        for video, decoded in usable
    )
    sizes = {(decoded.width, decoded.height) for _, decoded in usable}
    if settings.crop and len(sizes) == 1:
        settings = replace(settings, crop=replace(settings.crop, of=sizes.pop()))
    dataset = Dataset(videos, skipped, settings)
    _refuse_unusable(root, dataset, tasks, available)
    for note in notes(dataset.skipped, len(wanted), [decoded for _, decoded in usable], settings):
        logger.warning("%s: %s", root, note)
    return dataset


def notes(skipped: dict[str, str], videos: int, decoded: Sequence[Decoded], settings: VideoSettings) -> list[str]:
    """Warnings about videos that were skipped, and about mixed sizes and rates, a line each."""
    lines = []
    if skipped:
        lines.append(f"{len(skipped)} skipped ({videos} videos found)")
        lines += [f"skipped {name}: {why}" for name, why in list(skipped.items())[:MOST_NAMED_VIDEOS]]
        if len(skipped) > MOST_NAMED_VIDEOS:
            lines.append(f"and {len(skipped) - MOST_NAMED_VIDEOS} more, see `viper data`")
    sizes = Counter((video.width, video.height) for video in decoded)
    if len(sizes) > 1:
        lines.append("videos of several sizes: " + ", ".join(f"{n} of {w}×{h}" for (w, h), n in sizes.most_common()))
    if not settings.rate and (mixed := mixed_rates(video.rate for video in decoded)):
        lines.append(mixed)
    return lines


def read_recording(
    path: Path,
    task: str = "",
    *,
    episode: int | None = None,
    settings: VideoSettings | None = None,
    image_size: int = 0,
) -> Recording:
    """Read a single video of any format into memory: as it was recorded, or as a model of `image_size` sees it.

    episode: the number of one of the videos at `path`, where there are several. settings: how videos of `task` are
    prepared; as recorded where None. Raises ModelError where there is no video that can be read.
    """
    frames, rewards = [], []
    try:
        camera = settings.camera if settings else None
        # PyAV knows more kinds of video than endings tell.
        sources = sources_at(path, camera) if format_of(path) else video_file.find(path, camera)
        chunks = read(_episode(sources, episode))
        for chunk in settings.of(task).video(chunks, image_size) if settings else chunks:
            frames.append(chunk.frames)
            rewards += [chunk.task_reward] if chunk.task_reward is not None else []
    except ModelError as error:
        raise ModelError(str(error) if path.name in str(error) else f"{path}: {error}") from error
    except OSError as error:
        raise ModelError(f"{path}: it cannot be read: {error.strerror}") from error
    if not frames:
        raise ModelError(f"{path} holds no frames")
    return Recording(np.concatenate(frames), np.concatenate(rewards) if rewards else None)


def _episode(sources: Sequence[Source], number: int | None) -> Source:
    """The only one, or that of a number. Raises ModelError."""
    if number is None and len(sources) == 1:
        return sources[0]
    by_number = {source.number: source for source in sources}
    if number in by_number:
        return by_number[number]
    holds, there = f"it holds {len(sources)} videos", _runs(by_number)
    if number is None:
        raise ModelError(f"{holds}: say which, episode:={there}")
    raise ModelError(f"{holds}: there is no episode {number}; there are {there}")


def _runs(numbers: Collection[int]) -> str:
    """Numbers in few words, as `0 to 3, 5`."""
    begins = sorted(number for number in numbers if number - 1 not in numbers)
    ends = sorted(number for number in numbers if number + 1 not in numbers)
    runs = [f"{begin}" if begin == end else f"{begin} to {end}" for begin, end in zip(begins, ends, strict=True)]
    return ", ".join(runs if len(runs) <= MOST_NAMED_VIDEOS else [*runs[:MOST_NAMED_VIDEOS], "…", runs[-1]])


def _refuse_unusable(root: Path, dataset: Dataset, tasks: Sequence[str] | None, available: Sequence[str]) -> None:
    """Raises ModelError where a task has no video to train on, or none to hold out."""
    told = "".join(f"; skipped {name}: {why}" for name, why in list(dataset.skipped.items())[:MOST_NAMED_VIDEOS])
    if not (tasks or dataset.tasks):
        raise ModelError(
            f"{root} holds no videos that can be used: put two {EXPERT} videos or more a task into {root}/<task>{told}"
        )
    for task in tasks or dataset.tasks:
        if not all(dataset.select(EXPERT, task=task, held_out=held_out) for held_out in (False, True)):
            others = f": it has videos of {', '.join(available)}" if available else ""
            raise ModelError(f"put two {EXPERT} videos or more of '{task}' into {root}/{task}/{EXPERT}{others}{told}")
