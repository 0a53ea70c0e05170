"""What the reward means: r_t = ln p(x_t | x_<t, task), and what a video model must answer to give it.

Frames are uint8 [..., height, width, 3] RGB; a frame is a grid of codes; likelihoods are float32 nats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor


class Stream(Protocol):
    """Several independent videos, each scored frame by frame as its frames arrive."""

    def step(self, index: Tensor, frames: Tensor, task: Tensor, is_first: Tensor) -> Tensor:
        """Score the next frame of videos `index`.

        index: int64 [n], which of the videos, none twice. frames: uint8 [n, height, width, 3]. task: int64 [n].
        is_first: bool [n], this frame begins a new episode: what came before it is forgotten.
        Returns the log-probability of each code of each frame, float32 [n, rows, columns]. All are on the CPU.
        """
        ...


class LikelihoodModel(Protocol):
    """A video model that can be a reward. It answers three questions; everything else is built on them."""

    tasks: tuple[str, ...]
    image_size: int
    """Frames are square, this many pixels a side."""
    context: int
    """T, the frames that a frame is predicted from, itself included."""
    frame_skip: int
    """Only every frame_skip-th frame counts as the past of a frame."""

    def log_probs(self, frames: Tensor, task: Tensor) -> Tensor:
        """How likely was each frame of these clips?

        frames: uint8 [batch, time, height, width, 3], from the first frame of an episode on. task: int64 [batch].
        Returns the log-probability of each code given what came before it, float32 [batch, time, rows, columns].
        """
        ...

    def stream(self, videos: int) -> Stream:
        """How likely is the frame that has just arrived? The same numbers as `log_probs`, a frame at a time."""
        ...

    def imagine(self, frames: Tensor, task: Tensor, steps: int, generator: torch.Generator) -> Tensor:
        """What comes next? Sampled frames after the given ones, uint8 [batch, steps, height, width, 3]."""
        ...


def conditional(code_log_probs: Tensor) -> Tensor:
    """ln p(x_t | x_<t, task): the paper's reward (Escontrela et al. 2023, eq. 2).

    [..., time, rows, columns] → [..., time], nats a frame.
    """
    return code_log_probs.sum((-2, -1))


def joint(code_log_probs: Tensor, context: int) -> Tensor:
    """The mean of `conditional` over the `context` frames up to t, or as many as there are: the reference code's joint
    likelihood in the unit of one frame.

    [..., time, rows, columns] → [..., time], nats a frame.
    """
    frame = conditional(code_log_probs)  # [..., time]
    total = frame.cumsum(-1)
    window = total.clone()
    window[..., context:] -= total[..., :-context]
    frames = torch.arange(1, frame.shape[-1] + 1, device=frame.device).clamp(max=context)
    return window / frames


def likelihood_map(code_log_probs: np.ndarray) -> np.ndarray:
    """Which part of the picture surprised the model, brighter for likelier, as in the paper's last figure.

    float32 [rows, columns] in nats, at most 0 → uint8 [rows, columns]: each code's probability on a scale of its
    log, from black at e^-8 or less to white at 1.
    """
    return (255 * (1 + code_log_probs / 8).clip(0, 1)).astype(np.uint8)


@dataclass(frozen=True)
class Calibration:
    """How likely held-out clips of one task are, by kind: quantiles of the conditional likelihood a frame, in nats."""

    LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)

    quantiles: dict[str, tuple[float, ...]]
    """The quantiles at LEVELS of `expert`, `frozen`, `reversed`, `shuffled` and, where recorded, `random` clips."""

    @staticmethod
    def of(likelihoods: dict[str, np.ndarray]) -> Calibration:
        """Measure it on the likelihoods of the frames of each kind of clip, float32 [frames]."""
        return Calibration({k: tuple(map(float, np.quantile(v, Calibration.LEVELS))) for k, v in likelihoods.items()})

    def reward(self, log_likelihood: np.ndarray) -> np.ndarray:
        """The likelihood on a scale: the median frame of a shuffled expert clip is 0 and that of an expert clip is 1.

        Shuffled clips are the zero because any videos have them: they look right and move wrong.
        """
        shuffled, expert = self.quantiles["shuffled"][2], self.quantiles["expert"][2]
        return (log_likelihood - shuffled) / max(expert - shuffled, 1.0)
