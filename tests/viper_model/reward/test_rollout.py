from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from tests.viper_model.conftest import MICRO, sliding_square
from viper_model.errors import ModelError
from viper_model.reward.rollout import SAME_PSNR, frame_errors, imagine, montage
from viper_model.video_model.video_model import VideoModel

RNG = np.random.default_rng(0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=[1, 3])
def skipping(request: pytest.FixtureRequest) -> VideoModel:
    """An untrained model of some frame skip, its weights large enough for the past to make a difference."""
    torch.manual_seed(0)
    model = VideoModel(dataclasses.replace(MICRO, frame_skip=request.param), ("slide", "jump"))
    for parameter in model.parameters():
        parameter.data.add_(0.2 * torch.randn_like(parameter))
    return model


def test_rollouts_are_seeded(skipping: VideoModel) -> None:
    given = sliding_square(RNG, 2)
    videos = imagine(skipping, given, "jump", 4, 5, generator())
    assert videos.shape == (5, 4, 16, 16, 3)
    assert videos.dtype == np.uint8
    np.testing.assert_array_equal(videos, imagine(skipping, given, "jump", 4, 5, generator()))
    assert not np.array_equal(videos, imagine(skipping, given, "jump", 4, 5, generator(1)))
    assert not np.array_equal(videos, imagine(skipping, given, "slide", 4, 5, generator()))
    assert len({video.tobytes() for video in videos}) > 1


def test_every_sample_goes_on_from_what_was_given(skipping: VideoModel) -> None:
    """Where each code is sure, each sample is what a model without frame skip goes on with from the same past."""
    skipping.code_model.head.weight.data *= 1e4
    plain = VideoModel(dataclasses.replace(MICRO, frame_skip=1), skipping.tasks)
    plain.load_state_dict(skipping.state_dict())
    given = sliding_square(RNG, 3)
    expected = plain.imagine(torch.from_numpy(given[None]), torch.tensor([0]), 4, generator())[0].numpy()
    for video in imagine(skipping, given, "slide", 4, 4, generator()):
        np.testing.assert_array_equal(video, expected)


def slow_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Wang et al. 2004, eq. 13 with a Gaussian window of 11 and σ 1.5, on [0, 1], mirrored at the borders."""
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets**2) / (2 * 1.5**2))
    window /= window.sum()

    def blur(x: np.ndarray) -> np.ndarray:
        return correlate1d(correlate1d(x, window, 0, mode="mirror"), window, 1, mode="mirror")

    mean_a, mean_b = blur(a), blur(b)
    variance_a, variance_b, covariance = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2, blur(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    likeness = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return float((likeness / ((mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2))).mean())


def test_errors_are_those_of_the_literature() -> None:
    truth = RNG.integers(0, 256, (6, 24, 20, 3), np.uint8)
    imagined = (truth[None, :4] + RNG.integers(-60, 60, (3, 4, 24, 20, 3))).clip(0, 255).astype(np.uint8)
    errors = frame_errors(imagined, truth)
    assert errors.psnr.shape == errors.ssim.shape == (3, 4)
    for sample in range(3):
        for step in range(4):
            a, b = imagined[sample, step] / 255.0, truth[step] / 255.0
            assert errors.psnr[sample, step] == pytest.approx(-10 * np.log10(((a - b) ** 2).mean()), rel=1e-4)
            assert errors.ssim[sample, step] == pytest.approx(slow_ssim(a, b), abs=1e-4)


def test_the_truth_itself_is_without_error_and_its_end_is_the_end() -> None:
    truth = sliding_square(RNG, 5)
    errors = frame_errors(np.stack([np.concatenate([truth, truth])] * 2), truth)
    np.testing.assert_array_equal(errors.psnr, np.full((2, 5), SAME_PSNR, np.float32))
    np.testing.assert_allclose(errors.ssim, 1, atol=1e-5)


def test_a_montage_shows_each_video_in_its_place() -> None:
    videos = [[np.full((time, 4, 6, 3), 10 * time, np.uint8) for time in row] for row in ((1, 3), (2, 4), (3, 3))]
    whole = montage(videos)
    assert whole.shape == (4, 3 * 5 - 1, 2 * 7 - 1, 3)
    for i, row in enumerate(videos):
        for j, video in enumerate(row):
            cell = whole[:, 5 * i : 5 * i + 4, 7 * j : 7 * j + 6]
            np.testing.assert_array_equal(cell[: len(video)], video)
            assert (cell[len(video) :] == 0).all()
    assert (whole[:, 4] == 128).all()


@pytest.mark.parametrize(
    "change",
    [lambda videos: videos[0].pop(), lambda videos: videos[0].__setitem__(0, np.zeros((2, 5, 6, 3), np.uint8))],
)
def test_videos_that_do_not_fit_together_make_no_montage(change: Callable[[list[list[np.ndarray]]], object]) -> None:
    videos = [[np.zeros((2, 4, 6, 3), np.uint8)] * 2 for _ in range(2)]
    change(videos)
    with pytest.raises(ModelError, match="one size"):
        montage(videos)
