"""rosbag2 recordings (SQLite or MCAP, compressed or not) of a camera: raw or compressed images.

A bag is one video, or several where the camera's clock was set back in it; where it also holds `viper_ros/Step`
messages beside the images, it is a video an episode, cut at `is_first`. Where a bag has several cameras, those with
steps in their namespace are preferred. A picture that was published twice counts once.
"""

from __future__ import annotations

import dataclasses
import logging
import struct
import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from viper_model.errors import ModelError
from viper_model.videos.bags.bag import Bag, opened
from viper_model.videos.bags.bag import holds as holds
from viper_model.videos.bags.camera_time import CameraTime, Shot, camera_time
from viper_model.videos.bags.storage import END_OF_TIME, Topic
from viper_model.videos.image_messages import rgb
from viper_model.videos.source import LEAST_SHARE, Chunk, Facts, Source, choose_camera, chunks_of

logger = logging.getLogger(__name__)

NAME = "rosbag2"
RAW, STEP = "sensor_msgs/msg/Image", "viper_ros/msg/Step"
PICTURES = (RAW, "sensor_msgs/msg/CompressedImage")
"""Types of messages that hold a picture."""
TRANSPORTS = {"compressed", "compressedDepth", "theora", "zstd", "avif", "ffmpeg", "foxglove"}
"""What image_transport's plugins call the topics that they publish below a camera's own."""
SCORED = "_scored"
"""What the name of a bag ends with that `viper score` wrote."""
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


@dataclass(frozen=True, kw_only=True)
class BagVideo(Source):
    topic: str
    begin: int
    """When its first picture was received, in nanoseconds."""
    end: int
    """When its last picture was received."""
    positions: np.ndarray = field(compare=False)
    """Which of the pictures that were received from `begin` to `end` are its own: int [frames], increasing."""
    seconds: np.ndarray = field(compare=False)
    """When each of them was taken, float64 [frames]."""

    def key(self) -> tuple[object, ...]:
        return *super().key(), self.topic


class Pictures:
    """Reads a camera's pictures, and leaves out those that are damaged, as long as they are few."""

    def __init__(self, bag: Bag, total: int) -> None:
        """`total`: how many pictures there are to be read, at most."""
        self._bag = bag
        self._total = total
        self._tried = 0
        self._damage: list[str] = []

    def read(self, topic: Topic, data: bytes) -> tuple[np.ndarray, Any] | None:
        """The picture in a message, uint8 [height, width, 3], and the message; None where it is left out.

        Raises ModelError, which names the topic, where too many have been.
        """
        self._tried += 1
        try:
            message = self._bag.deserialize(topic, data)
            return picture(topic, message), message
        except ModelError as error:
            self._damage.append(str(error))
            self._refuse_if_too_many_of(self._total)
            return None

    def finish(self, path: Path) -> None:
        """Log how many were left out, and why. Raises ModelError as `read` does."""
        self._refuse_if_too_many_of(self._tried)
        if self._damage:
            count = len(self._damage)
            logger.warning("%s: %d pictures can't be read: left out, the first since %s", path, count, self._damage[0])

    def _refuse_if_too_many_of(self, pictures: int) -> None:
        if len(self._damage) > (1 - LEAST_SHARE) * pictures:
            raise ModelError(self._damage[0])


def scored_name(bag: Path) -> str:
    """What the folder is called that `viper score` makes of a bag."""
    return f"{bag.stem if bag.is_file() else bag.name}{SCORED}"


def is_scored_copy(path: Path) -> bool:
    """Whether a bag is what `viper score` made of another beside it."""
    return (
        path.name.endswith(SCORED)
        and holds(path)
        and any(scored_name(bag) == path.name and holds(bag) for bag in path.parent.iterdir())
    )


