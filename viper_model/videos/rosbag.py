"""rosbag2 recordings (SQLite or MCAP, compressed or not) of a camera: raw or compressed images.

A bag is one video; where it also holds `viper_ros/Step` messages beside the images, it is a video an episode, cut at
`is_first`. Where a bag has several cameras, those with steps in their namespace are preferred. A picture that was
published twice counts once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_typestore

from viper_model.errors import ModelError
from viper_model.videos.image_messages import rgb as rgb
from viper_model.videos.source import Chunk, Facts, Source, choose_camera, chunks_of

NAME = "rosbag2"
RAW, COMPRESSED, STEP = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "viper_ros/msg/Step"
MOST_APART = 5 * 10**9
"""How far apart a picture and the step with its stamp may have been recorded, in nanoseconds."""


@dataclass(frozen=True)
class Episode:
    """Where in a bag an episode lies; all in nanoseconds."""

    first_stamp: int
    last_stamp: int
    begin: int
    """When its first step was recorded."""
    end: int
    """When its last step was recorded."""
    steps: int


@dataclass(frozen=True, kw_only=True)
class BagVideo(Source):
    topic: str
    episode: Episode | None = None


def holds(path: Path) -> bool:
    return path.is_dir() and any(
        file.name == "metadata.yaml" or file.suffix in (".mcap", ".db3") for file in path.iterdir()
    )


def find(path: Path, camera: str | None) -> Sequence[BagVideo]:
    files = tuple(sorted(file for file in path.iterdir() if file.is_file()))
    with opened(path) as bag:
        topic = choose_camera(cameras(bag, camera), camera)
        if not sum(c.msgcount for c in bag.connections if c.topic == topic):
            raise ModelError(f"it has no image on {topic}")
        steps = steps_of(bag, topic)
        episodes = _episodes(bag, steps) if steps else []
    video = BagVideo(format=NAME, path=path, files=files, topic=topic)
    if not episodes:
        return [video]
    return [
        dataclasses.replace(video, part=f"episode_{index:05}", episode=episode)
        for index, episode in enumerate(episodes)
    ]


def look(source: Source) -> Facts:
    assert isinstance(source, BagVideo)
    with opened(source.path) as bag:
        first = next(_pictures(bag, source), None)
        if first is None:
            raise ModelError("it has no image")
        (connection,) = (c for c in bag.connections if c.topic == source.topic)
        frames, nanoseconds = connection.msgcount, bag.duration
    if source.episode:
        frames, nanoseconds = source.episode.steps, source.episode.end - source.episode.begin
    rate = (frames - 1) / nanoseconds * 1e9 if frames > 1 and nanoseconds else None
    return Facts(frames, rate, *first[0].shape[:2])


def read(source: Source) -> Iterator[Chunk]:
    assert isinstance(source, BagVideo)
    with opened(source.path) as bag:
        yield from chunks_of(_pictures(bag, source))


def cameras(bag: AnyReader, wanted: str | None = None) -> list[str]:
    """The topics that are videos: all that have images where one is `wanted`, else those worth choosing from."""
    images = (c.topic for c in bag.connections if c.msgtype in (RAW, COMPRESSED) and _is_colour(c.topic))
    topics = list(dict.fromkeys(images))
    if wanted:
        return topics
    # A camera's compressed pictures beside its raw ones are the same video.
    each = [topic for topic in topics if topic.removesuffix("/compressed") not in set(topics) - {topic}]
    return [topic for topic in each if steps_of(bag, topic)] or each


def namespace_of(camera: str) -> str:
    """Where a camera's steps, rewards and maps lie."""
    return camera.removesuffix("/compressed").rpartition("/")[0]


def steps_of(bag: AnyReader, camera: str) -> list[Connection]:
    """The steps beside a camera."""
    inside = namespace_of(camera)
    return [c for c in bag.connections if c.msgtype == STEP and c.topic.rpartition("/")[0] == inside]


def _is_colour(topic: str) -> bool:
    return topic.rpartition("/")[2] not in ("compressedDepth", "theora", "likelihood_map")


@contextmanager
def opened(path: Path) -> Iterator[AnyReader]:
    """A bag to read from. Raises ModelError where it is damaged, now or while it is read."""
    if not (path / "metadata.yaml").is_file():
        raise ModelError("its recording was not finished, metadata.yaml is missing: run `ros2 bag reindex` on it")
    try:
        with AnyReader([path], default_typestore=get_typestore(Stores.ROS2_KILTED)) as bag:
            yield bag
    except ModelError:
        raise
    except Exception as error:  # The readers below raise whatever damaged bytes lead them to, assertions included.
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"it cannot be read as a bag: {why}") from error


def read_steps(bag: AnyReader, steps: Sequence[Connection]) -> Iterator[tuple[int, Any, int]]:
    """Steps as they were recorded, repeated ones included: their stamps, messages, and times of recording."""
    if STEP not in bag.typestore.fielddefs:
        raise ModelError(f"it has {STEP} messages without their definition: record with MCAP, or ROS 2 Iron or later")
    for connection, received, data in bag.messages(steps):
        step: Any = bag.deserialize(data, connection.msgtype)
        yield nanoseconds(step.header.stamp), step, received


def _episodes(bag: AnyReader, steps: Sequence[Connection]) -> list[Episode]:
    episodes: list[Episode] = []
    for stamp, step, received in read_steps(bag, steps):
        if step.is_first and not (episodes and episodes[-1].first_stamp == stamp):
            episodes.append(Episode(stamp, stamp, received, received, 1))
        elif episodes and stamp > episodes[-1].last_stamp:  # A step that is published again counts once.
            last = episodes[-1]
            episodes[-1] = dataclasses.replace(last, last_stamp=stamp, end=received, steps=last.steps + 1)
    return episodes


def _pictures(bag: AnyReader, video: BagVideo) -> Iterator[tuple[np.ndarray, float]]:
    """Frames, uint8 [height, width, 3], and their seconds."""
    connections = [c for c in bag.connections if c.topic == video.topic]
    window: dict[str, int] = {}
    if video.episode:
        window = {"start": video.episode.begin - MOST_APART, "stop": video.episode.end + MOST_APART}
    seen: set[int] = set()
    for connection, received, data in bag.messages(connections, **window):
        message: Any = bag.deserialize(data, connection.msgtype)
        stamp = nanoseconds(message.header.stamp)
        if video.episode and not video.episode.first_stamp <= stamp <= video.episode.last_stamp:
            continue
        if stamp in seen:
            continue
        seen |= {stamp} if stamp else set()  # Some cameras stamp nothing.
        yield rgb(message), (stamp or received) / 1e9


def nanoseconds(stamp: Any) -> int:
    """A stamp as one number."""
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)
