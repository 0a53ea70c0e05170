"""Scores what cameras see: frames in, rewards and likelihood maps out, at the frames' stamps."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from viper_lab.errors import UserError
from viper_lab.experiment.sections import REWARD_NODE
from viper_model.errors import ModelError
from viper_model.reward.likelihood import likelihood_map
from viper_model.reward.scorer import FrameScore, Scorer
from viper_model.torch_tools.device import torch_device
from viper_model.torch_tools.precision import slower_than_float32
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.preparation import Clock
from viper_model.videos.settings import VideoSettings
from viper_ros.messages import images
from viper_ros.msg import Reward, Step
from viper_ros.runtime.frame_times import FrameTimes
from viper_ros.runtime.join import Joiner
from viper_ros.runtime.node import Health, MessageError, ViperNode
from viper_ros.runtime.process import run_process
from viper_ros.runtime.qos import RELIABLE, UNDER_WAY
from viper_ros.runtime.stamps import joining_stamp, nanoseconds, to_stamp
from viper_ros.runtime.succession import Succession

SILENCE_SECONDS = 5.0
"""So long without a frame is worth telling."""
RECENT_SECONDS = 2.0
"""So long a frame that was dropped is told."""
PARAMETERS = REWARD_NODE


def _joiner() -> Joiner[np.ndarray, Step]:
    succession = Succession()
    return Joiner(admits=lambda image, step: succession.takes(step))


@dataclass
class Video:
    """One environment's frames on their way to their rewards."""

    joiner: Joiner[np.ndarray, Step] = field(default_factory=_joiner)
    times: FrameTimes = field(default_factory=FrameTimes)
    """Of a camera alone."""
    begins: bool = False
    """The next frame of a camera alone is a video's first."""
    waiting: deque[tuple[int, np.ndarray, Step, float]] = field(default_factory=deque)
    """Stamp, frame, step and arrival time of what isn't scored yet."""
    sent: OrderedDict[int, Reward] = field(default_factory=OrderedDict)
    """The last rewards, for a node that missed them."""
    clock: Clock | None = None
    """Which frames of a camera alone are scored; all where None."""


