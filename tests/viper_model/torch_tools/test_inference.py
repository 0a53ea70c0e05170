"""A prepared model gives the same numbers, or in lower precision nearly the same."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from tests.viper_model.video_model.test_video_model import NATS, random_video
from viper_model.errors import ModelError
from viper_model.reward.likelihood import conditional
from viper_model.video_model.video_model import VideoModel

TASK = torch.tensor([0])


def prepared(model: VideoModel, precision: str) -> VideoModel:
    model = copy.deepcopy(model)
    model.prepare_for_inference(precision)
    return model


def streamed(model: VideoModel, video: Tensor) -> Tensor:
    """video: uint8 [time, height, width, 3] → [time, rows, columns]."""
    stream, index = model.stream(1), torch.tensor([0])
    steps = [stream.step(index, video[t : t + 1], TASK, torch.tensor([t == 0])) for t in range(len(video))]
    return torch.cat([step.task for step in steps])


def test_in_float32_nothing_changes(model: VideoModel) -> None:
    video, fast = random_video(20), prepared(model, "float32")
    assert torch.equal(fast.tokenizer.encode(video), model.tokenizer.encode(video))
    whole = model.log_probs(video[None], TASK).task[0]
    torch.testing.assert_close(streamed(fast, video), whole, atol=NATS, rtol=0)
    torch.testing.assert_close(fast.log_probs(video[None], TASK).task[0], whole, atol=NATS, rtol=0)


def test_in_bfloat16_codes_stay_and_likelihoods_hardly_move(model: VideoModel) -> None:
    video, fast = random_video(60), prepared(model, "bfloat16")
    assert torch.equal(fast.tokenizer.encode(video), model.tokenizer.encode(video))
    exact = conditional(model.log_probs(video[None], TASK).task[0])  # [time]
    for evaluated in (streamed(fast, video), fast.log_probs(video[None], TASK).task[0]):
        assert evaluated.dtype == torch.float32
        difference = conditional(evaluated) - exact
        # 2^-8, bfloat16's rounding, of logits of up to about 10, independently for the 16 codes of a frame.
        assert difference.abs().max() < 16**0.5 * 10 * 2**-8 * 3
        # What all frames share, as of masked codes that all look alike, tells none from another. Each of 5 norms, with
        # its scale and shift, and of 8 products rounds by 2^-8 at most, 0.2% in the mean: together some 0.8%.
        assert difference.std() < 0.02 * exact.std()
        assert difference.abs().max() > 0


def test_frames_are_imagined_in_bfloat16(model: VideoModel) -> None:
    imagined = prepared(model, "bfloat16").imagine(random_video(1, 4), TASK, 2, torch.Generator().manual_seed(0))
    assert imagined.shape == (1, 2, 16, 16, 3)


def test_an_unknown_precision_is_told_the_known_ones(model: VideoModel) -> None:
    with pytest.raises(ModelError, match="float32, bfloat16"):
        model.prepare_for_inference("float8")
