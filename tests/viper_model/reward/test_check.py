"""The check, on a model whose likelihood is known: each frame is sure to be the one before, moved on by two pixels."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.viper_model.conftest import sliding_square
from viper_model.errors import ModelError
from viper_model.reward import check as check_module
from viper_model.reward.check import (
    auc,
    calibrate,
    check_reward,
    clip_likelihoods,
    judged_videos,
    log_likelihoods,
    value_order_correlation,
)
from viper_model.reward.likelihood import Calibration, Stream
from viper_model.videos.dataset import Dataset, load_dataset

SCALE = Calibration({"expert": (0.0,) * 5, "shuffled": (-20.0,) * 5})


class KnowsTheSlide:
    tasks: tuple[str, ...] = ("slide",)
    image_size, context, frame_skip = 16, 2, 1

    def __init__(self) -> None:
        self.calibration = dict.fromkeys(self.tasks, SCALE)

    def log_probs(self, frames: Tensor, task: Tensor) -> Tensor:
        expected = frames[:, :-1].roll(2, dims=3).float()
        error = (frames[:, 1:].float() - expected).abs().mean((2, 3, 4))  # [batch, time - 1]
        return -torch.nn.functional.pad(error, (1, 0))[..., None, None]

    def stream(self, videos: int) -> Stream:
        raise NotImplementedError

    def imagine(self, frames: Tensor, task: Tensor, steps: int, generator: torch.Generator) -> Tensor:
        raise NotImplementedError


class LikesStillPictures(KnowsTheSlide):
    """Each frame is sure to be the one before: the likeliest video is a still picture."""

    def log_probs(self, frames: Tensor, task: Tensor) -> Tensor:
        error = frames.float().diff(dim=1).abs().mean((2, 3, 4))
        return -torch.nn.functional.pad(error, (1, 0))[..., None, None]


class KnowsNothing(KnowsTheSlide):
    def log_probs(self, frames: Tensor, task: Tensor) -> Tensor:
        return torch.full((*frames.shape[:2], 1, 1), -2.0)


class SeesSingleFrames(KnowsTheSlide):
    def log_probs(self, frames: Tensor, task: Tensor) -> Tensor:
        weights = torch.arange(16.0)
        return -(frames.float().mean(-1) * weights).mean((2, 3))[..., None, None]


@pytest.fixture
def data(videos: Path) -> Dataset:
    return load_dataset(videos, 16)


def test_a_model_that_knows_the_motion_passes(data: Dataset) -> None:
    check = check_reward(KnowsTheSlide(), data).tasks["slide"]
    assert list(check.kinds) == ["expert", "frozen_start", "frozen_anywhere", "reversed", "shuffled", "noisy", "random"]
    assert {kind: k.videos for kind, k in check.kinds.items()} == dict.fromkeys(check.kinds, 2) | {
        "noisy": 4,
        "random": 4,
    }
    assert check.clip_frames == 40
    for kind, k in check.kinds.items():
        assert k.video_auc == k.clip_auc == (None if kind == "expert" else 1)
    assert check.kinds["expert"].log_likelihood == 0
    assert check.kinds["expert"].reward == (1,) * 5
    assert check.kinds["expert"].value_order_correlation == pytest.approx(1)
    assert check.return_correlation is not None
    assert check.return_correlation > 0.9
    assert check.verdict.text == (
        "Usable with a warning. Only 2 expert videos held out: these numbers are coarse, record more."
    )


def test_it_says_so_when_standing_still_would_win(data: Dataset) -> None:
    check = check_reward(LikesStillPictures(), data).tasks["slide"]
    assert check.kinds["frozen_start"].video_auc == 0
    assert check.verdict.level == "not usable"
    assert "Standing still would win" in check.verdict.text


def test_a_model_that_knows_nothing_is_at_chance_and_not_usable(data: Dataset) -> None:
    check = check_reward(KnowsNothing(), data).tasks["slide"]
    assert {k.video_auc for kind, k in check.kinds.items() if kind != "expert"} == {0.5}
    assert check.return_correlation is None  # where all videos are as likely there is no order
    assert check.verdict.level == "not usable"


def test_the_result_is_plain_json(data: Dataset) -> None:
    document = check_reward(KnowsTheSlide(), data).to_dict()
    assert json.loads(json.dumps(document))["tasks"]["slide"]["verdict"]["level"] == "usable with a warning"
    assert "log_likelihoods" not in document["tasks"]["slide"]


def test_wrong_videos_are_made_of_the_experts_frames(data: Dataset) -> None:
    kinds = judged_videos(data, "slide", ("slide",))
    for expert, start, anywhere, reverse, shuffled in zip(
        *(kinds[k] for k in ("expert", "frozen_start", "frozen_anywhere", "reversed", "shuffled")), strict=True
    ):
        frames = expert.frames
        assert (start.frames == frames[0]).all()
        assert (anywhere.frames == anywhere.frames[0]).all()
        assert (anywhere.frames[0] == frames).all((1, 2, 3)).any()
        np.testing.assert_array_equal(reverse.frames[::-1], frames)
        np.testing.assert_array_equal(np.sort(shuffled.order), expert.order)
        assert (shuffled.order != expert.order).any()
    assert [f.order.tolist() for f in judged_videos(data, "slide", ("slide",))["shuffled"]] == [
        f.order.tolist() for f in kinds["shuffled"]
    ]


def test_the_order_of_frames_can_not_be_told_by_single_frames(data: Dataset) -> None:
    values = log_likelihoods(SeesSingleFrames(), data, "slide")
    for kind in ("reversed", "shuffled"):
        for wrong, right in zip(values[kind], values["expert"], strict=True):
            np.testing.assert_allclose(np.sort(wrong), np.sort(right), rtol=1e-6)
    check = check_reward(SeesSingleFrames(), data).tasks["slide"]
    assert check.kinds["shuffled"].video_auc == 0.5


def test_shuffling_shows_where_an_expert_stands_still_for_most_of_a_video(tmp_path: Path) -> None:
    """Some frames of motion, then stillness, as a pendulum that is swung up and balanced."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "slide"
    folder.mkdir()
    for number in range(10):
        np.savez(folder / f"{number}.npz", image=sliding_square(rng, 200, np.minimum(np.arange(200), 23)))

    class MovesOrStands(KnowsTheSlide):
        def log_probs(self, frames: Tensor, task: Tensor) -> Tensor:
            moved = KnowsTheSlide.log_probs(self, frames, task)
            return torch.maximum(moved, LikesStillPictures.log_probs(self, frames, task))  # type: ignore[arg-type]

    check = check_reward(MovesOrStands(), load_dataset(tmp_path, 16)).tasks["slide"]
    assert check.clip_frames == 48
    # Shuffled within clips, three of the four clips of a video would not change: the AUC could not be above 0.625.
    assert check.kinds["shuffled"].clip_auc == 1
    assert check.kinds["shuffled"].video_auc == 1


