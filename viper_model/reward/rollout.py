"""Open-loop rollouts: what a video model thinks comes next, and how far that is from what came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from viper_model.errors import ModelError
from viper_model.reward.likelihood import LikelihoodModel

SAME_PSNR = 60.0
"""dB of frames that are the same: eight bits tell no smaller difference."""


def imagine(
    model: LikelihoodModel, given: np.ndarray, task: str, steps: int, samples: int, generator: torch.Generator
) -> np.ndarray:
    """What may come after `given`, uint8 [time, height, width, 3], every model.frame_skip-th frame of a video.

    A model's frame_skip interleaved pasts know nothing of each other. They are all given the same past here, and what
    each goes on with is a sample of its own: a video that hangs together, at the rate that the model predicts.
    generator: of the model's device. Returns uint8 [samples, steps, height, width, 3].
    """
    skip = model.frame_skip
    batch = -(-samples // skip)
    past = torch.from_numpy(given).repeat_interleave(skip, 0).expand(batch, -1, -1, -1, -1)  # [batch, skip × time, …]
    index = torch.full([batch], model.tasks.index(task))
    imagined = model.imagine(past, index, steps * skip, generator)  # [batch, steps × skip, height, width, 3]
    videos = (
        imagined.unflatten(1, (steps, skip)).transpose(1, 2).flatten(0, 1)
    )  # [batch × skip, steps, height, width, 3]
    return videos[:samples].cpu().numpy()


@dataclass(frozen=True)
class FrameErrors:
    """How like the truth imagined frames are, by step. Higher is better."""

    psnr: np.ndarray
    """Peak signal-to-noise ratio, float32 [samples, steps], dB; SAME_PSNR at most."""
    ssim: np.ndarray
    """Structural similarity (Wang et al. 2004), float32 [samples, steps], at most 1."""


def frame_errors(imagined: np.ndarray, truth: np.ndarray) -> FrameErrors:
    """Compare imagined videos with what came, as long as that lasts.

    imagined: uint8 [samples, steps, height, width, 3]. truth: uint8 [time, height, width, 3].
    """
    steps = min(imagined.shape[1], len(truth))
    samples = len(imagined)
    a = _images(imagined[:, :steps].reshape(-1, *truth.shape[1:]))  # [samples × steps, 3, height, width]
    b = _images(np.tile(truth[:steps], (samples, 1, 1, 1)))
    psnr = peak_signal_noise_ratio(a, b, data_range=1.0, dim=(1, 2, 3), reduction="none")
    ssim = structural_similarity_index_measure(a, b, data_range=1.0, reduction="none")
    return FrameErrors(
        psnr.clamp(max=SAME_PSNR).reshape(samples, steps).numpy(), torch.as_tensor(ssim).reshape(samples, steps).numpy()
    )


def _images(frames: np.ndarray) -> Tensor:
    """uint8 [n, height, width, 3] → float32 [n, 3, height, width] in [0, 1]."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255


def montage(rows: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Videos as one, in rows and columns, a line between them; a video that has ended is black.

    rows: videos, uint8 [time, height, width, 3], of one size; as many in each row.
    Returns uint8 [longest time, rows × (height + 1) - 1, columns × (width + 1) - 1, 3].
    """
    if len({video.shape[1:] for row in rows for video in row}) != 1 or len({len(row) for row in rows}) != 1:
        raise ModelError("a montage needs videos of one size, as many in each row")
    height, width = rows[0][0].shape[1:3]
    time = max(len(video) for row in rows for video in row)
    whole = np.full((time, len(rows) * (height + 1) - 1, len(rows[0]) * (width + 1) - 1, 3), 128, np.uint8)
    for i, row in enumerate(rows):
        for j, video in enumerate(row):
            cell = whole[:, i * (height + 1) :, j * (width + 1) :][:, :height, :width]
            cell[: len(video)] = video
            cell[len(video) :] = 0
    return whole
