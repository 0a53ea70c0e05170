"""Open-loop predictions: how a video goes on from its first frame, as the models think and as it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from viper_lab.evaluation.cross_embodiment.kept import kept
from viper_lab.evaluation.cross_embodiment.scoring import Asked, videos_told
from viper_lab.results.imagine import Rollout
from viper_model.reward.check import JudgedVideo
from viper_model.reward.rollout import imagine

VIDEOS = 2
"""Of each pair."""
STEPS = 20
"""Frames imagined, the model's frame_skip apart."""
SAMPLES = 2

Rollouts = dict[str, list[Rollout]]
"""By who was asked: a rollout of each video."""


def roll_out(path: Path, asked: Mapping[str, Asked], experts: Sequence[JudgedVideo]) -> Rollouts:
    """From the first frame of the first VIDEOS of `experts`; kept at `path`. Raises ModelError."""
    videos = list(experts[:VIDEOS])
    made_of = {
        "asked": {who: [each.sha256, each.label] for who, each in asked.items()},
        "videos": videos_told({"": videos}),
        "how": [STEPS, SAMPLES],
    }

    def make() -> dict[str, np.ndarray]:
        return {
            f"{who}/{number}": _imagine(each, video, number)
            for who, each in asked.items()
            for number, video in enumerate(videos)
        }

    imagined = kept(path, made_of, make)
    rollouts: Rollouts = {who: [] for who in asked}
    for who, each in asked.items():
        for number, video in enumerate(videos):
            counted = video.frames[:: each.model.frame_skip]  # [time, height, width, 3]
            rollouts[who].append(
                Rollout(str(number), each.label, counted[:1], counted[1 : 1 + STEPS], imagined[f"{who}/{number}"])
            )
    return rollouts


def _imagine(asked: Asked, video: JudgedVideo, seed: int) -> np.ndarray:
    generator = torch.Generator(asked.model.device).manual_seed(seed)
    return imagine(asked.model, video.frames[:1], asked.label, STEPS, SAMPLES, generator)


def mean_errors(rollouts: Sequence[Rollout], measure: str, *, still: bool = False) -> np.ndarray:
    """PSNR or SSIM by step, mean over samples and videos that last as long, float64 [STEPS]; NaN where none does.

    measure: psnr or ssim. still: of repeating the given frame instead of what was imagined.
    """
    rows = np.full((len(rollouts), STEPS), np.nan)
    for row, rollout in zip(rows, rollouts, strict=True):
        values = getattr(rollout.errors_of_a_still_picture if still else rollout.errors, measure).mean(0)  # [steps]
        row[: len(values)] = values
    lasting = ~np.isnan(rows).all(0)
    means = np.full(STEPS, np.nan)
    means[lasting] = np.nanmean(rows[:, lasting], 0)
    return means
