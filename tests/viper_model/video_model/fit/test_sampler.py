"""Which frames code models are trained on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from viper_model.video_model.fit.sampler import FROZEN_SHARE, BackgroundSampler, ClipSampler

LENGTHS, SKIP = [9, 20, 13], 2


def test_clips_stay_within_their_video_and_reach_all_of_it() -> None:
    torch.manual_seed(0)
    index, task = ClipSampler(LENGTHS, [0, 1, 0], clip_frames=4, frame_skip=SKIP).draw(3000)
    ends = np.cumsum(LENGTHS)
    video = np.searchsorted(ends, index, side="right")
    assert (video == video[:, :1]).all()
    assert (torch.diff(index, dim=1) == SKIP).all()
    assert np.array_equal(task, np.array([0, 1, 0])[video[:, 0]])
    assert set(index.flatten().tolist()) == set(range(sum(LENGTHS)))


def test_videos_shorter_than_a_clip_make_shorter_clips() -> None:
    index, _ = ClipSampler([5, 30], [0, 0], clip_frames=8, frame_skip=2).draw(50)
    assert index.shape == (50, 3)  # frames 0, 2 and 4 of the short video


@pytest.mark.parametrize(
    ("made", "shares"),
    [
        (True, {"frozen": 1 / 3, "reversed": 1 / 3, "shuffled": 1 / 3, "as recorded": 0}),
        (False, {"frozen": FROZEN_SHARE, "reversed": 0, "shuffled": 0, "as recorded": 1 - FROZEN_SHARE}),
    ],
)
def test_background_clips_are_of_their_kinds_and_never_leave_their_video(made: bool, shares: dict[str, float]) -> None:
    torch.manual_seed(0)
    clips, draws = ClipSampler(LENGTHS, [0, 1, 0], clip_frames=4, frame_skip=SKIP), 6000
    index, task = BackgroundSampler(clips, made=made).draw(draws)
    assert not task.any()  # the background has one label
    video = np.searchsorted(np.cumsum(LENGTHS), index, side="right")
    assert (video == video[:, :1]).all()
    step = torch.diff(index, dim=1)
    in_order = torch.diff(index.sort(1).values, dim=1)
    is_kind = {
        "frozen": (step == 0).all(1),
        "reversed": (step == -SKIP).all(1),
        "as recorded": (step == SKIP).all(1),
    }
    # A clip's own frames in another order; of the 24 orders of 4 frames one is as recorded and one is reversed.
    is_kind["shuffled"] = (in_order == SKIP).all(1) & ~is_kind["reversed"] & ~is_kind["as recorded"]
    assert sum(is_kind.values()).eq(1).all()  # nothing else, and nothing twice
    of_shuffled = shares["shuffled"] / 24
    expected = {
        "frozen": shares["frozen"],
        "reversed": shares["reversed"] + of_shuffled,
        "as recorded": shares["as recorded"] + of_shuffled,
        "shuffled": 22 * of_shuffled,
    }
    for kind, share in expected.items():
        error = (share * (1 - share) / draws) ** 0.5
        assert abs(is_kind[kind].double().mean() - share) <= 4 * error, kind


def test_any_frame_of_a_clip_may_be_the_one_that_is_held() -> None:
    torch.manual_seed(0)
    index, _ = BackgroundSampler(ClipSampler([7], [0], clip_frames=4, frame_skip=2), made=True).draw(600)
    frozen = index[(torch.diff(index, dim=1) == 0).all(1)]
    assert set(frozen[:, 0].tolist()) == {0, 2, 4, 6}
