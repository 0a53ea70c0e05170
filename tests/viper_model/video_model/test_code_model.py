"""What models of codes share."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from tests.viper_model.conftest import MICRO
from viper_model.video_model.code_model import AdaptiveNorm
from viper_model.video_model.sizes import CODE_MODELS


@pytest.mark.parametrize("shape", [(6,), (4, 6), (5, 2, 6)])
def test_an_adaptive_norm_is_the_layer_norm_with_its_task_s_scale_and_shift(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    width, task = shape[-1], torch.tensor([2, 0, 2])
    adaptive = AdaptiveNorm(width, tasks=3)
    adaptive.scale.weight.data.normal_()
    adaptive.shift.weight.data.normal_()
    x = 3 * torch.randn(3, *shape) + 1
    normed = adaptive(x, task)
    for number, label in enumerate(task):
        plain = nn.LayerNorm(width)
        plain.weight.data.copy_(adaptive.scale.weight[label])
        plain.bias.data.copy_(adaptive.shift.weight[label])
        torch.testing.assert_close(normed[number], plain(x[number]), atol=1e-5, rtol=1e-5)


def test_an_untrained_norm_treats_tasks_alike() -> None:
    x = torch.randn(2, 4, 6)
    torch.testing.assert_close(AdaptiveNorm(6, tasks=2)(x, torch.tensor([0, 1])), nn.LayerNorm(6)(x))


@pytest.mark.parametrize("name", CODE_MODELS)
def test_the_task_conditions_every_norm(name: str) -> None:
    """Whichever norm alone knows the tasks apart, the likelihood depends on the task."""
    kind, make = CODE_MODELS[name]
    config = kind(**dataclasses.asdict(MICRO.code_model))
    codes = torch.randint(8, (2, 4, 4))
    norms = 2 * config.layers + 1  # two a layer, and the last one
    for number in range(norms):
        torch.manual_seed(0)
        model = make(config, 4, 8, 2).eval()
        each = [module for module in model.modules() if isinstance(module, AdaptiveNorm)]
        assert len(each) == norms
        each[number].shift.weight.data[1] += torch.randn(config.width)
        with torch.no_grad():
            one, other = (model.log_probs(codes, torch.full([2], task)) for task in (0, 1))
        assert not torch.allclose(one, other, atol=1e-4), number


TOKENS, CODES = 4, 5


def turning(direction: Tensor) -> Tensor:
    """All codes of a frame are the same, and the next or last one of those in the frame before, round a ring.

    direction: 1 or -1, int64 [videos]. Returns int64 [videos, 3, TOKENS], videos that begin anywhere.
    """
    start = torch.randint(CODES, (len(direction), 1))
    return ((start + direction[:, None] * torch.arange(3)) % CODES)[..., None].expand(-1, -1, TOKENS)


@pytest.mark.parametrize("name", CODE_MODELS)
def test_from_the_frame_after_a_shared_start_another_task_s_motion_is_unlikely(name: str) -> None:
    """One way round in one task, the other way in the other: in the second frame nothing but the label tells which.

    A model that ignored it would find both as likely, a difference of 0. 3 nats are odds of 20 to 1 for the right
    label, beyond chance: over 64 videos the standard error is below 0.8, and what is learned are 5 to 9 nats.
    """
    torch.manual_seed(0)
    kind, make = CODE_MODELS[name]
    config = kind(context=2, layers=1, width=32, heads=2, dropout=0.0)
    model = make(config, TOKENS, CODES, 2)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(150):
        task = torch.randint(2, (16,))
        optimizer.zero_grad()
        model.loss(turning(2 * task - 1), task).backward()
        optimizer.step()
    for label in (0, 1):
        task = torch.full([64], label)
        codes = turning(2 * task - 1)
        with torch.no_grad():
            right, wrong = (model.log_probs(codes, each).sum(-1) for each in (task, 1 - task))  # [videos, time]
        difference = (right - wrong).mean(0)
        assert abs(difference[0]) < 0.5  # the start is shared
        assert difference[1] > 3
