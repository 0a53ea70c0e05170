"""Videos that show what a model has learned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from viper_model.video_model.video_model import VideoModel
from viper_model.videos.dataset import Dataset
from viper_model.videos.find import EXPERT
from viper_model.videos.video_io import write_video

LONGEST = 1000
"""Frames of a video that is shown."""
IMAGINED = 32
"""Frames."""
RATE = 20.0
"""Hz."""


def write_example_videos(model: VideoModel, dataset: Dataset, folder: Path) -> None:
    """For each task a held-out video beside its reconstruction, and videos imagined from its first frames."""
    generator = torch.Generator(model.device).manual_seed(0)
    for task in model.tasks:
        video = dataset.select(EXPERT, task=task)[0].frames[:LONGEST].copy()
        frames = torch.from_numpy(video).to(model.device)
        reconstructed = model.tokenizer.decode(model.tokenizer.encode(frames)).cpu().numpy()
        write_video(folder / f"{task}_reconstructed.mp4", np.concatenate([video, reconstructed], 2), RATE)
        given = frames[: model.context * model.frame_skip // 2].expand(3, -1, -1, -1, -1)
        index = torch.full([3], model.task_index(task), device=model.device)
        imagined = model.imagine(given, index, IMAGINED, generator)  # [3, IMAGINED, height, width, 3]
        rollouts = torch.cat([given, imagined], 1).cpu().numpy()
        real = video[: rollouts.shape[1]]
        rollouts = rollouts[:, : len(real)]
        write_video(folder / f"{task}_imagined.mp4", np.concatenate([real, *rollouts], 2), RATE)
