"""What models of codes share."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

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
