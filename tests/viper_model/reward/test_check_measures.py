"""What the check adds up, worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from viper_model.reward.check import JudgedVideo, auc, clip_means, episode_return, episode_sum, still_worth
from viper_model.videos.dataset import Recording


def test_auc_counts_pairs() -> None:
    rng = np.random.default_rng(0)
    better, worse = rng.integers(0, 6, 30).astype(float), rng.integers(0, 5, 20).astype(float)
    pairs = [1.0 if b > w else 0.5 if b == w else 0.0 for b in better for w in worse]
    assert auc(better, worse) == pytest.approx(np.mean(pairs))


def test_clips_are_cut_from_scored_videos_without_overlap() -> None:
    clips = clip_means([np.arange(7.0), np.arange(10.0, 13.0)], 3)
    np.testing.assert_array_equal(clips, [1, 4, 11])


@pytest.mark.parametrize(
    ("values", "length", "resting", "expected"),
    [
        ([9, 1, 2, 3], 4, 0, 6),  # the first frame is nobody's doing
        ([9, 1, 2, 3], 3, 0, 3),  # an episode shorter than the video
        ([9, 1, 2, 3, 4, 5, 6, 7, 8], 9, 0, 36),
        ([9, 1, 2, 3, 4, 5, 6, 7, 8], 11, 0, 36 + 2 * 7.5),  # the last quarter of eight
        ([9, 1, 2, 3, 4, 5, 6, 7, 8], 11, 6, 36 + 2 * 7),  # the later half of six at rest
        ([9, 1, 2, 3, 4, 5, 6, 7, 8], 11, 1, 36 + 2 * 8),
        ([9, 1, 2, 3], 6, 0, 6 + 2 * 3),  # a quarter of three is one at least
    ],
)
def test_a_video_s_sum_over_an_episode(values: Sequence[float], length: int, resting: int, expected: float) -> None:
    assert episode_sum(np.array(values, float), length, resting) == pytest.approx(expected)


@pytest.mark.parametrize(("still", "expected"), [(6, 0), (8, 8)])
def test_a_video_is_at_rest_once_the_model_remembers_nothing_else(still: int, expected: int) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8)
    frames[-still:] = frames[-1]
    assert JudgedVideo(Recording(frames, None), np.arange(20), None).at_rest(8) == expected


@pytest.mark.parametrize(
    ("task_reward", "length", "expected"),
    [
        ([0, 0, 0, 1], 40, 1),  # solved in its last frame: nothing is paid for the 36 that follow
        ([0, 0, 0, 0], 40, 0),
        ([0, 0, 1, 1, 1], 7, 5),  # a task that pays for every frame in which it is done
    ],
)
def test_a_task_that_pays_once_pays_once(task_reward: Sequence[float], length: int, expected: float) -> None:
    assert episode_return(np.array(task_reward, float), length) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("frames", "stills"),
    [
        ([0, 0, 0.5, 1], [0, 0, 0.5, 1]),
        ([0, 1, 1, 1], [1, 1, 1, 1]),  # the first frame is worth what the next one is
        ([0, 0, 0, 1, 0, 0], [0, 0, 0, 1, 1, 1]),  # rewarded once, in the time step in which it is solved
        ([0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]),
        ([0], [0]),
    ],
)
def test_what_staying_at_a_frame_is_worth(frames: Sequence[float], stills: Sequence[float]) -> None:
    worth = still_worth(np.array(frames, float))
    assert worth is not None
    np.testing.assert_array_equal(worth, stills)
    assert still_worth(None) is None
