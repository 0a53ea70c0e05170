"""A bag, scored: its copy with the rewards, and the likelihood maps, that the reward node gives live."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import Connection, Qos
from rosbags.rosbag2 import ReaderError, Writer, WriterError
from rosbags.rosbag2.metadata import parse_qos
from rosbags.typesys import TypesysError

from viper_lab.results.score import load_for_scoring
from viper_model.errors import ModelError
from viper_model.reward.likelihood import likelihood_map
from viper_model.reward.scorer import Scorer
from viper_model.video_model.video_model import VideoModel
from viper_model.videos import rosbag
from viper_model.videos.bags.bag import Bag, opened
from viper_model.videos.bags.camera_time import CameraTime
from viper_model.videos.bags.storage import Topic
from viper_model.videos.preparation import Clock
from viper_model.videos.settings import VideoSettings
from viper_ros.bags.writing import REWARD, message_types, whole_bag

logger = logging.getLogger(__name__)


@dataclass
class Camera:
    """A video of the bag, or several one after the other, on its way to its rewards."""

    number: int
    steps: dict[int, tuple[str, bool]] | None
    """By stamp: the task, and whether an episode begins. None: a camera alone."""
    time: CameraTime | None
    """Of a camera alone."""
    task: str
    """Of a camera alone."""
    pictures: rosbag.Pictures
    rate: float | None
    """At which a camera alone is scored, Hz; every picture where None."""
    shown: int = 0
    """How many pictures have come by."""
    seen: set[int] = field(default_factory=set)
    """Stamps of steps that were scored."""
    video: int | None = None
    """The last that was scored of a camera alone."""
    clock: Clock | None = None
    begins: bool = False
    """The next picture that is scored is its video's or episode's first."""

    def time_step(self, stamp: int) -> tuple[str, bool] | None:
        """The task, and whether an episode begins; None for a picture that is not scored, or has been."""
        index, self.shown = self.shown, self.shown + 1
        if self.steps is not None:
            step = None if stamp in self.seen else self.steps.get(stamp)
            self.seen.add(stamp)
            return step
        assert self.time is not None
        video = self.time.videos[index]
        if video is None:
            return None
        first, self.video = video != self.video, video
        if first:
            self.check_rate()
            self.clock = Clock(self.rate) if self.rate else None
        if self.clock and not self.clock.ticks(np.array([self.time.seconds[index]]))[0]:
            return None
        return self.task, first

    def check_rate(self) -> None:
        """Raises ModelError where the video of a camera alone had fewer frames a second than the model's."""
        if self.clock:
            self.clock.check()


def score_bag(
    path: Path,
    out: Path,
    model: VideoModel,
    form: str,
    settings: VideoSettings,
    task: str | None,
    maps: bool = False,
) -> None:
    """Write `out`: all that the bag at `path` holds, and a viper_ros/Reward beside each frame, at the frame's stamp.

    Each camera with steps beside it is scored, episode by episode, under the steps' own task unless `task` is given; in
    a bag without steps the only camera is, or the one that `settings` names, as one video, or as several where its
    clock was set back. maps: likelihood_map too.
    Rewards and maps that the bag itself holds on those topics are not copied, nor topics of types that nobody defines:
    a line in the log names these.
    Raises ModelError for a bag that can't be read or scored, and UserError where `out` can't be written.
    """
    try:
        with opened(path) as bag, whole_bag(out) as writer:
            for topic, received, data in _scored(path, bag, writer, model, form, settings, task, maps):
                writer.write(topic, received, data)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _scored(
    path: Path,
    bag: Bag,
    writer: Writer,
    model: VideoModel,
    form: str,
    settings: VideoSettings,
    task: str | None,
    maps: bool,
) -> Iterator[tuple[Connection, int, bytes | memoryview]]:
    """The messages of the scored bag: where, when, and what."""
    names = rosbag.cameras(bag, settings.camera)
    places = {rosbag.namespace_of(name) for name in names}
    alone = not names or len(places) < len(names) or not all(rosbag.steps_of(bag, name) for name in names)
    if settings.camera or alone:
        names = [rosbag.camera_of(bag, settings.camera)]
    cameras = {name: _camera(path, bag, name, number, settings, task, model) for number, name in enumerate(names)}
    rosbag.tell_gaps(bag, path)
    store = message_types()
    beside = {name: rosbag.namespace_of(name) for name in names}
    rewards = {name: writer.add_connection(f"{beside[name]}/reward", REWARD, typestore=store) for name in names}
    shown = {}
    if maps:
        for name in names:
            shown[name] = writer.add_connection(f"{beside[name]}/likelihood_map", rosbag.RAW, typestore=store)
    ours = {each.topic for each in (*rewards.values(), *shown.values())}
    copies = _copies(path, bag, writer, [topic for topic in bag.topics if topic.name not in ours])
    images = {topic.key for name in names for topic in rosbag.images_of(bag, name)}
    scorer = Scorer(model, form, len(names))
    for topic, received, data in bag.messages(list(copies)):
        yield copies[topic], received, data
        if topic.key not in images:
            continue
        camera = cameras[topic.name]
        stamp = rosbag.stamp_of(topic, data)
        time_step = camera.time_step(stamp)
        if time_step is None:
            continue
        label, first = time_step
        camera.begins |= first
        read = camera.pictures.read(topic, data)
        if read is None:
            continue
        picture, message = read
        frame = settings.of(label).frames(picture[None], model.image_size)
        (score,) = scorer.step([camera.number], frame, [label], [camera.begins])
        camera.begins = False
        kinds = store.types
        time = kinds["builtin_interfaces/msg/Time"](*divmod(stamp, 10**9))
        header = kinds["std_msgs/msg/Header"](time, message.header.frame_id)
        yield (
            rewards[topic.name],
            received,
            store.serialize_cdr(kinds[REWARD](header, score.reward, score.log_likelihood), REWARD),
        )
        if maps:
            grey = likelihood_map(score.code_log_probs)
            map_message = kinds[rosbag.RAW](header, *grey.shape, "mono8", 0, grey.shape[1], grey.ravel())
            yield shown[topic.name], received, store.serialize_cdr(map_message, rosbag.RAW)
    for camera in cameras.values():
        camera.check_rate()
        camera.pictures.finish(path)


