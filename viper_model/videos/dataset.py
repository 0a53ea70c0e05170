"""The films of a data folder as a model is trained on and judged by: prepared, split, and read from the disk as needed.

`expert` films are trained on, but for those that are held out; films of any other behaviour (`random`, `noisy`, …) only
check the result. What a folder looks like is said in `films.find`, how its films are prepared in `films.settings`.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from viper_model.errors import ModelError
from viper_model.videos import video_file
from viper_model.videos.cache import Decoded, Job, cache_folder, decode_films
from viper_model.videos.find import EXPERT as EXPERT
from viper_model.videos.find import FORMATS, FoundFilm, find_films, format_of, read
from viper_model.videos.preparation import resize as resize
from viper_model.videos.settings import FilmSettings
from viper_model.videos.source import SETTINGS
from viper_model.videos.split import SHORTEST, held_out_names

logger = logging.getLogger(__name__)

TOLD = 5
"""So many broken films are named; all of them by `viper data`."""
OPEN_FILES = 256
"""So many films are kept open at once."""


@dataclass(frozen=True)
class Recording:
    """A single film, whole, in memory."""

    frames: np.ndarray
    """uint8 [time, height, width, 3], RGB."""
    task_reward: np.ndarray | None
    """The task's true reward, float [time], where it is known. For checks only; never trained on."""


@dataclass(frozen=True)
class Film:
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
    """The task's true reward, float64 [time], where it is known."""

    @property
    def frames(self) -> np.ndarray:
        """uint8 [time, image_size, image_size, 3], RGB: a read-only map of the file, read where it is looked at."""
        return _map(self.frames_file)


