"""Videos with known motion: a bright square slides over a dark ground, two pixels a frame."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from viper_model.video_model.fit import example_videos
from viper_model.video_model.fit.schedule import SCHEDULES, CodeModelSchedule, TokenizerSchedule, TrainingSchedule
from viper_model.video_model.sizes import CODE_MODELS, SIZES, Size, VideoModelConfig
from viper_model.video_model.tokenizers.patches import PatchesConfig
from viper_model.video_model.tokenizers.vqgan import VQGANConfig
from viper_model.video_model.video_model import VideoModel
from viper_model.video_model.videogpt import VideoGPTConfig

MICRO = VideoModelConfig(
    VQGANConfig(image_size=16, channels=(8, 16), blocks=1, codes=16, code_dim=4),
    VideoGPTConfig(context=3, layers=2, width=32, heads=2, dropout=0.1),
    frame_skip=1,
)


PATCHES = PatchesConfig(image_size=16, codes=8, patch=4)
"""The slides below have ten different patches."""


@pytest.fixture
def micro(monkeypatch: pytest.MonkeyPatch) -> None:
    micro_size(monkeypatch)


def micro_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """A size named `micro` that trains in seconds, and short example videos: sampling one takes longer than some
    trainings here."""
    monkeypatch.setattr(example_videos, "IMAGINED", 4)
    size = Size({"patches": PATCHES, "vqgan": MICRO.tokenizer}, MICRO.code_model, MICRO.frame_skip)
    monkeypatch.setitem(SIZES, "micro", size)
    schedule = TrainingSchedule(
        TokenizerSchedule(steps=200, batch=16, rate=4e-3, adversarial_start=190, discriminator_width=8),
        CodeModelSchedule(steps=250, background_steps=150, batch=8, rate=4e-3, clip_frames=6, ema_decay=0.98),
    )
    monkeypatch.setitem(SCHEDULES, "micro", schedule)


def sliding_square(rng: np.random.Generator, time: int, order: np.ndarray | None = None) -> np.ndarray:
    """uint8 [time, 16, 16, 3]. order: the time steps of the slide that the frames show, 0, 1, 2, … where None."""
    time_steps = np.arange(time) if order is None else order
    video = np.full((time, 16, 16, 3), 20, np.uint8)
    row, column = 2 * rng.integers(0, 6), 2 * rng.integers(0, 8)
    columns = (column + 2 * time_steps[:, None] + np.arange(4)) % 16  # [time, 4]
    video[np.arange(time)[:, None], row : row + 4, columns] = [230, 180, 60]
    return video


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """A data folder: expert videos slide, random videos jump, noisy videos jump a third of the time."""
    rng = np.random.default_rng(0)
    for behaviour, number, noise in (("expert", 10, 0.0), ("random", 4, 1.0), ("noisy", 4, 0.3)):
        folder = tmp_path / "videos" / "slide" / behaviour
        folder.mkdir(parents=True)
        for video in range(number):
            jump = rng.random(40) < noise
            order = np.where(jump, rng.integers(0, 8, 40), np.arange(40))
            np.savez(folder / f"{video}.npz", image=sliding_square(rng, 40, order), task_reward=1.0 - jump)
    return tmp_path / "videos"


@pytest.fixture(params=CODE_MODELS)
def model(request: pytest.FixtureRequest) -> VideoModel:
    """An untrained model of two tasks and a background, its weights large enough for all parts to make a difference."""
    torch.manual_seed(0)
    kind, _ = CODE_MODELS[request.param]
    config = dataclasses.replace(MICRO, code_model=kind(**dataclasses.asdict(MICRO.code_model)))
    model = VideoModel(config, ("slide", "jump"), background=True)
    for code_model in (model.code_model, model.background_model()):
        for parameter in code_model.parameters():
            parameter.data.add_(0.2 * torch.randn_like(parameter))
    return model
