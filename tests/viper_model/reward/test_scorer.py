from __future__ import annotations

import numpy as np
import pytest
import torch

from viper_model.errors import ModelError
from viper_model.reward.likelihood import Calibration
from viper_model.reward.scorer import likelihood_map_video, score
from viper_model.video_model.video_model import VideoModel


def test_a_video_of_any_size_is_scored_frame_by_frame(model: VideoModel) -> None:
    model.calibration = {"jump": Calibration({"shuffled": (-9.0,) * 5, "expert": (-1.0,) * 5})}
    video = np.random.default_rng(0).integers(0, 256, (7, 16, 16, 3), np.uint8)
    scores = score(model, video.repeat(3, 1).repeat(2, 2), "jump")
    log_probs = model.log_probs(torch.from_numpy(video)[None], torch.tensor([1]))[0].numpy()
    np.testing.assert_allclose(scores.code_log_probs, log_probs, atol=1e-4)
    np.testing.assert_allclose(scores.conditional, log_probs.sum((1, 2)), atol=1e-3)
    means = [scores.conditional[max(0, t - 2) : t + 1].mean() for t in range(7)]  # the context is 3 frames
    np.testing.assert_allclose(scores.joint, means, rtol=1e-4)
    np.testing.assert_allclose(scores.reward, (scores.conditional + 9) / 8, rtol=1e-5)
    with pytest.raises(ModelError, match="slide, jump"):
        score(model, video, "fly")


def test_surprise_darkens_its_place() -> None:
    frames = np.full((2, 8, 8, 3), 50, np.uint8)
    log_probs = np.zeros((2, 4, 4), np.float32)
    log_probs[1, 0, 3] = -20
    video = likelihood_map_video(frames, log_probs)
    assert video.shape == (2, 8, 16, 3)
    assert video.dtype == np.uint8
    assert (video[:, :, :8] == 50).all()
    assert (video[0, :, 8:] == 255).all()
    assert (video[1, :2, 14:] == 0).all()
    assert (video[1, 2:, 8:] == 255).all()
