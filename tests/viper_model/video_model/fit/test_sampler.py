"""Which frames code models are trained on."""

from __future__ import annotations

import numpy as np
import torch

from viper_model.video_model.fit.sampler import (
    FROZEN_SHARE,
    BackgroundSampler,
    ClipSampler,
    MadeBackgroundSampler,
)

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


def kinds_of(index: torch.Tensor) -> dict[str, torch.Tensor]:
    """Which clips are of which kind, bool [clips] each."""
    step = torch.diff(index, dim=1)
    in_order = torch.diff(index.sort(1).values, dim=1)
    kinds = {"frozen": (step == 0).all(1), "reversed": (step == -SKIP).all(1), "as recorded": (step == SKIP).all(1)}
    return {**kinds, "shuffled": (in_order == SKIP).all(1) & ~kinds["reversed"] & ~kinds["as recorded"]}


def assert_shares(kinds: dict[str, torch.Tensor], expected: dict[str, float]) -> None:
    assert sum(kinds.values()).eq(1).all()  # nothing else, and nothing twice
    for kind, share in expected.items():
        error = (share * (1 - share) / len(kinds[kind])) ** 0.5
        assert abs(kinds[kind].double().mean() - share) <= 4 * error, kind


def test_made_background_is_frozen_reversed_and_shuffled_in_equal_parts() -> None:
    torch.manual_seed(0)
    clips = ClipSampler(LENGTHS, [0, 1, 0], clip_frames=4, frame_skip=SKIP)
    index, task = MadeBackgroundSampler(clips).draw(6000)
    assert not task.any()  # the background has one label
    video = np.searchsorted(np.cumsum(LENGTHS), index, side="right")
    assert (video == video[:, :1]).all()
    # Of the 24 orders of 4 frames one is as recorded and one is reversed.
    third, chance = 1 / 3, 1 / 72
    shares = {"frozen": third, "reversed": third + chance, "as recorded": chance, "shuffled": third - 2 * chance}
    assert_shares(kinds_of(index), shares)


def test_recorded_background_holds_frames_of_its_own_and_of_experts() -> None:
    torch.manual_seed(0)
    frames = sum(LENGTHS)
    experts = torch.tensor([0, 3, 4]) + frames  # behind the background's frames
    clips = ClipSampler(LENGTHS, [0, 1, 0], clip_frames=4, frame_skip=SKIP)
    index, task = BackgroundSampler(clips, (torch.arange(frames), experts)).draw(6000)
    assert not task.any()
    kinds = kinds_of(index)
    assert_shares(kinds, {"frozen": FROZEN_SHARE, "reversed": 0, "shuffled": 0, "as recorded": 1 - FROZEN_SHARE})
    assert (index[kinds["as recorded"]] < frames).all()
    held = set(index[kinds["frozen"], 0].tolist())
    assert held == {*range(frames), *experts.tolist()}
    half = (index[kinds["frozen"], 0] >= frames).double().mean()
    assert abs(half - 0.5) <= 4 * (0.25 / kinds["frozen"].sum()) ** 0.5


def test_half_of_the_background_s_clips_are_of_experts_on_their_way() -> None:
    torch.manual_seed(0)
    frames, approaches = sum(LENGTHS), [11, 9]
    clips, of_experts = (
        ClipSampler(lengths, [0] * len(lengths), clip_frames=4, frame_skip=SKIP) for lengths in (LENGTHS, approaches)
    )
    stills = torch.arange(frames), torch.arange(sum(approaches)) + frames
    index, task = BackgroundSampler(clips, stills, of_experts).draw(6000)
    assert not task.any()
    kinds = kinds_of(index)
    assert_shares(kinds, {"frozen": FROZEN_SHARE, "reversed": 0, "shuffled": 0, "as recorded": 1 - FROZEN_SHARE})
    moving = index[kinds["as recorded"]]
    video = np.searchsorted(np.cumsum([*LENGTHS, *approaches]), moving, side="right")
    assert (video == video[:, :1]).all()
    assert set(moving.flatten().tolist()) == set(range(frames + sum(approaches)))
    for half in (moving, index[kinds["frozen"]]):
        assert abs((half[:, 0] >= frames).double().mean() - 0.5) <= 4 * (0.25 / len(half)) ** 0.5


def test_any_frame_of_a_clip_may_be_the_one_that_is_held() -> None:
    torch.manual_seed(0)
    index, _ = MadeBackgroundSampler(ClipSampler([7], [0], clip_frames=4, frame_skip=2)).draw(600)
    frozen = index[(torch.diff(index, dim=1) == 0).all(1)]
    assert set(frozen[:, 0].tolist()) == {0, 2, 4, 6}