class RewardNode(ViperNode):
    """Subscribes to <environment>/image_raw and step; publishes <environment>/reward and likelihood_map."""

    def __init__(self, **options: Any) -> None:
        super().__init__("reward_node", PARAMETERS, **options)
        self._scored = self._dropped = self._between = self._longest_queue = 0
        self._latency: deque[float] = deque(maxlen=1000)
        self._active = False
        self._last_frame = 0.0
        self._last_dropped = -np.inf

    def configure(self) -> None:
        path = str(self.value("model"))
        if not path:
            raise UserError("no video model: set the parameter 'model' to a folder that `viper fit` made")
        self._model = VideoModel.load(Path(path).expanduser(), torch_device(self.value("device")))
        if warning := slower_than_float32(self.value("precision"), self._model.device):
            self.get_logger().warning(warning)
        self._model.prepare_for_inference(self.value("precision"))
        self._video_settings = VideoSettings.of_model(Path(path).expanduser())
        self._environments = list(self.value("environments"))
        self._with_steps = self.value("steps")
        self._reward_task = self.value("reward_task")
        if self._reward_task:
            self._model.task_index(self._reward_task)
        if not self._with_steps:
            self._task = self.value("task") or self._model.tasks[0]
            if not self.value("task") and len(self._model.tasks) > 1:
                raise UserError(f"the model knows several tasks: set 'task' to one of {', '.join(self._model.tasks)}")
            self._model.task_index(self._task)
        self._videos = [Video() for _ in self._environments]
        self._scorer = Scorer(self._model, self.value("likelihood"), len(self._videos))
        self._rewards = [self.create_publisher(Reward, f"{name}/reward", RELIABLE) for name in self._environments]
        self._maps = [self.create_publisher(Image, f"{name}/likelihood_map", RELIABLE) for name in self._environments]

    def activate(self) -> None:
        for video, name in enumerate(self._environments):
            topic = f"{name}/image_raw"
            if self._with_steps:
                self.listen(Step, f"{name}/step", partial(self._on_step, video), RELIABLE)
                self.listen(Image, topic, partial(self._on_image, video), RELIABLE)
            else:
                kind = images.kind_of(self.resolve_topic_name(topic))
                self.listen(kind, topic, partial(self._on_frame, video), qos_profile_sensor_data)
        self._active = True
        self._last_frame = monotonic()

    def deactivate(self) -> None:
        self._active = False

    def cleanup(self) -> None:
        for publisher in (*self._rewards, *self._maps):
            self.destroy_publisher(publisher)
        del self._model, self._scorer

    def claims(self) -> dict[str, type]:
        return {f"{name}/reward": Reward for name in self._environments}

    def health(self) -> Health:
        latency = np.array(self._latency) * 1e3 if self._latency else np.zeros(1)
        waiting = sum(len(video.waiting) for video in self._videos) if self._active else 0
        values = {
            "frames_scored": self._scored,
            "frames_dropped": self._dropped,
            "queue_length": waiting,
            "longest_queue": self._longest_queue,
            "latency_ms_median": round(float(np.median(latency)), 2),
            "latency_ms_p99": round(float(np.quantile(latency, 0.99)), 2),
        }
        if self._active and not self._with_steps:
            times = [video.times for video in self._videos]
            values["frames_late"] = sum(each.late for each in times)
            values["frames_again"] = sum(each.again for each in times)
            values["frames_between"] = self._between
        if self._active and waiting > 2 * len(self._videos):
            return Health(f"falling behind: {waiting} frames wait", DiagnosticStatus.WARN, values)
        if self._active and monotonic() - self._last_dropped < RECENT_SECONDS:
            told = "falling behind: frames are dropped, so what is scored seems faster than it is"
            return Health(told, DiagnosticStatus.WARN, values)
        if self._active and (slow := self._too_slow()):
            return Health(slow, DiagnosticStatus.WARN, values)
        silence = monotonic() - self._last_frame
        if self._active and silence > SILENCE_SECONDS:
            return Health(f"no frames for {silence:.0f} s", DiagnosticStatus.WARN, values)
        if self._active and (distrust := self._distrust()):
            told = f"frames count from when they come: {distrust}"
            self.get_logger().warning(told, once=True)
            return Health(told, DiagnosticStatus.WARN, values)
        return Health("keeping up" if self._active else "not active", values=values)

    def _too_slow(self) -> str:
        """Which cameras have fewer frames a second than the model's videos, and so seem to run fast."""
        for name, video in zip(self._environments, self._videos, strict=True):
            try:
                if video.clock:
                    video.clock.check()
            except ModelError as error:
                return f"{self.resolve_topic_name(f'{name}/image_raw')}: {error}"
        return ""

    def _distrust(self) -> str:
        """Which cameras' stamps don't count, and why."""
        named = zip(self._environments, self._videos, strict=True)
        cameras = [(self.resolve_topic_name(f"{name}/image_raw"), video.times.distrust) for name, video in named]
        return "; ".join(f"{topic} {why}" for topic, why in cameras if why)

    def _on_image(self, video: int, message: Image) -> None:
        self._last_frame = monotonic()
        stamp = joining_stamp(message.header)
        if not self._send_again(video, stamp):
            self._queue(video, self._videos[video].joiner.left(stamp, images.to_rgb(message)))

    def _on_frame(self, video: int, message: Image | CompressedImage) -> None:
        """A frame of a camera alone."""
        self._last_frame = monotonic()
        stamp = self._due(self._videos[video], message)
        if stamp is not None:
            self._queue_newest(video, stamp, images.to_rgb(message), message.header)

    def _on_step(self, video: int, step: Step) -> None:
        stamp = joining_stamp(step.header)
        if not self._send_again(video, stamp):
            step.task = self._reward_task or step.task
            self._queue(video, self._videos[video].joiner.right(stamp, step))

    def _send_again(self, video: int, stamp: int) -> bool:
        reward = self._videos[video].sent.get(stamp)
        if reward is not None:
            self._rewards[video].publish(reward)
        return reward is not None

    def _due(self, video: Video, message: Image | CompressedImage) -> int | None:
        """The time, in nanoseconds, of a frame of a camera alone that is the next to score, at the videos' rate."""
        now, data = self.get_clock().now().nanoseconds, np.asarray(message.data, np.uint8)
        time = video.times.take(nanoseconds(message.header.stamp), now, data)
        if time is None:
            return None
        if time.begins:
            video.begins = True
            video.clock = Clock(self._video_settings.rate) if self._video_settings.rate else None
        if video.clock and not video.clock.ticks(np.array([time.nanoseconds / 1e9]))[0]:
            self._between += 1
            return None
        return time.nanoseconds

    def _queue_newest(self, index: int, stamp: int, image: np.ndarray, header: Header) -> None:
        """Queue a frame of a camera alone in the place of those that wait."""
        video = self._videos[index]
        is_first = video.begins or any(step.is_first for _, _, step, _ in video.waiting)
        video.begins = False
        if video.waiting:
            self._dropped += len(video.waiting)
            self._last_dropped = monotonic()
            video.waiting.clear()
        self._queue(index, (stamp, image, Step(header=header, task=self._task, is_first=is_first)))

    def _queue(self, video: int, pair: tuple[int, np.ndarray, Step] | None) -> None:
        if pair is None:
            return
        stamp, image, step = pair
        try:
            self._model.task_index(step.task)
            frame = self._video_settings.of(step.task).frames(image[None], self._model.image_size)[0]
        except ModelError as error:
            raise MessageError(str(error)) from error
        waiting = self._videos[video].waiting
        waiting.append((stamp, frame, step, monotonic()))
        self._longest_queue = max(self._longest_queue, len(waiting))
        # After the frames that have already arrived: so they make one batch.
        self.soon(self._score_waiting)

    def _score_waiting(self) -> None:
        """Score the oldest waiting frame of each environment, in one batch, until none waits."""
        while batch := [(i, video.waiting.popleft()) for i, video in enumerate(self._videos) if video.waiting]:
            videos, entries = zip(*batch, strict=True)
            stamps, frames, steps, arrivals = zip(*entries, strict=True)
            scores = self._scorer.step(
                videos, np.stack(frames), [step.task for step in steps], [step.is_first for step in steps]
            )
            for video, stamp, step, arrival, score in zip(videos, stamps, steps, arrivals, scores, strict=True):
                self._publish(video, stamp, step, score)
                self._latency.append(monotonic() - arrival)
                self._scored += 1

    def _publish(self, index: int, stamp: int, step: Step, score: FrameScore) -> None:
        video = self._videos[index]
        reward = Reward(reward=score.reward, log_likelihood=score.log_likelihood)
        reward.header.stamp = to_stamp(stamp)
        reward.header.frame_id = step.header.frame_id
        video.sent[stamp] = reward
        while len(video.sent) > UNDER_WAY:
            video.sent.popitem(last=False)
        self._rewards[index].publish(reward)
        if self.value("publish_map") and self._maps[index].get_subscription_count():
            brightness = likelihood_map(score.code_log_probs)
            self._maps[index].publish(images.to_message(brightness, reward.header.stamp, step.header.frame_id))


def main() -> int:
    return run_process(RewardNode)
