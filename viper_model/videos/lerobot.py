"""The videos of one camera in a LeRobot dataset of version 2.0, 2.1 or 3.0. Each episode is one video.

The layout is that of the files which `lerobot` 0.3 (v2.1) and 0.4 (v3.0) write: `meta/info.json` tells the version, the
rate and the pattern of the videos' paths. Version 2 has a line an episode in `meta/episodes.jsonl` and a video an
episode; version 3 has rows in `meta/episodes/**/*.parquet` and many episodes in each video file: a row gives the second
at which its episode begins.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet

from viper_model.errors import ModelError
from viper_model.videos.source import Chunk, Facts, Source, choose_camera, chunks_of
from viper_model.videos.video_io import decode, probe

NAME = "lerobot"
DEPTH = "video.is_depth_map"
"""What LeRobot says of a camera that it records the depth of."""
INFO = Path("meta", "info.json")


@dataclass(frozen=True, kw_only=True)
class LeRobotVideo(Source):
    episode: int
    """Its `episode_index`."""
    frames: int
    rate: float
    """Hz."""
    begin: float
    """Where the episode begins in the video file, in seconds."""

    def key(self) -> tuple[object, ...]:
        return *super().key(), self.begin, self.frames, self.rate


def holds(path: Path) -> bool:
    return (path / INFO).is_file()


def find(path: Path, camera: str | None) -> Sequence[LeRobotVideo]:
    try:
        info = json.loads((path / INFO).read_text())
        version = str(info["codebase_version"])
        kinds = {key: feature["dtype"] for key, feature in info["features"].items()}
        videos = [key for key, kind in kinds.items() if kind == "video"]
        colour = [key for key in videos if not (info["features"][key].get("info") or {}).get(DEPTH)]
        if not videos and "image" in kinds.values():
            raise ModelError("its cameras are kept as single images: convert them to video, as LeRobot's tools do")
        key = choose_camera(videos if camera else colour or videos, camera)
        rate = float(info["fps"])
        if not 0 < rate < math.inf:
            raise ValueError(f"fps is {rate}")
        if not version.startswith(("v2.", "v3.")):
            raise ModelError(
                f"it is of version {version}; 2.0, 2.1 and 3.0 can be read: convert it with LeRobot's tools"
            )
        second = version.startswith("v2.")
        rows = _episodes_2(path, info, key) if second else _episodes_3(path, key)
        return [
            LeRobotVideo(
                format=NAME,
                path=path,
                files=(path / info["video_path"].format(video_key=key, **row["place"]),),
                part=f"episode_{row['episode_index']:06}",
                task=_task(path, row),
                episode=int(row["episode_index"]),
                frames=int(row["length"]),
                rate=rate,
                begin=_second(row["begin"]),
            )
            for row in rows
        ]
    except (
        OSError,
        ArithmeticError,
        KeyError,
        IndexError,
        TypeError,
        ValueError,
        AttributeError,
        pyarrow.ArrowException,
    ) as error:
        why = f"{type(error).__name__} {error}".splitlines()[0]
        raise ModelError(f"its meta/ folder is not that of a LeRobot dataset: {why}") from error


def look(source: Source) -> Facts:
    assert isinstance(source, LeRobotVideo)
    _, _, height, width = probe(source.files[0])
    return Facts(source.frames, source.rate, height, width)


def read(source: Source) -> Iterator[Chunk]:
    assert isinstance(source, LeRobotVideo)
    return chunks_of(_frames(source))


def _frames(video: LeRobotVideo) -> Iterator[tuple[np.ndarray, float]]:
    half = 0.5 / video.rate
    count = 0
    for image, second in decode(video.files[0], video.begin):
        if second is not None and second < video.begin - half:
            continue  # The key frame that decoding has to begin with is earlier.
        if count == video.frames:
            return
        yield image, count / video.rate
        count += 1
    if count < video.frames:
        raise ModelError(f"{video.files[0].name} holds {count} of the episode's {video.frames} frames")


def _episodes_2(path: Path, info: dict[str, Any], key: str) -> Iterator[dict[str, Any]]:
    file = path / "meta" / "episodes.jsonl"
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            index, length, tasks = int(row["episode_index"]), int(row["length"]), list(row["tasks"])
        except (KeyError, TypeError, ValueError) as error:
            why = f"{type(error).__name__} {error}".splitlines()[0]
            raise ModelError(f"meta/{file.name}, line {number} is not an episode: {why}") from error
        place = {"episode_index": index, "episode_chunk": index // info["chunks_size"]}
        yield {"episode_index": index, "length": length, "tasks": tasks, "begin": 0, "place": place}


def _episodes_3(path: Path, key: str) -> Iterator[dict[str, Any]]:
    place = {name: f"videos/{key}/{name}" for name in ("chunk_index", "file_index")}
    begin = f"videos/{key}/from_timestamp"
    files = sorted((path / "meta" / "episodes").rglob("*.parquet"))
    if not files:
        raise ModelError("meta/episodes/ holds no episodes")
    for file in files:
        columns = ["episode_index", "length", "tasks", begin, *place.values()]
        for row in pyarrow.parquet.read_table(file, columns=columns).to_pylist():
            yield {**row, "begin": row[begin], "place": {name: row[column] for name, column in place.items()}}


def _second(begin: Any) -> float:
    """Raises ValueError where it is none."""
    if not math.isfinite(begin):
        raise ValueError(f"an episode begins at {begin} s")
    return float(begin)


def _task(path: Path, row: dict[str, Any]) -> str:
    """The episode's task as a name; the folder's where it has not exactly one."""
    names = {task_name(sentence) for sentence in row["tasks"]} - {""}
    return names.pop() if len(names) == 1 else path.name


def task_name(sentence: str) -> str:
    """What a task that a sentence describes is called: `Pick up the cube.` is `pick_up_the_cube`."""
    return re.sub(r"\W+", "_", sentence.strip().lower()).strip("_")
