"""Numbers with intervals, from likelihoods of frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

RESAMPLES = 1000
LEVELS = (0.025, 0.975)


class Interval(NamedTuple):
    """A number and its 95% interval by the bootstrap over videos (Efron 1979, percentiles)."""

    value: float
    low: float
    high: float


def video_means(videos: Sequence[np.ndarray], skip: int) -> np.ndarray:
    """The mean nats a frame of each video, over the frames that have a past: float32 [forms, time] each → [forms, n].

    skip: a model's frame_skip; so many first frames have no past.
    """
    return np.stack([video[:, skip:].mean(1) for video in videos], 1)


def auc(better: np.ndarray, worse: np.ndarray) -> Interval:
    """How often a value of `better` [n] is above one of `worse` [m], ties counting one half; videos of both kinds are
    resampled."""
    above = (better[:, None] > worse) + 0.5 * (better[:, None] == worse)  # [n, m]
    rng = np.random.default_rng(0)
    n, m = above.shape
    means = [above[rng.integers(n, size=n)][:, rng.integers(m, size=m)].mean() for _ in range(RESAMPLES)]
    return Interval(float(above.mean()), *map(float, np.quantile(means, LEVELS)))


def mean(values: np.ndarray) -> Interval:
    """Of values [n], one a video."""
    means = np.random.default_rng(0).choice(values, (RESAMPLES, len(values))).mean(1)
    return Interval(float(values.mean()), *map(float, np.quantile(means, LEVELS)))
