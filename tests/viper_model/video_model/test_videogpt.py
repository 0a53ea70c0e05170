"""The transformer's two fast evaluations against one slow, obvious pass with a full mask."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.viper_model.video_model.slow_transformer import slow_layers
from viper_model.video_model.code_model import rotate, rotation
from viper_model.video_model.videogpt import VideoGPT, VideoGPTConfig, banded_attention

TOKENS, CODES, CONTEXT = 5, 11, 3
NATS = 1e-4
"""How exactly the evaluations agree: what the design promises for a code."""


@pytest.fixture
def videogpt() -> VideoGPT:
    torch.manual_seed(0)
    model = VideoGPT(VideoGPTConfig(context=CONTEXT, layers=2, width=32, heads=2, dropout=0.1), TOKENS, CODES, tasks=2)
    for parameter in model.parameters():  # so that every part, biases and norms included, makes a difference
        parameter.data.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def slow_logits(model: VideoGPT, codes: Tensor, task: Tensor) -> Tensor:
    """Logits of clips int64 [batch, time, tokens], from the definition of the band: [batch, time, tokens, codes]."""
    time, tokens = codes.shape[1:]
    index = torch.arange(time * tokens)
    frame = index // tokens
    visible = (index[None] <= index[:, None]) & (frame[None] > frame[:, None] - model.config.context)
    inputs = F.pad(codes.flatten(1)[:, :-1], (1, 0), value=model.no_code)
    x = slow_layers(model, inputs, frame, visible, task)
    return model.head(model.norm(x, task)).unflatten(1, (time, tokens))


def slow_log_probs(model: VideoGPT, codes: Tensor, task: Tensor) -> Tensor:
    return slow_logits(model, codes, task).log_softmax(-1).gather(-1, codes[..., None])[..., 0]


# One frame; a context less one, exactly, and one more; whole blocks; blocks and a rest.
@pytest.mark.parametrize("time", [1, 2, 3, 4, 6, 9, 14])
def test_a_banded_pass_is_the_full_mask_pass(videogpt: VideoGPT, time: int) -> None:
    codes, task = torch.randint(CODES, (2, time, TOKENS)), torch.tensor([0, 1])
    slow = slow_log_probs(videogpt, codes, task)
    torch.testing.assert_close(videogpt.log_probs(codes, task), slow, atol=NATS, rtol=0)
    with torch.no_grad():
        torch.testing.assert_close(videogpt.log_probs(codes, task), slow, atol=NATS, rtol=0)


@pytest.mark.parametrize("context", [1, 6, 8])
@pytest.mark.parametrize("time", [5, 6, 7, 8, 9, 10, 21])
def test_without_gradients_the_band_goes_by_shorter_blocks(context: int, time: int) -> None:
    q, k, v = torch.randn(3, 2, time, TOKENS, 2, 4)  # [batch, time, tokens, heads, head_dim]
    with torch.no_grad():
        inferred = banded_attention(q, k, v, context)
    torch.testing.assert_close(inferred, banded_attention(q, k, v, context), atol=1e-6, rtol=1e-5)  # float32 sums


def test_videos_at_different_places_stream_as_if_each_were_alone(videogpt: VideoGPT) -> None:
    videos, steps = 3, 40  # the ring of 3 frames wraps many times
    cache = videogpt.cache(videos)
    past: list[list[Tensor]] = [[] for _ in range(videos)]
    for _ in range(steps):
        index = torch.randperm(videos)[: torch.randint(1, videos + 1, ())]
        begins = torch.rand(len(index)) < 0.07
        cache.forget(index[begins])
        codes, task = torch.randint(CODES, (len(index), TOKENS)), index % 2
        streamed = videogpt.score(cache, index, codes, task)
        for row, video in enumerate(index.tolist()):
            past[video] = [*([] if begins[row] else past[video]), codes[row]]
            alone = slow_log_probs(videogpt, torch.stack(past[video])[None], task[row : row + 1])[0, -1]
            torch.testing.assert_close(streamed[row], alone, atol=NATS, rtol=0)
    assert max(map(len, past)) > 3 * CONTEXT


def test_probabilities_of_all_videos_sum_to_one() -> None:
    torch.manual_seed(1)
    model = VideoGPT(VideoGPTConfig(context=2, layers=1, width=16, heads=2, dropout=0.0), tokens=2, codes=3, tasks=1)
    videos = torch.tensor(list(itertools.product(range(3), repeat=4))).reshape(-1, 2, 2)
    total = model.log_probs(videos, torch.zeros(len(videos), dtype=torch.long)).sum((1, 2)).exp().sum()
    torch.testing.assert_close(total, torch.tensor(1.0))


def test_sampling_draws_from_the_scored_distribution(videogpt: VideoGPT) -> None:
    """Code by code from the cache, against drawing from the slow pass with the same random numbers."""
    begin, task, videos = torch.randint(CODES, (2, 4, TOKENS)), torch.tensor([1, 0]), torch.arange(2)
    cache = videogpt.cache(2)
    for frame in begin.unbind(1):
        videogpt.score(cache, videos, frame, task)
    generator = torch.Generator().manual_seed(5)
    sampled = torch.stack([videogpt.sample(cache, videos, task, generator) for _ in range(4)], 1)

    generator.manual_seed(5)
    codes = torch.cat([begin, torch.zeros_like(begin)], 1)
    for time, token in itertools.product(range(4, 8), range(TOKENS)):
        probabilities = slow_logits(videogpt, codes[:, : time + 1], task)[:, time, token].softmax(-1)
        codes[:, time, token] = torch.multinomial(probabilities, 1, generator=generator)[:, 0]
    assert torch.equal(sampled, codes[:, 4:])


def test_rotation_depends_on_distance_alone_in_videos_of_any_length() -> None:
    q, k = torch.randn(2, 64)

    def match(later: int) -> Tensor:
        turns = rotation(torch.tensor([later + 7, later]), 64)  # [2, frames, 64]
        return rotate(q, turns[:, 0]) @ rotate(k, turns[:, 1])

    torch.testing.assert_close(match(10_000_000), match(0), atol=1e-5, rtol=0)  # float32 rounding of 64 products


def test_the_task_makes_a_difference(videogpt: VideoGPT) -> None:
    codes = torch.randint(CODES, (1, 2, TOKENS))
    assert not torch.allclose(
        videogpt.log_probs(codes, torch.tensor([0])), videogpt.log_probs(codes, torch.tensor([1]))
    )


def test_gradients_of_the_band_are_those_of_the_full_mask(videogpt: VideoGPT) -> None:
    codes, task = torch.randint(CODES, (2, 8, TOKENS)), torch.tensor([0, 1])
    parameters = list(videogpt.parameters())
    fast = torch.autograd.grad(videogpt.log_probs(codes, task).mean(), parameters)
    slow = torch.autograd.grad(slow_log_probs(videogpt, codes, task).mean(), parameters)
    for a, b in zip(fast, slow, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-3)  # float32, summed in another order
