"""rliable's figures against slow versions of their definitions."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rliable import metrics

from viper_lab.evaluation import statistics
from viper_lab.evaluation.statistics import RESAMPLES

SCORES = np.array([[0.1, 0.9, 1.4], [0.2, 0.5, 1.0], [0.6, 0.7, 0.0], [0.3, 0.8, 1.2]])  # [seeds, tasks]


def slow_iqm(scores: list[float]) -> float:
    """The mean of what is left when a quarter, rounded down, is cut from both ends."""
    ordered = sorted(scores)
    cut = len(ordered) // 4
    kept = ordered[cut : len(ordered) - cut]
    return sum(kept) / len(kept)


def slow_aggregates(scores: np.ndarray) -> dict[str, float]:
    means = sorted(sum(task) / len(task) for task in scores.T.tolist())
    middle = means[(len(means) - 1) // 2], means[len(means) // 2]
    flat = scores.flatten().tolist()
    return {
        "IQM": slow_iqm(flat),
        "median": sum(middle) / 2,
        "mean": sum(means) / len(means),
        "optimality gap": 1 - sum(min(score, 1) for score in flat) / len(flat),
    }


def slow_interval(scores: np.ndarray, metric: str) -> tuple[float, float]:
    """Percentiles over seeds drawn anew within each task, by another generator."""
    rng = np.random.default_rng(1)
    drawn = []
    for _ in range(RESAMPLES):
        sample = np.array([[task[rng.integers(len(task))] for _ in task] for task in scores.T]).T
        drawn.append(slow_aggregates(sample)[metric])
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def test_aggregates_are_what_they_are_defined_to_be() -> None:
    found = statistics.aggregates(SCORES)
    assert {name: float(each.value) for name, each in found.items()} == pytest.approx(slow_aggregates(SCORES))
    assert list(found) == list(statistics.METRICS)


@pytest.mark.parametrize("metric", statistics.METRICS)
def test_intervals_are_of_seeds_drawn_anew_within_each_task(metric: str) -> None:
    found = statistics.aggregates(SCORES)[metric]
    # Two samples of percentiles differ by a few per cent of the interval; seeds drawn alike in all tasks, by a third.
    low, high = slow_interval(SCORES, metric)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.08 * (high - low))


def test_tasks_are_strata_not_drawn_themselves() -> None:
    """Seeds that are all alike leave nothing to chance, however different the tasks are."""
    alike = np.tile([0.0, 0.5, 1.0], (5, 1))
    for each in statistics.aggregates(alike).values():
        assert each.low == each.high == each.value


def test_the_same_scores_have_the_same_intervals_and_nobodys_random_numbers_change() -> None:
    np.random.seed(7)
    expected = np.random.random()
    np.random.seed(7)
    first, second = statistics.aggregates(SCORES), statistics.aggregates(SCORES)
    assert first == second
    assert np.random.random() == expected


def test_one_seed_has_no_interval() -> None:
    for each in statistics.aggregates(SCORES[:1]).values():
        assert np.isfinite(each.value)
        assert np.isnan(each.low)
        assert np.isnan(each.high)


@settings(max_examples=30, deadline=None)
@given(
    arrays(float, st.tuples(st.integers(1, 4), st.just(3)), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])),
    arrays(float, st.tuples(st.integers(1, 4), st.just(3)), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])),
)
def test_the_probability_of_improvement_is_rliables(x: np.ndarray, y: np.ndarray) -> None:
    wins = [
        (a > b) + (a == b) / 2
        for task in range(3)
        for a, b in itertools.product(x[:, task].tolist(), y[:, task].tolist())
    ]
    found = statistics._share_of_wins(x, y)
    assert found == pytest.approx(sum(wins) / len(wins))
    assert found == pytest.approx(metrics.probability_of_improvement(x, y))


def test_the_probability_of_improvement_of_methods_with_other_numbers_of_seeds() -> None:
    found = statistics.probability_of_improvement(SCORES, SCORES[:2])
    assert found.value == pytest.approx(statistics._share_of_wins(SCORES, SCORES[:2]))
    assert found.low < found.value < found.high
    single = statistics.probability_of_improvement(SCORES + 10, SCORES[:1])
    assert single.value == 1
    assert np.isnan([single.low, single.high]).all(), "nothing tells how another seed of the one would do"
    certain = statistics.probability_of_improvement(SCORES + 10, SCORES[:2])
    assert (certain.value, certain.low, certain.high) == (1, 1, 1)


def test_a_profile_is_the_share_of_runs_above_each_threshold() -> None:
    thresholds = np.array([-1.0, 0.0, 0.5, 2.0])
    found = statistics.performance_profile(SCORES, thresholds)
    assert found.value.tolist() == pytest.approx([1, 11 / 12, 7 / 12, 0])
    assert (found.low <= found.value).all()
    assert (found.value <= found.high).all()


def test_the_iqm_over_time_is_the_iqm_at_each_time() -> None:
    over_time = np.stack([SCORES, SCORES**2, -SCORES], axis=-1)
    found = statistics.iqm_over_time(over_time)
    assert found.value.tolist() == pytest.approx([slow_iqm(over_time[..., t].flatten().tolist()) for t in range(3)])
    mean = statistics.mean_over_time(SCORES)
    assert mean.value.tolist() == pytest.approx([float(np.mean(column)) for column in SCORES.T])
