"""The masked model's bound: against its definition order by order, against what is above it, and on known videos."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from tests.viper_model.video_model.slow_transformer import slow_layers
from viper_model.video_model.masked import MaskedConfig, MaskedModel, block_of_code

TOKENS, CODES, CONTEXT = 4, 3, 3
NATS = 1e-4
"""How exactly the evaluations agree: what the design promises for a code."""


def masked_model(blocks: int, layers: int = 2) -> MaskedModel:
    torch.manual_seed(0)
    config = MaskedConfig(context=CONTEXT, layers=layers, width=32, heads=2, dropout=0.1, blocks=blocks)
    model = MaskedModel(config, TOKENS, CODES, tasks=2)
    for parameter in model.parameters():  # so that every part, biases and norms included, makes a difference
        parameter.data.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def slow_logits(model: MaskedModel, codes: Tensor, task: Tensor, revealed: Tensor) -> Tensor:
    """Logits of the last frame of clips int64 [batch, time, tokens], of which only `revealed` (bool [tokens]) is shown.

    Returns [batch, tokens, codes].
    """
    time, tokens = codes.shape[1:]
    frame = torch.arange(time * tokens) // tokens
    visible = (frame[None] <= frame[:, None]) & (frame[None] > frame[:, None] - model.config.context)
    inputs = codes.clone()
    inputs[:, -1, ~revealed] = model.no_code
    x = slow_layers(model, inputs.flatten(1), frame, visible, task)
    return model.head(model.norm(x[:, -tokens:], task))


def slow_last_frame(model: MaskedModel, codes: Tensor, task: Tensor) -> Tensor:
    """Log-probabilities of the codes of clips' last frame, revealed in every order: [orders, batch, tokens]."""
    blocks = model.config.blocks
    block = block_of_code(codes.shape[2], blocks)
    known: dict[frozenset[int], Tensor] = {}
    orders = []
    for order in itertools.permutations(range(blocks)):
        log_probs = torch.zeros(len(codes), codes.shape[2])
        for position, revealing in enumerate(order):
            before = frozenset(order[:position])
            if before not in known:
                logits = slow_logits(model, codes, task, torch.isin(block, torch.tensor(list(before))))
                known[before] = logits.log_softmax(-1).gather(-1, codes[:, -1, :, None])[..., 0]
            log_probs = torch.where(block == revealing, known[before], log_probs)
        orders.append(log_probs)
    return torch.stack(orders)


def slow_log_probs(model: MaskedModel, codes: Tensor, task: Tensor) -> Tensor:
    """The bound of clips, frame by frame from scratch and order by order: [batch, time, tokens]."""
    with torch.no_grad():
        frames = [slow_last_frame(model, codes[:, : t + 1], task).mean(0) for t in range(codes.shape[1])]
    return torch.stack(frames, 1)


@pytest.mark.parametrize("blocks", [1, 2, 3, 4])
# One frame; a context less one, exactly, and one more; several times the context.
@pytest.mark.parametrize("time", [1, 2, 3, 4, 10])
def test_a_pass_over_sets_of_blocks_is_the_mean_over_all_orders(blocks: int, time: int) -> None:
    model = masked_model(blocks)
    codes, task = torch.randint(CODES, (2, time, TOKENS)), torch.tensor([0, 1])
    torch.testing.assert_close(model.log_probs(codes, task), slow_log_probs(model, codes, task), atol=NATS, rtol=0)


def every_frame() -> Tensor:
    """int64 [CODES^TOKENS, TOKENS]."""
    return torch.tensor(list(itertools.product(range(CODES), repeat=TOKENS)))


@torch.no_grad()
def probabilities(model: MaskedModel, past: Tensor) -> Tensor:
    """Of every frame after the frames int64 [time, TOKENS], in every order: [orders, CODES^TOKENS]."""
    videos = torch.cat([past.expand(CODES**TOKENS, -1, -1), every_frame()[:, None]], 1)
    return slow_last_frame(model, videos, torch.zeros(len(videos), dtype=torch.int64)).sum(-1).exp()


@pytest.mark.parametrize("blocks", [2, 3])
def test_it_is_below_the_likelihood_of_a_sampler_whose_probabilities_sum_to_one(blocks: int) -> None:
    model, past = masked_model(blocks), torch.randint(CODES, (2, TOKENS))
    each = probabilities(model, past)
    torch.testing.assert_close(each.sum(1), torch.ones(len(each)), atol=1e-5, rtol=0)  # float32, 81 terms
    videos = torch.cat([past.expand(len(every_frame()), -1, -1), every_frame()[:, None]], 1)
    bound = model.log_probs(videos, torch.zeros(len(videos), dtype=torch.int64))[:, -1].sum(-1)
    assert (bound <= each.mean(0).log() + NATS).all()
    assert (bound > each.mean(0).log() - 2).all()  # and not far below: no trivial bound


