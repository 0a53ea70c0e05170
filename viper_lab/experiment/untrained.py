"""Models with random weights: they cost what trained ones do, and let nodes start that need some."""

from __future__ import annotations

from pathlib import Path

import torch

from viper_model.agents.registry import make_agent
from viper_model.reward.likelihood import Calibration
from viper_model.torch_tools.checkpoint import write_tensors
from viper_model.video_model.sizes import size_config
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.settings import VideoSettings


def untrained_model(folder: Path, task: str) -> None:
    """A tiny video model of one task."""
    torch.manual_seed(0)
    model = VideoModel(size_config("tiny"), (task,))
    model.calibration = {task: Calibration(dict.fromkeys(("expert", "shuffled"), (0.0, 1.0, 2.0, 3.0, 4.0)))}
    model.save(folder)
    VideoSettings().save(folder, model.tasks)


def untrained_policy(run: Path, action_size: int, image_size: int = 32) -> None:
    """A run's checkpoint with a tiny agent, for continuous actions."""
    agent = make_agent("dreamer", "tiny", "continuous", action_size, image_size, exploration_weight=0.0, seed=0)
    tensors, document = agent.state()
    write_tensors(run / "checkpoint.safetensors", tensors, {"agent": document})
