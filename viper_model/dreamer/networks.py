"""The blocks that every network of the agent is made of, and how it predicts scalars."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BINS = 255
LOG_RANGE = 20.0
"""Scalars are predicted as a distribution over BINS values spaced evenly in symlog space from -LOG_RANGE to LOG_RANGE."""


def symlog(x: Tensor) -> Tensor:
    """sign(x) ln(|x| + 1): large values compressed, small ones kept (Hafner et al. 2023, eq. 9)."""
    return x.sign() * x.abs().log1p()


def symexp(x: Tensor) -> Tensor:
    """The inverse of `symlog`."""
    return x.sign() * x.abs().expm1()


def two_hot_mean(logits: Tensor) -> Tensor:
    """The scalar that a distribution over bins stands for. [..., BINS] → [...]."""
    bins = torch.linspace(-LOG_RANGE, LOG_RANGE, BINS, device=logits.device)
    return symexp(logits.float().softmax(-1) @ bins)


def two_hot_loss(logits: Tensor, *targets: Tensor) -> Tensor:
    """Cross entropy to the two-hot encoding of each target, added up (Hafner et al. 2023, eq. 10).

    logits: [..., BINS]. targets: [...], any finite scale. Returns nats, [...].
    """
    log_probs = logits.float().log_softmax(-1)
    loss = torch.zeros_like(log_probs[..., 0])
    for target in targets:
        place = (symlog(target) + LOG_RANGE) * ((BINS - 1) / (2 * LOG_RANGE))  # in bins
        place = place.clamp(0, BINS - 1)
        below = place.floor().clamp(max=BINS - 2)
        above_weight = place - below
        index = torch.stack([below, below + 1], -1).long()  # [..., 2]
        weight = torch.stack([1 - above_weight, above_weight], -1)  # [..., 2]
        loss = loss - (weight * log_probs.gather(-1, index)).sum(-1)
    return loss


class Linear(nn.Linear):
    """A linear layer whose weights start with the variance of a truncated normal over its inputs, times `scale`."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True, scale: float = 1.0) -> None:
        super().__init__(inputs, outputs, bias)
        # 0.8796 is the standard deviation of a unit normal cut off at two.
        nn.init.trunc_normal_(self.weight, std=inputs**-0.5 / 0.8796, a=-2 * inputs**-0.5, b=2 * inputs**-0.5)
        with torch.no_grad():
            self.weight *= scale
            if bias:
                self.bias.zero_()


class Norm(nn.LayerNorm):
    """Layer norm over the last dimension, then SiLU."""

    def __init__(self, units: int) -> None:
        super().__init__(units, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(super().forward(x))


class MLP(nn.Sequential):
    """`layers` hidden layers of `units` (linear, layer norm, SiLU) and a linear output. [..., inputs] → [..., outputs]."""

    def __init__(self, inputs: int, units: int, layers: int, outputs: int, output_scale: float = 1.0) -> None:
        blocks: list[nn.Module] = []
        for _ in range(layers):
            blocks += [Linear(inputs, units, bias=False), Norm(units)]
            inputs = units
        super().__init__(*blocks, Linear(inputs, outputs, scale=output_scale))


class Encoder(nn.Module):
    """Patches of a frame, embedded and halved in resolution down to a 4x4 grid.

    Convolutions on full frames would take most of an update's time on a CPU; a matrix product over patches doesn't.
    """

    def __init__(self, grid: int, patch_values: int, depth: int) -> None:
        super().__init__()
        self.embed = nn.Sequential(Linear(patch_values, depth), Norm(depth))
        self.downsample, self.norms = nn.ModuleList(), nn.ModuleList()
        while grid > 4:
            convolution = nn.Conv2d(depth, 2 * depth, 4, 2, 1, bias=False)
            self.downsample.append(convolution.to(memory_format=torch.channels_last))
            depth, grid = 2 * depth, grid // 2
            self.norms.append(Norm(depth))
        self.outputs = grid * grid * depth

    def forward(self, patches: Tensor) -> Tensor:
        """Float [n, grid, grid, patch_values] in [-0.5, 0.5] → [n, outputs]."""
        x = self.embed(patches)  # [n, grid, grid, depth]
        for convolution, norm in zip(self.downsample, self.norms, strict=True):
            x = norm(convolution(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
        return x.flatten(1)


class Decoder(nn.Module):
    """The encoder's mirror image: a 4x4 grid, doubled in resolution up to the patches of a frame."""

    def __init__(self, inputs: int, grid: int, patch_values: int, depth: int) -> None:
        super().__init__()
        doublings = (grid // 4).bit_length() - 1
        depth *= 2**doublings
        self.depth = depth
        self.start = Linear(inputs, 16 * depth)
        self.norm = Norm(depth)
        self.upsample, self.norms = nn.ModuleList(), nn.ModuleList()
        for _ in range(doublings):
            convolution = nn.ConvTranspose2d(depth, depth // 2, 4, 2, 1, bias=False)
            self.upsample.append(convolution.to(memory_format=torch.channels_last))
            depth //= 2
            self.norms.append(Norm(depth))
        self.output = Linear(depth, patch_values)

    def forward(self, feature: Tensor) -> Tensor:
        """[n, inputs] → the mean of the patches, [n, grid, grid, patch_values] in the encoder's units."""
        x = self.norm(self.start(feature).unflatten(-1, (4, 4, self.depth)))  # [n, 4, 4, depth]
        for convolution, norm in zip(self.upsample, self.norms, strict=True):
            x = norm(convolution(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
        return self.output(x)


def patches_of(images: Tensor, grid: int) -> Tensor:
    """uint8 [n, height, width, 3] → float32 [n, grid, grid, patch * patch * 3] in [-0.5, 0.5]."""
    n, height, width, channels = images.shape
    rows, columns = height // grid, width // grid
    x = images.view(n, grid, rows, grid, columns, channels).permute(0, 1, 3, 2, 4, 5)
    return x.reshape(n, grid, grid, rows * columns * channels).float().mul_(1 / 255).sub_(0.5)


def images_of(patches: Tensor, image_size: int) -> Tensor:
    """The inverse of `patches_of`, clipped to what a frame can show: uint8 [n, image_size, image_size, 3]."""
    n, grid, *_ = patches.shape
    patch = image_size // grid
    x = patches.view(n, grid, grid, patch, patch, 3).permute(0, 1, 3, 2, 4, 5)
    x = x.reshape(n, image_size, image_size, 3)
    return ((x + 0.5).clamp(0, 1) * 255).round().byte()