def _camera(
    path: Path, bag: Bag, name: str, number: int, settings: VideoSettings, task: str | None, model: VideoModel
) -> Camera:
    topics = rosbag.steps_of(bag, name)
    shots = rosbag.shots_of(bag, name)
    if not shots:
        raise ModelError(f"it has no image on {name}")
    pictures = rosbag.Pictures(bag, len(shots))
    if not topics:
        if task is None and len(model.tasks) > 1:
            raise ModelError(f"say what it shows: --task, one of {', '.join(model.tasks)}")
        time = rosbag.told_camera_time(path, name, shots)
        return Camera(number, None, time, task or model.tasks[0], pictures, settings.rate)
    steps: dict[int, tuple[str, bool]] = {}
    for stamp, step, _ in rosbag.read_steps(bag, topics):
        # What was recorded of an episode whose beginning was not recorded can't be scored.
        if steps or step.is_first:
            steps.setdefault(stamp, (task or step.task, step.is_first))
    if not any(shot.stamp in steps for shot in shots):
        raise ModelError(f"no picture on {name} has the stamp of a step on {topics[0].name}: nothing can be scored")
    rosbag.tell_unused(path, name, shots, steps)
    return Camera(number, steps, None, "", pictures, None)


def _copies(path: Path, bag: Bag, writer: Writer, topics: Sequence[Topic]) -> dict[Topic, Connection]:
    """Where in the scored bag each topic goes. Those that can't be written are left out, and named in the log."""
    copies = {}
    lost = []
    for topic in topics:
        store = bag.types_with(topic.type)
        described: dict[str, Any] = {"typestore": store}
        if topic.definition and topic.type_hash:
            described = {"msgdef": topic.definition, "rihs01": topic.type_hash}
        try:
            copies[topic] = writer.add_connection(
                topic.name,
                topic.type,
                serialization_format=topic.serialization,
                offered_qos_profiles=_profiles(topic.qos),
                **described,
            )
        except (WriterError, TypesysError, KeyError) as error:
            lost.append(f"{topic.name} ({topic.type})")
            logger.debug("%s: %s", topic.name, error)
    if lost:
        logger.warning("%s: left out of the scored bag, which can't define their types: %s", path, ", ".join(lost))
    return copies


def _profiles(qos: str) -> list[Qos]:
    """What the publishers offered; nothing where the recording doesn't say it in a way that can be read."""
    try:
        return parse_qos(qos)
    except (ReaderError, TypeError, KeyError, AttributeError):
        return []


def score_bag_to_folder(
    bag: Path,
    model_folder: Path,
    task: str | None,
    out: Path,
    *,
    form: str = "auto",
    precision: str = "float32",
    maps: bool = False,
    device: str = "cpu",
) -> Path:
    """`score_bag` into `out`/<bag>_scored with the model in a folder; returns that path. Raises as `score_bag` does."""
    model = load_for_scoring(model_folder, precision, device)
    scored = out / rosbag.scored_name(bag.resolve())
    score_bag(bag, scored, model, form, VideoSettings.of_video(bag, model_folder), task, maps)
    return scored
