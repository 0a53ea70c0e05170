"""The encoder against plain convolutions over what the paper stacks: the channels of three frames."""

import pytest
import torch
import torch.nn.functional as F
from torch.nn import Linear

from viper_model.agents.drqv2.frames import FRAMES
from viper_model.agents.drqv2.networks import Actor, Critics, Encoder
from viper_model.agents.drqv2.sizes import SIZES


def plain(encoder: Encoder, stack: torch.Tensor) -> torch.Tensor:
    """uint8 [n, FRAMES, side, side * 3] → float32 [n, outputs]."""
    frames = stack.unflatten(3, (-1, 3)).permute(0, 1, 4, 2, 3)  # [n, FRAMES, 3, side, side]
    x = frames.flatten(1, 2).float() / 255 - 0.5
    first = encoder.first
    weight = first.weight.unflatten(3, (-1, 3)).permute(0, 1, 4, 2, 3).flatten(1, 2)  # [channels, FRAMES * 3, k, k]
    x = F.conv2d(x, weight, first.bias, first.stride[0], first.padding[0]).relu()
    for layer in encoder.others:
        x = F.conv2d(x, layer.weight, layer.bias, layer.stride, layer.padding).relu()
    return x.permute(0, 2, 3, 1).flatten(1)


@pytest.mark.parametrize(("size", "side"), [("tiny", 32), ("paper", 48)])
def test_outputs_and_gradients_are_those_of_plain_convolutions(size: str, side: int) -> None:
    torch.manual_seed(0)
    encoder = Encoder(SIZES[size], side)
    stack = torch.randint(0, 256, (3, FRAMES, side, 3 * side), dtype=torch.uint8)
    found, wanted = encoder(stack), plain(encoder, stack)
    assert found.shape == (3, encoder.outputs)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)  # float32 sums in another order
    descent = torch.randn_like(wanted)
    gradients = zip(*(torch.autograd.grad(y, [*encoder.parameters()], descent) for y in (found, wanted)), strict=True)
    for of_found, of_wanted in gradients:
        torch.testing.assert_close(of_found, of_wanted, rtol=1e-3, atol=1e-4)


def test_the_papers_networks_begin_orthogonal_and_without_biases() -> None:
    size = SIZES["paper"]
    encoder = Encoder(size, 48)
    actor, critics = Actor(size, encoder.outputs, 2), Critics(size, encoder.outputs, 2)
    products = [layer.weight.flatten(1) / 2**0.5 for layer in (encoder.first, *encoder.others)]
    products += [
        layer.weight for part in (actor, critics.trunk) for layer in part.modules() if isinstance(layer, Linear)
    ]
    products += [*critics.first.weight.chunk(2), *critics.second, *critics.last]
    for weight in products:
        narrow = weight if weight.shape[0] <= weight.shape[1] else weight.T
        torch.testing.assert_close(narrow @ narrow.T, torch.eye(len(narrow)), rtol=0, atol=1e-5)
    for part in (encoder, actor, critics):
        assert not any(value.any() for name, value in part.named_parameters() if name.endswith("bias"))


@pytest.mark.parametrize(("size", "are_normalized"), [("tiny", True), ("paper", False)])
def test_how_large_hidden_layers_are_tells_nothing_where_they_are_normalized(size: str, are_normalized: bool) -> None:
    torch.manual_seed(0)
    encoded, action = torch.randn(5, 40), torch.rand(5, 2) * 2 - 1
    actor, critics = Actor(SIZES[size], 40, 2), Critics(SIZES[size], 40, 2)
    before = actor(encoded), critics(encoded, action)
    layers = [actor.net[0].weight, actor.net[0].bias, actor.net[3].weight, actor.net[3].bias]
    layers += [critics.first.weight, critics.first.bias, critics.second, critics.second_bias]
    with torch.no_grad():
        for parameter in layers:
            parameter.mul_(3)
    after = actor(encoded), critics(encoded, action)
    for once, again in zip(before, after, strict=True):
        assert torch.allclose(once, again, atol=1e-4) is are_normalized  # a norm adds 1e-5 to a variance of 0.01 or so
