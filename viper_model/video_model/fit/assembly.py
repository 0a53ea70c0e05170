"""The stages of a training, made for a model and its videos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from viper_model.errors import ModelError
from viper_model.video_model.fit.background import RECORDED, Background
from viper_model.video_model.fit.sampler import (
    BackgroundSampler,
    ClipSampler,
    MadeBackgroundSampler,
    Sampler,
)
from viper_model.video_model.fit.schedule import TrainingSchedule
from viper_model.video_model.fit.stages import CodeModelStage, PatchesStage, Stage, VQGANStage
from viper_model.video_model.tokenizers.patches import Patches
from viper_model.video_model.tokenizers.vqgan import VQGAN
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.dataset import Dataset, FrameSet, Video
from viper_model.videos.find import BACKGROUND, EXPERT
from viper_model.videos.stillness import approach, resting_frames, stays

if TYPE_CHECKING:
    from lightning_fabric import Fabric

ENCODED_AT_ONCE = 512
"""Frames."""


@dataclass(frozen=True)
class Approach:
    """An expert's video before it comes to rest, `shortest` frames or more."""

    video: Video
    resting: int
    """Frames at the video's end."""
    shortest: int

    @property
    def task(self) -> str:
        return self.video.task

    @property
    def frames(self) -> np.ndarray:
        """uint8 [time, height, width, 3]."""
        return approach(self.video.frames, self.resting, self.shortest)


class EncodedFrames:
    """The codes of videos' frames, made when they are first asked for: int16, two bytes a token stay in memory."""

    def __init__(
        self, model: VideoModel, trained_on: Sequence[Video | Approach], held_out: Sequence[Video | Approach]
    ) -> None:
        self._model = model
        self._videos = (trained_on, held_out)
        self._codes: tuple[Tensor, Tensor] | None = None

    def __call__(self) -> tuple[Tensor, Tensor]:
        """Of the videos trained on, and of those held out: int16 [frames, tokens] each."""
        if self._codes is None:
            trained_on, held_out = (self._encode(videos) for videos in self._videos)
            self._codes = trained_on, held_out
        return self._codes

    def _encode(self, videos: Sequence[Video | Approach]) -> Tensor:
        device = self._model.device
        chunks = [
            self._model.tokenizer.encode(
                torch.from_numpy(video.frames[begin : begin + ENCODED_AT_ONCE].copy()).to(device)
            )
            for video in videos
            for begin in range(0, len(video.frames), ENCODED_AT_ONCE)
        ]
        return torch.cat([chunk.flatten(1).short().cpu() for chunk in chunks])


def make_stages(
    fabric: Fabric, model: VideoModel, dataset: Dataset, schedule: TrainingSchedule, background: Background, seed: int
) -> list[Stage]:
    """The stages of a training, in order."""
    experts, held_out = (dataset.select(EXPERT, held_out=each) for each in (False, True))
    others = dataset.select(BACKGROUND, held_out=False) if background in RECORDED else []
    clip_frames = schedule.code_model.clip_frames

    def sampler(videos: Sequence[Video | Approach]) -> ClipSampler:
        tasks = [model.task_index(video.task) for video in videos]
        return ClipSampler([len(video.frames) for video in videos], tasks, clip_frames, model.frame_skip)

    tokenizer = _tokenizer_stage(fabric, model, schedule, [*experts, *others], held_out, seed)
    codes = EncodedFrames(model, experts, held_out)
    of_code_model = schedule.code_model
    clips = sampler(experts), sampler(held_out)
    task = CodeModelStage("code_model", fabric, model.code_model, of_code_model, of_code_model.steps, *clips, codes)
    if background == "none":
        return [tokenizer, task]
    if background == "made":
        samplers: tuple[Sampler, Sampler] = (
            MadeBackgroundSampler(sampler(experts)),
            MadeBackgroundSampler(sampler(held_out)),
        )
    else:
        remembered, shortest = (n * model.frame_skip for n in (model.config.code_model.context, clip_frames))
        recorded = [
            _recorded(sampler, background, dataset.select(BACKGROUND, held_out=apart), of_task, remembered, shortest)
            for apart, of_task in ((False, experts), (True, held_out))
        ]
        samplers = (recorded[0][0], recorded[1][0])
        codes = EncodedFrames(model, recorded[0][1], recorded[1][1])
    not_the_task = CodeModelStage(
        "background",
        fabric,
        model.background_model(),
        of_code_model,
        of_code_model.background_steps,
        *samplers,
        codes,
    )
    return [tokenizer, task, not_the_task]


def _recorded(
    sampler: Callable[[Sequence[Video | Approach]], ClipSampler],
    background: Background,
    others: Sequence[Video],
    experts: Sequence[Video],
    remembered: int,
    shortest: int,
) -> tuple[Sampler, Sequence[Video | Approach]]:
    """How clips of recorded background are drawn, and the videos that it indexes. remembered, shortest: see
    `_approaches`."""
    clips = sampler(others)
    held = torch.arange(clips.frames)
    if background == "recorded":
        return BackgroundSampler(clips, (held,)), others
    if background == "recorded_and_stills":
        # Standing still on the way is not what was asked for, and where an expert stays it may be.
        moving = np.concatenate([np.zeros(0, bool), *(~stays(video.frames) for video in experts)]).nonzero()[0]
        stills = (held, torch.from_numpy(moving) + clips.frames) if len(moving) else (held,)
        return BackgroundSampler(clips, stills), [*others, *experts]
    approaches = _approaches(experts, remembered, shortest)
    of_experts = sampler(approaches)
    stills = (held, torch.arange(of_experts.frames) + clips.frames)
    return BackgroundSampler(clips, stills, of_experts), [*others, *approaches]


def _approaches(experts: Sequence[Video], remembered: int, shortest: int) -> list[Approach]:
    """Of the videos that end at rest for `remembered` frames or more, those that a code model looks back over, each
    `shortest` frames or more. Raises ModelError where most don't."""
    resting = [(video, resting_frames(video.frames)) for video in experts]
    approaches = [Approach(video, frames, shortest) for video, frames in resting if frames >= remembered]
    if 2 * len(approaches) < len(experts):
        raise ModelError(
            f"{len(approaches)} of {len(experts)} expert videos end at rest for {remembered} frames: film on when the "
            "task is done (record.hold_steps), or choose another background than recorded_and_approaches"
        )
    return approaches


def _tokenizer_stage(
    fabric: Fabric,
    model: VideoModel,
    schedule: TrainingSchedule,
    videos: Sequence[Video],
    held_out: Sequence[Video],
    seed: int,
) -> Stage:
    if isinstance(model.tokenizer, Patches):
        return PatchesStage(model.tokenizer, FrameSet(videos), seed)
    assert isinstance(model.tokenizer, VQGAN)
    return VQGANStage(fabric, model.tokenizer, schedule.tokenizer, FrameSet(videos), FrameSet(held_out))
