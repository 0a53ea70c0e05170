"""Videos with known motion: a bright square slides over a dark ground, two pixels a frame."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from viper_model.video_model.fit import training as fit_module
from viper_model.video_model.tokenizers.vqgan import VQGANConfig
from viper_model.video_model.video_model import LIKELIHOODS, VideoModel, VideoModelConfig, video_model
from viper_model.video_model.videogpt import VideoGPTConfig

MICRO = VideoModelConfig(
    VQGANConfig(image_size=16, channels=(8, 16), blocks=1, codes=16, code_dim=4),
    VideoGPTConfig(context=3, layers=2, width=32, heads=2, dropout=0.1),
    frame_skip=1,
)


@pytest.fixture
def micro(monkeypatch: pytest.MonkeyPatch) -> None:
    """A size named `micro` that trains in seconds."""
    monkeypatch.setitem(video_model.SIZES, "micro", MICRO)
    schedule = dataclasses.replace(
        fit_module.SCHEDULES["tiny"],
        vqgan_steps=200,
        vqgan_batch=16,
        vqgan_rate=4e-3,
        adversarial_start=190,
        discriminator_width=8,
        code_model_steps=250,
        code_model_batch=8,
        code_model_rate=4e-3,
        clip_frames=6,
    )
    monkeypatch.setitem(fit_module.SCHEDULES, "micro", schedule)


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


@pytest.fixture(params=LIKELIHOODS)
def model(request: pytest.FixtureRequest) -> VideoModel:
    """An untrained model of two tasks, its weights large enough for all parts to make a difference."""
    torch.manual_seed(0)
    kind, _ = LIKELIHOODS[request.param]
    config = dataclasses.replace(MICRO, code_model=kind(**dataclasses.asdict(MICRO.code_model)))
    model = VideoModel(config, ("slide", "jump"))
    for parameter in model.code_model.parameters():
        parameter.data.add_(0.2 * torch.randn_like(parameter))
    return model