def test_with_a_single_block_nothing_is_lost() -> None:
    model = masked_model(1)
    total = model.log_probs(every_frame()[:, None], torch.zeros(CODES**TOKENS, dtype=torch.int64)).sum((1, 2)).exp()
    torch.testing.assert_close(total.sum(), torch.tensor(1.0))


def test_frames_are_drawn_from_the_likelihood_that_is_bounded() -> None:
    model, past, draws = masked_model(2), torch.randint(CODES, (4, TOKENS)), 3000
    videos, task = torch.arange(draws), torch.zeros(draws, dtype=torch.int64)
    cache = model.cache(draws)
    for frame in past:
        model.score(cache, videos, frame.expand(draws, -1), task)
    drawn = model.sample(cache, videos, task, torch.Generator().manual_seed(0))
    number = (drawn * CODES ** torch.arange(TOKENS - 1, -1, -1)).sum(1)  # its place in `every_frame`
    times = torch.bincount(number, minlength=CODES**TOKENS).double()
    expected = probabilities(model, past).mean(0).double()
    assert chisquare(times, expected / expected.sum() * draws).pvalue > 1e-3
    # What was drawn is remembered as if it had been seen.
    seen = torch.cat([past.expand(3, -1, -1), drawn[:3, None], torch.randint(CODES, (3, 1, TOKENS))], 1)
    streamed = model.score(cache, videos[:3], seen[:, -1], task[:3])
    torch.testing.assert_close(streamed, model.log_probs(seen, task[:3])[:, -1], atol=NATS, rtol=0)


@pytest.mark.parametrize("blocks", [2, 3])
def test_the_loss_is_an_unbiased_estimate_of_the_bound(blocks: int) -> None:
    model, times = masked_model(blocks), 50
    codes, task = torch.randint(CODES, (1, 5, TOKENS)), torch.tensor([1])
    with torch.no_grad():
        losses = torch.stack([model.loss(codes.expand(100, -1, -1), task.expand(100)) for _ in range(times)])
        bound = -model.log_probs(codes, task).mean()
    assert abs(losses.mean() - bound) < 4 * losses.std() / math.sqrt(times)


def test_gradients_of_the_bound_are_those_of_its_definition() -> None:
    model = masked_model(2)
    codes, task = torch.randint(CODES, (2, 5, TOKENS)), torch.tensor([0, 1])
    parameters = list(model.parameters())
    fast = torch.autograd.grad(model.log_probs(codes, task).mean(), parameters)
    slow = torch.stack([slow_last_frame(model, codes[:, : t + 1], task).mean(0) for t in range(5)], 1).mean()
    for a, b in zip(fast, torch.autograd.grad(slow, parameters), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-3)  # float32, summed in another order


@pytest.mark.parametrize("blocks", [2, 4])
def test_on_videos_of_known_entropy_it_comes_near_the_truth_from_below(blocks: int) -> None:
    """All codes of a frame are the same, and mostly the next after those of the frame before.

    A block's codes are predicted apart from each other, so that of the first block each costs what the frame does.
    """
    right = 0.9

    def videos(number: int) -> tuple[Tensor, Tensor]:
        """Videos of five frames, int64 [number, 5, TOKENS], and how likely each frame is, [number, 5]."""
        steps = torch.where(torch.rand(number, 5) < right, 1, 2 * torch.randint(2, (number, 5)))
        steps[:, 0] = torch.randint(CODES, (number,))
        truth = torch.where(steps == 1, right, (1 - right) / 2).log()
        truth[:, 0] = -math.log(CODES)
        return (steps.cumsum(1) % CODES)[..., None].expand(-1, -1, TOKENS), truth

    model = masked_model(blocks, layers=1)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(300):
        optimizer.zero_grad()
        model.loss(videos(32)[0], torch.zeros(32, dtype=torch.int64)).backward()
        optimizer.step()
    codes, truth = videos(1000)
    with torch.no_grad():
        bound = model.log_probs(codes, torch.zeros(1000, dtype=torch.int64)).sum(-1)  # [videos, time]
    for difference, nearest in ((bound - truth, -math.inf), (bound - truth * TOKENS / blocks, -0.15)):
        above = difference.mean(0) / (difference.std(0) / math.sqrt(1000))
        assert (above < 4).all()  # standard errors
        assert (difference.mean(0) > nearest).all()  # nats a frame


@pytest.mark.parametrize("side", [4, 8, 16])
@pytest.mark.parametrize("blocks", [2, 3, 4])
def test_blocks_are_spread_evenly(side: int, blocks: int) -> None:
    block = block_of_code(side**2, blocks).reshape(side, side)
    assert (block[1:] != block[:-1]).all()
    assert (block[:, 1:] != block[:, :-1]).all()
    sizes = torch.bincount(block.flatten())
    assert len(sizes) == blocks
    assert sizes.max() - sizes.min() <= 1


def test_the_probabilities_of_orders_stay_exact_in_bfloat16() -> None:
    model = masked_model(3).to(torch.bfloat16)
    torch.testing.assert_close(model._probability.sum(0), torch.ones(TOKENS), rtol=0, atol=1e-6)
