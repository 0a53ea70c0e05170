"""A bag, scored: its copy with the rewards, and the likelihood maps, that the reward node gives live."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection, ConnectionExtRosbag2
from rosbags.rosbag2 import Writer
from rosbags.typesys.store import Typestore

from viper_lab.results.score import load_for_scoring
from viper_model.errors import ModelError
from viper_model.reward.likelihood import Form, likelihood_map
from viper_model.reward.scorer import Scorer, chosen_form
from viper_model.video_model.video_model import VideoModel
from viper_model.videos import rosbag
from viper_model.videos.preparation import Clock
from viper_model.videos.settings import VideoSettings
from viper_model.videos.source import choose_camera
from viper_ros.bags.writing import REWARD, message_types, whole_bag


@dataclass
class Camera:
    """A video of the bag, on its way to its rewards."""

    number: int
    steps: dict[int, tuple[str, bool]] | None
    """By stamp: the task, and whether an episode begins. None: a camera alone, one video."""
    task: str
    """Of a camera alone."""
    clock: Clock | None
    """Which frames of a camera alone are scored; all where None."""
    seen: set[int] = field(default_factory=set)

    def time_step(self, stamp: int, received: int) -> tuple[str, bool] | None:
        """The task, and whether an episode begins; None for a picture that is not scored, or has been."""
        first = not self.seen
        if stamp in self.seen or (self.steps is not None and stamp not in self.steps):
            return None
        if self.clock and not self.clock.ticks(np.array([(stamp or received) / 1e9]))[0]:
            return None
        self.seen |= {stamp} if stamp else {-received}
        return (self.task, first) if self.steps is None else self.steps[stamp]


def score_bag(
    path: Path,
    out: Path,
    model: VideoModel,
    form: Form,
    settings: VideoSettings,
    task: str | None,
    maps: bool = False,
) -> None:
    """Write `out`: all that the bag at `path` holds, and a viper_ros/Reward beside each frame, at the frame's stamp.

    Each camera with steps beside it is scored, episode by episode, under the steps' own task unless `task` is given; in
    a bag without steps the only camera is, or the one that `settings` names, as one video. maps: likelihood_map too.
    Rewards and maps that the bag itself holds on those topics are not copied.
    Raises ModelError for a bag that can't be read or scored, and UserError where `out` can't be written.
    """
    try:
        with rosbag.opened(path) as bag, whole_bag(out) as writer:
            for topic, received, data in _scored(bag, writer, model, form, settings, task, maps):
                writer.write(topic, received, data)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _scored(
    bag: AnyReader,
    writer: Writer,
    model: VideoModel,
    form: Form,
    settings: VideoSettings,
    task: str | None,
    maps: bool,
) -> Iterator[tuple[Connection, int, bytes | memoryview]]:
    """The messages of the scored bag: where, when, and what."""
    names = rosbag.cameras(bag, settings.camera)
    places = {rosbag.namespace_of(name) for name in names}
    alone = not names or len(places) < len(names) or not all(rosbag.steps_of(bag, name) for name in names)
    if settings.camera or alone:
        names = [choose_camera(names, settings.camera)]
    cameras = {name: _camera(bag, name, number, settings, task, model) for number, name in enumerate(names)}
    store = message_types()
    beside = {name: rosbag.namespace_of(name) for name in names}
    rewards = {name: writer.add_connection(f"{beside[name]}/reward", REWARD, typestore=store) for name in names}
    shown = {}
    if maps:
        for name in names:
            shown[name] = writer.add_connection(f"{beside[name]}/likelihood_map", rosbag.RAW, typestore=store)
    ours = {each.topic for each in (*rewards.values(), *shown.values())}
    copies = {c.id: _copy(writer, c, bag.typestore) for c in bag.connections if c.topic not in ours}
    scorer = Scorer(model, form, len(names))
    for connection, received, data in bag.messages([c for c in bag.connections if c.id in copies]):
        yield copies[connection.id], received, data
        camera = cameras.get(connection.topic)
        if camera is None:
            continue
        message: Any = bag.deserialize(data, connection.msgtype)
        time_step = camera.time_step(rosbag.nanoseconds(message.header.stamp), received)
        if time_step is None:
            continue
        label, first = time_step
        frame = settings.of(label).frames(rosbag.rgb(message)[None], model.image_size)
        (score,) = scorer.step([camera.number], frame, [label], [first])
        kinds = store.types
        stamp = kinds["builtin_interfaces/msg/Time"](message.header.stamp.sec, message.header.stamp.nanosec)
        header = kinds["std_msgs/msg/Header"](stamp, message.header.frame_id)
        yield (
            rewards[connection.topic],
            received,
            store.serialize_cdr(kinds[REWARD](header, score.reward, score.log_likelihood), REWARD),
        )
        if maps:
            grey = likelihood_map(score.code_log_probs)
            picture = kinds[rosbag.RAW](header, *grey.shape, "mono8", 0, grey.shape[1], grey.ravel())
            yield shown[connection.topic], received, store.serialize_cdr(picture, rosbag.RAW)


def _camera(
    bag: AnyReader, name: str, number: int, settings: VideoSettings, task: str | None, model: VideoModel
) -> Camera:
    connections = rosbag.steps_of(bag, name)
    if not connections:
        if task is None and len(model.tasks) > 1:
            raise ModelError(f"say what it shows: --task, one of {', '.join(model.tasks)}")
        return Camera(number, None, task or model.tasks[0], Clock(settings.rate) if settings.rate else None)
    steps: dict[int, tuple[str, bool]] = {}
    for stamp, step, _ in rosbag.read_steps(bag, connections):
        # What was recorded of an episode whose beginning was not recorded can't be scored.
        if steps or step.is_first:
            steps.setdefault(stamp, (task or step.task, step.is_first))
    return Camera(number, steps, "", None)


def _copy(writer: Writer, connection: Connection, types: Typestore) -> Connection:
    ext = connection.ext
    assert isinstance(ext, ConnectionExtRosbag2)
    known = {"msgdef": connection.msgdef.data, "rihs01": connection.digest} if connection.msgdef.data else {}
    return writer.add_connection(
        connection.topic,
        connection.msgtype,
        typestore=types,
        serialization_format=ext.serialization_format,
        offered_qos_profiles=ext.offered_qos_profiles,
        **known,
    )


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
    scored = out / f"{bag.resolve().name}_scored"
    score_bag(bag, scored, model, chosen_form(model, form), VideoSettings.load(model_folder), task, maps)
    return scored