def find(path: Path, camera: str | None) -> Sequence[BagVideo]:
    with opened(path) as bag:
        topic = camera_of(bag, camera)
        shots = shots_of(bag, topic)
        tell_gaps(bag, path)
        if not shots:
            raise ModelError(f"it has no image on {topic}")
        steps = steps_of(bag, topic)
        episodes = _episodes(bag, steps) if steps else []
        if episodes:
            kept = [_in_episode(shots, episode) for episode in episodes]
            tell_unused(path, topic, shots, {shots[index].stamp for indices in kept for index in indices})
            seconds = [shot.stamp / 1e9 for shot in shots]
        else:
            time = told_camera_time(path, topic, shots)
            seconds = list(time.seconds)
            kept = [[] for _ in range(1 + max(video for video in time.videos if video is not None))]
            for index, video in enumerate(time.videos):
                if video is not None:
                    kept[video].append(index)
        files = tuple(bag.files)
    received = np.array([shot.received for shot in shots])
    videos = []
    for part, indices in enumerate(kept):
        if not indices:
            continue
        begin, end = int(received[indices].min()), int(received[indices].max())
        inside = (begin <= received) & (received <= end)
        positions = (np.cumsum(inside) - 1)[indices]
        name = f"episode_{part:05}" if episodes or len(kept) > 1 else ""
        videos.append(
            BagVideo(
                format=NAME,
                path=path,
                files=files,
                part=name,
                topic=topic,
                begin=begin,
                end=end,
                positions=positions,
                seconds=np.array(seconds)[indices],
            )
        )
    return videos


def look(source: Source) -> Facts:
    assert isinstance(source, BagVideo)
    with opened(source.path) as bag:
        first, _ = next(_pictures(bag, source))
    frames, lasted = len(source.seconds), float(source.seconds[-1] - source.seconds[0])
    return Facts(frames, (frames - 1) / lasted if lasted else None, *first.shape[:2])


def read(source: Source) -> Iterator[Chunk]:
    assert isinstance(source, BagVideo)
    with opened(source.path) as bag:
        yield from chunks_of(_pictures(bag, source))


def cameras(bag: Bag, wanted: str | None = None) -> list[str]:
    """The topics that are videos: all that have images where one is `wanted`, else those worth choosing from."""
    topics = list(dict.fromkeys(topic.name for topic in bag.topics if topic.type in PICTURES))
    if wanted:
        return topics
    raw = {topic.name for topic in bag.topics if topic.type == RAW}
    ways: dict[str, list[str]] = {}
    for topic in sorted(topics, key=lambda topic: (topic not in raw, not topic.endswith("/compressed"))):
        if topic.rpartition("/")[2] != "likelihood_map":
            ways.setdefault(_shown_by(topic, raw), []).append(topic)
    each = [_readable(bag, of_one)[0] for of_one in ways.values()]
    each = [topic for topic in each if steps_of(bag, topic)] or each
    return _readable(bag, each)


def _shown_by(topic: str, raw: Collection[str]) -> str:
    """The camera whose pictures a topic has. raw: all topics of raw images."""
    parent, _, name = topic.rpartition("/")
    return parent if topic not in raw and (parent in raw or name in TRANSPORTS) else topic


def _readable(bag: Bag, topics: list[str]) -> list[str]:
    """Of several topics those that are read, not depth nor what was there to be recorded and never came; all where
    none is."""
    return [topic for topic in topics if _begins_readable(bag, topic)] or topics if len(topics) > 1 else topics


def _begins_readable(bag: Bag, name: str) -> bool:
    """Whether a topic's first picture is one that is read."""
    try:
        topic, _, data = next(bag.messages(images_of(bag, name)))
        picture(topic, bag.deserialize(topic, data))
    except (ModelError, StopIteration):
        return False
    return True


def camera_of(bag: Bag, wanted: str | None) -> str:
    """The topic of the only camera, or of the wanted one. Raises ModelError."""
    names = cameras(bag, wanted)
    if not names:
        there = ", ".join(f"{topic.name} ({topic.type})" for topic in bag.topics) or "nothing"
        lost = "".join(f"; {gap}" for gap in bag.gaps)
        raise ModelError(f"it holds no images, {' or '.join(PICTURES)}, but {there}{lost}")
    return choose_camera(names, wanted)


def namespace_of(camera: str) -> str:
    """Where a camera's steps, rewards and maps lie."""
    return camera.removesuffix("/compressed").rpartition("/")[0]


def images_of(bag: Bag, camera: str) -> list[Topic]:
    """The topic of a camera; two where it has both kinds of images. Raises ModelError where they can't be read."""
    topics = [topic for topic in bag.topics if topic.name == camera and topic.type in PICTURES]
    for topic in topics:
        if topic.serialization != "cdr":
            raise ModelError(f"{camera} is serialized as '{topic.serialization}': ROS 2's own 'cdr' can be read")
    return topics


def steps_of(bag: Bag, camera: str) -> list[Topic]:
    """The steps beside a camera."""
    inside = namespace_of(camera)
    return [topic for topic in bag.topics if topic.type == STEP and topic.name.rpartition("/")[0] == inside]


