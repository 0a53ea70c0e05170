"""The stages of a training, made for a model and its videos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from viper_model.video_model.fit.background import Background
from viper_model.video_model.fit.sampler import BackgroundSampler, ClipSampler, Sampler
from viper_model.video_model.fit.schedule import TrainingSchedule
from viper_model.video_model.fit.stages import CodeModelStage, PatchesStage, Stage, VQGANStage
from viper_model.video_model.tokenizers.patches import Patches
from viper_model.video_model.tokenizers.vqgan import VQGAN
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.dataset import Dataset, FrameSet, Video
from viper_model.videos.find import BACKGROUND, EXPERT

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
    others = dataset.select(BACKGROUND, held_out=False) if background == "recorded" else []

    def sampler(videos: Sequence[Video]) -> ClipSampler:
        return ClipSampler(
            lengths=[len(video.frames) for video in videos],
            tasks=[model.task_index(video.task) for video in videos],
            clip_frames=schedule.code_model.clip_frames,
            frame_skip=model.frame_skip,
        )

    def code_model_stage(
        name: str, videos: tuple[list[Video], list[Video]], steps: int, make: Callable[[ClipSampler], Sampler]
    ) -> CodeModelStage:
        kept = model.code_model if name == "code_model" else model.background_model()
        train, held = (make(sampler(each)) for each in videos)
        codes = EncodedFrames(model, *videos)
        return CodeModelStage(name, fabric, kept, schedule.code_model, steps, train, held, codes)

    def as_they_are(clips: ClipSampler) -> Sampler:
        return clips

    def not_the_task(clips: ClipSampler) -> Sampler:
        return BackgroundSampler(clips, made=background == "made")

    stages: list[Stage] = [_tokenizer_stage(fabric, model, schedule, [*experts, *others], held_out, seed)]
    stages.append(code_model_stage("code_model", (experts, held_out), schedule.code_model.steps, as_they_are))
    if background != "none":
        videos = (others, dataset.select(BACKGROUND)) if others else (experts, held_out)
        stages.append(code_model_stage("background", videos, schedule.code_model.background_steps, not_the_task))
    return stages


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
