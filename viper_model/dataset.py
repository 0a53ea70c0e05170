"""Films in, whatever format they were recorded in.

A data folder holds `<task>/<behaviour>/<film>`: one film an episode. `expert` films are trained on; films of any other
behaviour (`random`, `noisy`, …) only check the result. A new format is one function that returns a `Recording`, and one
line in `READERS`.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from viper_model.errors import ModelError
from viper_model.video import read_video

EXPERT = "expert"
SHORTEST = 16
"""Films of fewer frames are skipped: there is no motion to learn from."""
HELD_OUT = 0.2
"""Share of each task's expert films that is kept from training."""


@dataclass(frozen=True)
class Recording:
    """A film as it was recorded."""

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
    frames: np.ndarray
    """uint8 [time, image_size, image_size, 3], RGB."""
    task_reward: np.ndarray | None


def read_npz(path: Path) -> Recording:
    """Keys `image` (uint8 [time, height, width, 3]) and perhaps `task_reward` (float [time])."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Recording(arrays["image"], arrays.get("task_reward"))
    except KeyError as error:
        raise ModelError(f"{path.name} has no array `image`") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, AttributeError) as error:
        raise ModelError(f"{path.name} cannot be read: {error}") from error


def read_mp4(path: Path) -> Recording:
    return Recording(read_video(path), None)


READERS: dict[str, Callable[[Path], Recording]] = {".npz": read_npz, ".mp4": read_mp4}
"""How to read a film, by the ending of its name."""


def resize(frames: np.ndarray, size: int) -> np.ndarray:
    """Frames at a model's size, each new pixel the mean of the area it covers.

    uint8 [time, height, width, 3] → uint8 [time, size, size, 3].
    """
    if frames.shape[1:3] == (size, size):
        return frames
    chunks = []
    for chunk in np.array_split(frames, max(1, len(frames) // 64)):
        image = torch.from_numpy(chunk).permute(0, 3, 1, 2).float()  # [n, 3, height, width]
        chunks.append(
            F.interpolate(image, (size, size), mode="area").round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        )
    return np.concatenate(chunks)


def read_film(path: Path) -> Recording:
    """Read a film: by its reader, or as a video where its ending has none. Raises ModelError where it is not one."""
    recording = READERS.get(path.suffix, read_mp4)(path)
    frames, reward = recording.frames, recording.task_reward
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise ModelError(
            f"{path.name}: `image` is {frames.dtype} {list(frames.shape)}, not uint8 [time, height, width, 3]"
        )
    if reward is not None and (reward.shape != frames.shape[:1] or not np.isfinite(reward).all()):
        raise ModelError(f"{path.name}: `task_reward` is not one finite number a frame")
    return recording


@dataclass(frozen=True)
class Dataset:
    films: tuple[Film, ...]
    skipped: dict[str, str]
    """Files that are no usable film, by name within the data folder, and why."""

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


def load_dataset(root: Path, image_size: int, tasks: Sequence[str] | None = None) -> Dataset:
    """Read the films under `root` (of `tasks`; all where None) at `image_size` pixels a side.

    Every task needs two expert films at least, one of which is held out; which ones depends on their names only.
    Raises ModelError where there are none.
    """
    if not root.is_dir():
        raise ModelError(f"no data folder at {root}")
    films: list[Film] = []
    skipped: dict[str, str] = {}
    for folder in sorted(path for path in root.glob("*/*") if path.is_dir()):
        if tasks is not None and folder.parent.name not in tasks:
            continue
        recordings: dict[str, Recording] = {}
        for path in sorted(path for path in folder.iterdir() if path.suffix in READERS):
            name = str(path.relative_to(root))
            try:
                recording = read_film(path)
            except ModelError as error:
                skipped[name] = str(error)
                continue
            if len(recording.frames) < SHORTEST:
                skipped[name] = f"it has {len(recording.frames)} frames; {SHORTEST} are needed"
            else:
                recordings[name] = recording
        held_out = _held_out(list(recordings)) if folder.name == EXPERT else set(recordings)
        for name, r in recordings.items():
            film = Film(
                folder.parent.name, folder.name, name, name in held_out, resize(r.frames, image_size), r.task_reward
            )
            films.append(film)
    dataset = Dataset(tuple(films), skipped)
    told = "".join(f"; skipped {name}: {why}" for name, why in list(skipped.items())[:3])
    for task in tasks or dataset.tasks or ("<task>",):
        if not dataset.select(EXPERT, task=task, held_out=False):
            raise ModelError(f"put two {EXPERT} films or more into {root / task / EXPERT}, as .npz or .mp4{told}")
    return dataset


def _held_out(names: list[str]) -> set[str]:
    """A fixed, arbitrary choice of HELD_OUT of the films, at least one."""
    arbitrary = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    return set(arbitrary[: max(1, round(HELD_OUT * len(names)))])