def shots_of(bag: Bag, camera: str) -> list[Shot]:
    """When each picture of a camera was stamped and received, in the order in which they were recorded."""
    return [
        Shot(stamp_of(topic, data), received, zlib.crc32(memoryview(data)[12:]))
        for topic, received, data in bag.messages(images_of(bag, camera))
    ]


def tell_gaps(bag: Bag, path: Path) -> None:
    for gap in bag.gaps:
        logger.warning("%s: %s", path, gap)


def tell_unused(path: Path, camera: str, shots: Sequence[Shot], used: Collection[int]) -> None:
    """A line in the log on pictures of a camera whose stamps are not among the `used` ones, those of its episodes."""
    unused = sum(shot.stamp not in used for shot in shots)
    if unused:
        logger.warning("%s: %s has %d pictures that belong to no step of an episode: left out", path, camera, unused)


def told_camera_time(path: Path, camera: str, shots: Sequence[Shot]) -> CameraTime:
    """`camera_time`, with a line in the log on whatever is unusual."""
    time = camera_time(shots)
    if time.distrust:
        logger.warning("%s: %s %s: when they were received counts instead", path, camera, time.distrust)
    if time.late:
        logger.warning("%s: %s has %d pictures older than one before them: left out", path, camera, time.late)
    if time.again:
        logger.warning("%s: %s has %d pictures that are there already: left out", path, camera, time.again)
    return time


def read_steps(bag: Bag, steps: Sequence[Topic]) -> Iterator[tuple[int, Any, int]]:
    """Steps as they were recorded, repeated ones included: their stamps, messages, and times of recording."""
    if bag.types_with(STEP) is None:
        raise ModelError(f"it has {STEP} messages without their definition: record with MCAP, or ROS 2 Iron or later")
    for topic, received, data in bag.messages(steps):
        step = bag.deserialize(topic, data)
        yield nanoseconds(step.header.stamp), step, received


def _episodes(bag: Bag, steps: Sequence[Topic]) -> list[Episode]:
    episodes: list[Episode] = []
    for stamp, step, received in read_steps(bag, steps):
        if step.is_first and not (episodes and episodes[-1].first_stamp == stamp):
            episodes.append(Episode(stamp, stamp, received, received))
        elif episodes and stamp > episodes[-1].last_stamp:  # A step that is published again counts once.
            episodes[-1] = dataclasses.replace(episodes[-1], last_stamp=stamp, end=received)
    return episodes


def _in_episode(shots: Sequence[Shot], episode: Episode) -> list[int]:
    """Which pictures are an episode's."""
    begin, end = episode.begin - MOST_APART, episode.end + MOST_APART
    kept: dict[int, int] = {}
    for index, shot in enumerate(shots):
        if begin <= shot.received <= end and episode.first_stamp <= shot.stamp <= episode.last_stamp:
            kept.setdefault(shot.stamp, index)
    return list(kept.values())


def _pictures(bag: Bag, video: BagVideo) -> Iterator[tuple[np.ndarray, float]]:
    """Frames, uint8 [height, width, 3], and their seconds."""
    messages = bag.messages(images_of(bag, video.topic), video.begin, video.end)
    following = iter(zip(video.positions, video.seconds, strict=True))
    position, second = next(following)
    pictures = Pictures(bag, len(video.seconds))
    for index, (topic, _, data) in enumerate(messages):
        if index < position:
            continue
        if read := pictures.read(topic, data):
            yield read[0], float(second)
        position, second = next(following, (END_OF_TIME, 0.0))
    pictures.finish(video.path)


def stamp_of(topic: Topic, data: bytes) -> int:
    """The stamp of a message that begins with a header, in nanoseconds. Raises ModelError where it is damaged."""
    if len(data) < 12:
        raise ModelError(f"a message on {topic.name} is damaged: it has {len(data)} bytes")
    # CDR: the second byte says which end of a number comes first; the header's stamp comes before all else.
    seconds, fraction = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    return int(seconds) * 10**9 + int(fraction)


def nanoseconds(stamp: Any) -> int:
    """A stamp as one number."""
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def picture(topic: Topic, message: Any) -> np.ndarray:
    """The picture in a message, uint8 [height, width, 3]. Raises ModelError, which names the topic."""
    try:
        return rgb(message)
    except ModelError as error:
        raise ModelError(f"{topic.name}: {error}") from error
