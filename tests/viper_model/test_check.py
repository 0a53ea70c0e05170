"""The check, on a model whose likelihood is known: each frame is sure to be the one before, moved on by two pixels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from viper_model.check import calibrate, check_reward, clip_log_likelihoods
from viper_model.dataset import load_dataset
from viper_model.likelihood import Stream


class KnowsTheSlide:
    tasks: tuple[str, ...] = ("slide",)
    image_size, context, frame_skip = 16, 2, 1

    def log_probs(self, frames: Tensor, task: Tensor) -> Tensor:
        expected = frames[:, :-1].roll(2, dims=3).float()
        error = (frames[:, 1:].float() - expected).abs().mean((2, 3, 4))  # [batch, time - 1]
        return -torch.nn.functional.pad(error, (1, 0))[..., None, None]

    def stream(self, films: int) -> Stream:
        raise NotImplementedError

    def imagine(self, frames: Tensor, task: Tensor, steps: int, generator: torch.Generator) -> Tensor:
        raise NotImplementedError


def test_a_model_that_knows_the_motion_passes(films: Path) -> None:
    check = check_reward(KnowsTheSlide(), load_dataset(films, 16)).tasks["slide"]
    assert check.auc == {"frozen": 1, "reversed": 1, "shuffled": 1, "random": 1}
    assert check.log_likelihood["expert"] == 0
    assert check.clips == {"expert": 2, "frozen": 2, "reversed": 2, "shuffled": 2, "random": 4}
    assert check.rank_correlation is not None
    assert check.rank_correlation > 0.9


def test_the_report_is_plain_json(films: Path) -> None:
    report = check_reward(KnowsTheSlide(), load_dataset(films, 16)).to_dict()
    assert json.loads(json.dumps(report)) == report


def test_a_model_that_knows_nothing_is_at_chance(films: Path) -> None:
    class KnowsNothing(KnowsTheSlide):
        def log_probs(self, frames: Tensor, task: Tensor) -> Tensor:
            return torch.full((*frames.shape[:2], 1, 1), -2.0)

    check = check_reward(KnowsNothing(), load_dataset(films, 16)).tasks["slide"]
    assert set(check.auc.values()) == {0.5}
    assert check.rank_correlation is None  # where all films are as likely there is no order


def test_shuffled_clips_hold_the_same_frames(films: Path) -> None:
    """A likelihood of single frames can't tell shuffled or reversed clips from expert ones."""

    class SeesSingleFrames(KnowsTheSlide):
        def log_probs(self, frames: Tensor, task: Tensor) -> Tensor:
            weights = torch.arange(16.0)
            return -(frames.float().mean(-1) * weights).mean((2, 3))[..., None, None]

    values = clip_log_likelihoods(SeesSingleFrames(), load_dataset(films, 16), "slide")
    for kind in ("reversed", "shuffled"):
        np.testing.assert_allclose(np.sort(values[kind]), np.sort(values["expert"]), rtol=1e-6)
        assert not np.array_equal(values[kind], values["expert"])
    assert (values["frozen"] == values["frozen"][:, :1]).all()


def test_calibration_puts_expert_clips_at_one_and_shuffled_at_zero(films: Path) -> None:
    dataset = load_dataset(films, 16)
    calibration = calibrate(KnowsTheSlide(), dataset)["slide"]
    values = clip_log_likelihoods(KnowsTheSlide(), dataset, "slide")
    assert np.median(calibration.reward(values["expert"])) == pytest.approx(1)
    assert np.median(calibration.reward(values["shuffled"])) == pytest.approx(0)
