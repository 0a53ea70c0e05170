from __future__ import annotations

import numpy as np
import pytest

from viper_lab.evaluation.cross_embodiment import measures


def test_the_auc_is_the_share_of_pairs_in_which_the_first_is_above() -> None:
    better, worse = np.array([3.0, 1.0, 2.0]), np.array([0.0, 2.0])
    slow = np.mean([1.0 if a > b else 0.5 if a == b else 0.0 for a in better for b in worse])
    assert measures.auc(better, worse).value == slow
    assert measures.auc(worse, better).value == pytest.approx(1 - slow)
    assert measures.auc(np.ones(4), np.zeros(4)) == (1, 1, 1)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """Of 95% intervals, the bootstrap's of 20 against 20 videos are somewhat too narrow; half as often is a mistake."""
    rng = np.random.default_rng(1)
    shift = 1.0
    truth = (rng.normal(shift, 1, 100_000) > rng.normal(0, 1, 100_000)).mean()
    found = [measures.auc(rng.normal(shift, 1, 20), rng.normal(0, 1, 20)) for _ in range(100)]
    assert 85 <= sum(each.low <= truth <= each.high for each in found) <= 100
    means = [measures.mean(rng.normal(shift, 1, 20)) for _ in range(100)]
    assert 85 <= sum(each.low <= shift <= each.high for each in means) <= 100
    assert all(each.low < each.value < each.high for each in means)


def test_a_video_counts_by_its_frames_that_have_a_past() -> None:
    video = np.array([[-1000.0, -1000.0, -4.0, -6.0], [0.0, 0.0, 1.0, 3.0]], np.float32)
    assert measures.video_means([video, video[:, :3]], 2).tolist() == [[-5, -4], [2, 1]]
