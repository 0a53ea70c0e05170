"""Scores of few runs compared as Agarwal et al. 2021 recommend ("Deep Reinforcement Learning at the Edge of the
Statistical Precipice"), by their package rliable.

Scores are float [seeds, tasks]. Intervals are of 95%, by a bootstrap that draws seeds anew within each task (the tasks
are its strata); with one seed there is nothing to draw from, and they are NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import trim_mean

from viper_lab.errors import UserError

try:
    from rliable import library, metrics
except ImportError as error:
    raise UserError("this needs rliable: pip install -r requirements/rliable.txt") from error

RESAMPLES = 2000
METRICS: dict[str, Callable[[np.ndarray], float]] = {
    "IQM": metrics.aggregate_iqm,
    "median": metrics.aggregate_median,
    "mean": metrics.aggregate_mean,
    "optimality gap": metrics.aggregate_optimality_gap,
}
"""Interquartile mean (of all runs' scores, the middle half), median and mean of the tasks' means, and how far scores
below 1 are from 1 on average: less is better."""


@dataclass(frozen=True)
class Estimate:
    """Values with their intervals: float [...] each."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def aggregates(scores: np.ndarray) -> dict[str, Estimate]:
    """Each of METRICS. scores: float [seeds, tasks]."""
    estimate = _estimate([scores], lambda drawn: np.array([metric(drawn) for metric in METRICS.values()]))
    return {name: Estimate(estimate.value[i], estimate.low[i], estimate.high[i]) for i, name in enumerate(METRICS)}


def iqm_over_time(scores: np.ndarray) -> Estimate:
    """The IQM at each of several times: float [times]. scores: float [seeds, tasks, times]."""
    return _estimate([scores], lambda drawn: trim_mean(drawn.reshape(-1, drawn.shape[-1]), 0.25))


def mean_over_time(scores: np.ndarray) -> Estimate:
    """The mean over a task's seeds at each of several times: float [times]. scores: float [seeds, times]."""
    return _estimate([scores[:, None]], lambda drawn: drawn.mean((0, 1)))


def performance_profile(scores: np.ndarray, thresholds: np.ndarray) -> Estimate:
    """The share of runs with a score above each threshold: float [thresholds]. scores: float [seeds, tasks]."""
    return _estimate([scores], lambda drawn: (drawn[..., None] > thresholds).mean((0, 1)))


def probability_of_improvement(better: np.ndarray, worse: np.ndarray) -> Estimate:
    """How likely a run of one method scores higher than one of another on the same task, a tie being half a win, on
    average over tasks: float []. better, worse: float [seeds, tasks], the seeds of each their own number."""
    estimate = _estimate([better, worse], lambda x, y: np.array([_share_of_wins(x, y)]))
    return Estimate(estimate.value[0], estimate.low[0], estimate.high[0])


def _share_of_wins(x: np.ndarray, y: np.ndarray) -> float:
    """rliable's `metrics.probability_of_improvement`, a hundred times as fast: its Mann-Whitney U over n·m."""
    pairs = np.sign(x[:, None] - y[None])  # [seeds of x, seeds of y, tasks]
    return float((pairs / 2 + 0.5).mean())


def _estimate(scores: Sequence[np.ndarray], statistic: Callable[..., np.ndarray]) -> Estimate:
    """statistic: of `scores`, arrays [seeds, ...], float [n]."""
    value = statistic(*scores)
    if min(len(each) for each in scores) == 1:
        return Estimate(value, np.full_like(value, np.nan), np.full_like(value, np.nan))
    with _numpy_seed(0):
        given: Any = scores[0] if len(scores) == 1 else list(scores)
        _, intervals = library.get_interval_estimates({"": given}, statistic, reps=RESAMPLES)
    low, high = intervals[""]
    return Estimate(value, low, high)


@contextmanager
def _numpy_seed(seed: int) -> Iterator[None]:
    """rliable draws from NumPy's global generator: the same scores have the same intervals."""
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)