@lru_cache(OPEN_FILES)
def _map(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise ModelError(f"{path.parent.parent} was deleted while its films were in use: start again") from error


class FrameSet:
    """The frames of several films as if they lay one after the other."""

    def __init__(self, films: Sequence[Film]) -> None:
        self.films = films
        self.lengths = [len(film.frames) for film in films]
        self._ends = np.cumsum(self.lengths)
        self._begins = self._ends - self.lengths

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        """int [n] → uint8 [n, height, width, 3], read from the disk."""
        film = np.searchsorted(self._ends, index, side="right")
        return np.stack([self.films[f].frames[i] for f, i in zip(film, index - self._begins[film], strict=True)])


@dataclass(frozen=True)
class Dataset:
    films: tuple[Film, ...]
    skipped: dict[str, str]
    """What is no usable film, by name within the data folder, and why."""
    settings: FilmSettings
    """How the films were prepared."""

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(sorted({film.task for film in self.films}))

    def select(self, behaviour: str, *, task: str | None = None, held_out: bool = True) -> list[Film]:
        """The films of a behaviour (and task), trained on or kept from training."""
        return [
            film
            for film in self.films
            if film.behaviour == behaviour and film.held_out == held_out and task in (None, film.task)
        ]


def load_dataset(
    root: Path, image_size: int, tasks: Sequence[str] | None = None, *, shortest: int = SHORTEST
) -> Dataset:
    """The films under `root` (of `tasks`; all where None) at `image_size` pixels a side, decoded into a cache on disk.

    Memory is bounded by the number of films, not by their length. Films of fewer frames than `shortest` are skipped,
    as are broken ones; a warning names them. Every task needs two expert films at least, one of which is held out;
    which ones depends on their names only. Raises ModelError where there are none, and for a bad films.yaml.
    """
    settings = FilmSettings.load(root)
    found = find_films(root, settings.camera)
    available = sorted({film.task for film in found.films})
    for task in settings.masks:
        if task not in available and available:
            raise ModelError(f"{root / SETTINGS} has a mask for '{task}', but there are no films of such a task")
    wanted = [film for film in found.films if tasks is None or film.task in tasks]
    preparations = {task: settings.of(task) for task in available}
    jobs = [Job(film.source, preparations[film.task], image_size) for film in wanted]
    skipped = dict(found.broken)
    usable: list[tuple[FoundFilm, Decoded]] = []
    for film, decoded in zip(wanted, decode_films(jobs, cache_folder(root)) if jobs else (), strict=True):
        if isinstance(decoded, ModelError):
            skipped[film.name] = str(decoded)
        elif decoded.frames < max(shortest, SHORTEST):
            skipped[film.name] = f"it has {decoded.frames} frames; {max(shortest, SHORTEST)} are needed"
        else:
            usable.append((film, decoded))
    held_out = held_out_names(film for film, _ in usable)
    films = tuple(
        Film(film.task, film.behaviour, film.name, film.name in held_out, decoded.frames_file, decoded.task_reward)
        for film, decoded in usable
    )
    dataset = Dataset(films, skipped, settings)
    _refuse_unusable(root, dataset, tasks, available)
    for note in notes(dataset.skipped, len(wanted), [decoded for _, decoded in usable]):
        logger.warning("%s: %s", root, note)
    return dataset


def notes(skipped: dict[str, str], films: int, decoded: Sequence[Decoded]) -> list[str]:
    """What a user should know of the films that are used, in lines."""
    lines = []
    if skipped:
        lines.append(f"{len(skipped)} skipped ({films} films found)")
        lines += [f"skipped {name}: {why}" for name, why in list(skipped.items())[:TOLD]]
        if len(skipped) > TOLD:
            lines.append(f"and {len(skipped) - TOLD} more, see `viper data`")
    sizes = Counter((film.width, film.height) for film in decoded)
    if len(sizes) > 1:
        lines.append("films of several sizes: " + ", ".join(f"{n} of {w}×{h}" for (w, h), n in sizes.most_common()))
    return lines


def read_film(
    path: Path, task: str = "", *, episode: int | None = None, settings: FilmSettings | None = None, image_size: int = 0
) -> Recording:
    """Read a single film of any format into memory: as it was recorded, or as a model of `image_size` sees it.

    episode: which of the films at `path`, where there are several. settings: how films of `task` are prepared; as
    recorded where None. Raises ModelError where there is no film that can be read.
    """
    found = format_of(path) or FORMATS[video_file.NAME]  # PyAV knows more kinds of video than endings tell
    frames, rewards = [], []
    try:
        sources = found.find(path, settings.camera if settings else None)
        if episode is None and len(sources) != 1:
            raise ModelError(f"it holds {len(sources)} films: say which, episode:=0 to {len(sources) - 1}")
        if episode is not None and not 0 <= episode < len(sources):
            raise ModelError(f"it holds {len(sources)} films: there is no episode {episode}")
        chunks = read(sources[episode or 0])
        for chunk in settings.of(task).film(chunks, image_size) if settings else chunks:
            frames.append(chunk.frames)
            rewards += [chunk.task_reward] if chunk.task_reward is not None else []
    except ModelError as error:
        raise ModelError(str(error) if path.name in str(error) else f"{path}: {error}") from error
    if not frames:
        raise ModelError(f"{path} holds no frames")
    return Recording(np.concatenate(frames), np.concatenate(rewards) if rewards else None)


def _refuse_unusable(root: Path, dataset: Dataset, tasks: Sequence[str] | None, available: Sequence[str]) -> None:
    """Raises ModelError where a task has no film to train on, or none to hold out."""
    told = "".join(f"; skipped {name}: {why}" for name, why in list(dataset.skipped.items())[:TOLD])
    if not (tasks or dataset.tasks):
        raise ModelError(
            f"{root} holds no films that can be used: put two {EXPERT} films or more a task into {root}/<task>{told}"
        )
    for task in tasks or dataset.tasks:
        if not all(dataset.select(EXPERT, task=task, held_out=held_out) for held_out in (False, True)):
            others = f": it has films of {', '.join(available)}" if available else ""
            raise ModelError(f"put two {EXPERT} films or more of '{task}' into {root}/{task}/{EXPERT}{others}{told}")
