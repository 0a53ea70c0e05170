"""Encoder, actor and critics (Yarats et al. 2021, section 3 and appendix B)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from viper_model.agents.drqv2.frames import FRAMES
from viper_model.agents.drqv2.sizes import Size

CRITICS = 2


def _begin(module: nn.Module, size: Size) -> None:
    """Give layers their first weights, as `Size.orthogonal` says; else they keep PyTorch's."""
    if not size.orthogonal:
        return
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.orthogonal_(layer.weight, gain=2**0.5 if isinstance(layer, nn.Conv2d) else 1.0)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)


class Encoder(nn.Module):
    """Convolutions over stacked frames, whose colours lie beside each other: see `frames`."""

    def __init__(self, size: Size, image_size: int) -> None:
        super().__init__()
        first, *others = size.convolutions
        kernel, stride, padding = first[1:]
        self.first = nn.Conv2d(
            FRAMES, first.channels, (kernel, 3 * kernel), (stride, 3 * stride), (padding, 3 * padding)
        )
        self.stride, self.padding = stride, padding
        _begin(self.first, size)
        channels = first.channels
        self.others = nn.ModuleList()
        for convolution in others:
            layer = nn.Conv2d(channels, *convolution)
            _begin(layer, size)
            layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)  # half a CPU's time
            self.others.append(layer)
            channels = convolution.channels
        side = image_size
        for _, kernel, stride, padding in size.convolutions:
            side = (side + 2 * padding - kernel) // stride + 1
        self.outputs = channels * side * side

    def forward(self, stack: Tensor) -> Tensor:
        """uint8 [n, FRAMES, side, side * 3] → float32 [n, outputs]."""
        x = self._first(stack.float().sub_(255 / 2))  # [n, channels, rows, columns], channels last
        for convolution in self.others:
            x = convolution(x).relu_()
        return x.permute(0, 2, 3, 1).flatten(1)  # as it lies in memory

    def _first(self, x: Tensor) -> Tensor:
        """The first layer, of pixels from -127.5 to 127.5, which it brings to ±0.5."""
        layer, weight = self.first, self.first.weight / 255
        if x.device.type != "cpu":
            x = nn.functional.conv2d(x, weight, layer.bias, layer.stride, layer.padding)
            return x.contiguous(memory_format=torch.channels_last).relu_()
        # The same over three axes, frames being the first: quicker, as nothing needs another order in memory.
        x, weight = (each.unflatten(3, (-1, 3)).permute(0, 4, 1, 2, 3) for each in (x, weight))
        strides, paddings = (1, self.stride, self.stride), (0, self.padding, self.padding)
        return nn.functional.conv3d(x, weight, layer.bias, strides, paddings).relu_().squeeze(2)


class Trunk(nn.Sequential):
    """[..., inputs] → [..., features], in [-1, 1]."""

    def __init__(self, inputs: int, features: int) -> None:
        super().__init__(nn.Linear(inputs, features), nn.LayerNorm(features), nn.Tanh())


def _norm(size: Size) -> nn.Module:
    return nn.LayerNorm(size.hidden) if size.layer_norm else nn.Identity()


class Actor(nn.Module):
    """The action, and the noise by which it is explored around."""

    std: Tensor
    """The exploration noise's standard deviation now, a scalar."""

    def __init__(self, size: Size, inputs: int, action_size: int) -> None:
        super().__init__()
        self.trunk = Trunk(inputs, size.features)
        self.net = nn.Sequential(
            nn.Linear(size.features, size.hidden),
            _norm(size),
            nn.ReLU(),
            nn.Linear(size.hidden, size.hidden),
            _norm(size),
            nn.ReLU(),
            nn.Linear(size.hidden, action_size),
        )
        _begin(self, size)
        self.register_buffer("std", torch.tensor(size.first_std))

    def unbounded(self, encoded: Tensor) -> Tensor:
        """The action before it is brought into its limits: [n, inputs] → [n, action_size]."""
        action: Tensor = self.net(self.trunk(encoded))
        return action

    def forward(self, encoded: Tensor) -> Tensor:
        """[n, inputs] → [n, action_size], in [-1, 1]."""
        return self.unbounded(encoded).tanh()

    def noise(self, action: Tensor, generator: torch.Generator) -> Tensor:
        """A draw for each action, the shape of `action`."""
        return self.std * torch.empty_like(action).normal_(generator=generator)


class Critics(nn.Module):
    """CRITICS estimates of the return of an action, alike but for their first weights. They share a trunk and norms,
    and each layer of all of them is one product.
    """

    def __init__(self, size: Size, inputs: int, action_size: int) -> None:
        super().__init__()
        self.trunk = Trunk(inputs, size.features)
        self.first = nn.Linear(size.features + action_size, CRITICS * size.hidden)
        self.first_norm, self.second_norm = _norm(size), _norm(size)
        self.second = nn.Parameter(torch.empty(CRITICS, size.hidden, size.hidden))
        self.second_bias = nn.Parameter(torch.empty(CRITICS, 1, size.hidden))
        self.last = nn.Parameter(torch.empty(CRITICS, size.hidden, 1))
        self.last_bias = nn.Parameter(torch.empty(CRITICS, 1, 1))
        bound = size.hidden**-0.5  # as nn.Linear begins
        for parameter in (self.second, self.second_bias, self.last, self.last_bias):
            nn.init.uniform_(parameter, -bound, bound)
        _begin(self.trunk, size)
        if size.orthogonal:
            for of_one in (*self.first.weight.data.chunk(CRITICS), *self.second.data, *self.last.data):
                nn.init.orthogonal_(of_one)
            for bias in (self.first.bias, self.second_bias, self.last_bias):
                nn.init.zeros_(bias)

    def values(self, features: Tensor, action: Tensor) -> Tensor:
        """[n, features] from the trunk, [n, action_size] → [CRITICS, n]."""
        x = self.first(torch.cat([features, action], 1))
        x = x.view(len(action), CRITICS, -1).transpose(0, 1)  # [CRITICS, n, hidden]
        x = self.first_norm(x).relu()
        x = self.second_norm(torch.baddbmm(self.second_bias, x, self.second)).relu()
        return torch.baddbmm(self.last_bias, x, self.last).squeeze(-1)

    def forward(self, encoded: Tensor, action: Tensor) -> Tensor:
        """[n, inputs], [n, action_size] → [CRITICS, n]."""
        return self.values(self.trunk(encoded), action)
