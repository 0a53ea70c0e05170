"""Video models that tests of nodes and experiments need."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from viper_model.reward.likelihood import Calibration, Form
from viper_model.video_model.sizes import size_config
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.settings import VideoSettings


def save_model(folder: Path, code_model: str = "videogpt", *, background: bool = False) -> None:
    """A video model of two tasks with random weights: its likelihoods are as definite as a trained one's. A
    ratio suits both where there is a background."""
    torch.manual_seed(0)
    config = size_config("tiny", code_model=code_model)
    model = VideoModel(config, ("cartpole_balance", "cartpole_swingup"), background=background)
    quantiles = {"expert": (-9.0, -8.0, -7.0, -6.0, -5.0), "shuffled": (-99.0, -98.0, -97.0, -96.0, -95.0)}
    suited: Form = "ratio" if background else "conditional"
    model.calibration = {task: Calibration(quantiles, suited_form=suited) for task in model.tasks}
    model.save(folder)
    VideoSettings().save(folder, model.tasks)


def with_settings(model_folder: Path, folder: Path, settings: VideoSettings) -> Path:
    """A copy of a model in `folder`, whose videos had other settings."""
    shutil.copytree(model_folder, folder)
    settings.save(folder, tuple(settings.masks))
    return folder