def test_videos_of_another_task_are_judged_under_this_tasks_label(videos: Path) -> None:
    rng = np.random.default_rng(1)
    (videos / "jump" / "expert").mkdir(parents=True)
    for number in range(10):
        image = sliding_square(rng, 30, rng.integers(0, 8, 30))
        np.savez(videos / "jump" / "expert" / f"{number}.npz", image=image)

    class KnowsTwo(KnowsTheSlide):
        tasks = ("slide", "jump")

        def log_probs(self, frames: Tensor, task: Tensor) -> Tensor:
            assert task.tolist() == [self.tasks.index(self.judged)]
            return super().log_probs(frames, task)

        judged = "slide"

    dataset = load_dataset(videos, 16)
    result = check_reward(KnowsTwo(), dataset, ["slide"])
    assert list(result.tasks) == ["slide"]
    assert result.tasks["slide"].kinds["other_task"].videos == 2
    assert result.tasks["slide"].kinds["other_task"].video_auc == 1
    assert "other_task" not in judged_videos(dataset, "slide", ("slide",))


def test_a_behaviour_called_as_a_made_kind_is_refused(videos: Path) -> None:
    (videos / "slide" / "noisy").rename(videos / "slide" / "shuffled")
    with pytest.raises(ModelError, match="rename their folder"):
        check_reward(KnowsTheSlide(), load_dataset(videos, 16))


def test_without_held_out_experts_there_is_nothing_to_judge_by(data: Dataset) -> None:
    seen = dataclasses.replace(data, videos=tuple(video for video in data.videos if not video.held_out))
    with pytest.raises(ModelError, match="no expert videos of 'slide' were kept"):
        check_reward(KnowsTheSlide(), seen)


def test_large_data_is_judged_by_some_videos_and_their_first_frames(
    data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_module, "MOST_VIDEOS", 3)
    monkeypatch.setattr(check_module, "MOST_FRAMES", 20)
    kinds = judged_videos(data, "slide", ("slide",))
    assert len(kinds["random"]) == 3
    assert len({judged.video.name for judged in kinds["random"]}) == 3
    np.testing.assert_array_equal(kinds["expert"][0].frames, kinds["expert"][0].video.frames[:20])
    assert len(kinds["shuffled"][0].frames) == 20


def test_auc_counts_pairs() -> None:
    rng = np.random.default_rng(0)
    better, worse = rng.integers(0, 6, 30).astype(float), rng.integers(0, 5, 20).astype(float)
    pairs = [1.0 if b > w else 0.5 if b == w else 0.0 for b in better for w in worse]
    assert auc(better, worse) == pytest.approx(np.mean(pairs))


def test_clips_are_cut_from_scored_videos_without_overlap() -> None:
    clips = clip_likelihoods([np.arange(7.0), np.arange(10.0, 13.0)], 3)
    np.testing.assert_array_equal(clips, [1, 4, 11])


@pytest.mark.parametrize(
    ("reward", "expected"),
    [
        (np.ones(20), 1),
        (-np.ones(20), -1),
        (np.zeros(20), None),
        # Progress 1, 2, 3, 2, 1: ranks 1.5, 3.5, 5, 3.5, 1.5, which don't hang together with time.
        (np.array([1.0, 1, 1, -1, -1]), 0),
    ],
)
def test_value_order_correlation(reward: np.ndarray, expected: float | None) -> None:
    result = value_order_correlation(reward)
    assert result is None if expected is None else result == pytest.approx(expected, abs=1e-9)


def test_calibration_puts_expert_videos_at_one_and_shuffled_at_zero(data: Dataset) -> None:
    calibration = calibrate(KnowsTheSlide(), data)["slide"]
    values = log_likelihoods(KnowsTheSlide(), data, "slide")
    assert np.median(calibration.reward(np.concatenate(values["expert"]))) == pytest.approx(1)
    assert np.median(calibration.reward(np.concatenate(values["shuffled"]))) == pytest.approx(0)
