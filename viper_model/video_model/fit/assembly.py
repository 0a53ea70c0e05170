"""The stages of a training, made for a model and its videos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

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
from viper_model.videos.stillness import stays

if TYPE_CHECKING:
    from lightning_fabric import Fabric

ENCODED_AT_ONCE = 512
"""Frames."""


class EncodedFrames:
    """The codes of videos' frames, made when they are first asked for: int16, two bytes a token stay in memory."""

    def __init__(self, model: VideoModel, trained_on: Sequence[Video], held_out: Sequence[Video]) -> None:
        self._model = model
        self._videos = (trained_on, held_out)
        self._codes: tuple[Tensor, Tensor] | None = None

    def __call__(self) -> tuple[Tensor, Tensor]:
        """Of the videos trained on, and of those held out: int16 [frames, tokens] each."""
        if self._codes is None:
            trained_on, held_out = (self._encode(videos) for videos in self._videos)
            self._codes = trained_on, held_out
        return self._codes

    def _encode(self, videos: Sequence[Video]) -> Tensor:
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

    def sampler(videos: Sequence[Video]) -> ClipSampler:
        return ClipSampler(
            lengths=[len(video.frames) for video in videos],
            tasks=[model.task_index(video.task) for video in videos],
            clip_frames=schedule.code_model.clip_frames,
            frame_skip=model.frame_skip,
        )

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
        held_still = background == "recorded_and_stills"
        pairs = (
            (others, experts if held_still else []),
            (dataset.select(BACKGROUND), held_out if held_still else []),
        )
        samplers = (_recorded(sampler, *pairs[0]), _recorded(sampler, *pairs[1]))
        codes = EncodedFrames(model, [*pairs[0][0], *pairs[0][1]], [*pairs[1][0], *pairs[1][1]])
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
    sampler: Callable[[Sequence[Video]], ClipSampler], others: Sequence[Video], experts: Sequence[Video]
) -> BackgroundSampler:
    """Clips of recorded background; frames that are held come from it, and from experts where those are on their way:
    standing still there is not what was asked for, and where an expert stays it may be."""
    on_their_way = [~stays(video.frames) for video in experts]
    moving = torch.from_numpy(np.concatenate([*on_their_way, np.zeros(0, bool)])).nonzero()[:, 0]
    of_others = sum(len(video.frames) for video in others)
    stills = (torch.arange(of_others), moving + of_others) if len(moving) else (torch.arange(of_others),)
    return BackgroundSampler(sampler(others), stills)


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
