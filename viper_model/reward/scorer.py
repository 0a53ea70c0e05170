"""One video, scored frame by frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from viper_model.reward.likelihood import conditional, joint, likelihood_map
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.dataset import resize


@dataclass(frozen=True)
class FrameScores:
    conditional: np.ndarray
    """ln p(x_t | x_<t, task), float32 [time], nats."""
    joint: np.ndarray
    """The same, averaged over the context, float32 [time], nats."""
    reward: np.ndarray
    """`conditional` on the task's calibrated scale, float32 [time]: 0 as shuffled, 1 as expert videos."""
    code_log_probs: np.ndarray
    """float32 [time, rows, columns], nats."""


def score(model: VideoModel, frames: np.ndarray, task: str) -> FrameScores:
    """Score a video, uint8 [time, height, width, 3] of any size, that begins with an episode's first frame.

    Raises ModelError where the model does not know the task.
    """
    index = torch.tensor([model.task_index(task)], device=model.device)
    clip = torch.tensor(resize(frames, model.image_size)).to(model.device)
    code_log_probs = model.log_probs(clip[None], index)[0].cpu()  # [time, rows, columns]
    likelihood = conditional(code_log_probs).numpy()
    return FrameScores(
        conditional=likelihood,
        joint=joint(code_log_probs, model.context).numpy(),
        reward=model.calibration[task].reward(likelihood),
        code_log_probs=code_log_probs.numpy(),
    )


def likelihood_map_video(frames: np.ndarray, code_log_probs: np.ndarray) -> np.ndarray:
    """Each frame beside its likelihood map: where the model was surprised the map is dark.

    frames: uint8 [time, height, width, 3]. code_log_probs: float32 [time, rows, columns].
    Returns uint8 [time, height, 2 × width, 3].
    """
    height, width = frames.shape[1:3]
    grey = likelihood_map(code_log_probs)  # [time, rows, columns]
    rows, columns = grey.shape[1:]
    enlarged = grey[:, np.arange(height) * rows // height][:, :, np.arange(width) * columns // width]
    return np.concatenate([frames, enlarged[..., None].repeat(3, -1)], 2)
