"""The blocks that every network of the agent is made of, and how it predicts scalars."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

BINS = 255
LOG_RANGE = 20.0
"""Scalars are predicted as a distribution over BINS values, spaced evenly in symlog space within +-LOG_RANGE."""


def symlog(x: Tensor) -> Tensor:
    """sign(x) ln(|x| + 1): large values compressed, small ones kept (Hafner et al. 2023, eq. 9)."""
    return x.sign() * x.abs().log1p()


def symexp(x: Tensor) -> Tensor:
    """The inverse of `symlog`."""
    return x.sign() * x.abs().expm1()


def two_hot_mean(logits: Tensor) -> Tensor:
    """The scalar that a distribution over bins stands for. [..., BINS] → [...]."""
    bins = torch.linspace(-LOG_RANGE, LOG_RANGE, BINS, device=logits.device)
    with torch.autocast(logits.device.type, enabled=False):  # in bfloat16, values near 280 would fall on three levels
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
        index = torch.stack([below, below + 1], -1).nan_to_num().long()  # [..., 2]; a target of NaN is a loss of NaN
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
        return functional.silu(super().forward(x))


class MLP(nn.Sequential):
    """Hidden layers of linear, layer norm and SiLU, and a linear output. [..., inputs] → [..., outputs]."""

    def __init__(self, inputs: int, units: int, layers: int, outputs: int, output_scale: float = 1.0) -> None:
        blocks: list[nn.Module] = []
        for _ in range(layers):
            blocks += [Linear(inputs, units, bias=False), Norm(units)]
            inputs = units
        super().__init__(*blocks, Linear(inputs, outputs, scale=output_scale))


class MeanFrame(nn.Module):
    """The average of all frames seen in training, which the encoder and the decoder leave out.

    What never moves costs nothing to learn: a small thing on a large background is found in a tenth of the updates.
    """

    mean: Tensor
    count: Tensor

    def __init__(self, grid: int, patch_values: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(grid, grid, patch_values))
        self.register_buffer("count", torch.zeros(()))

    def update(self, patches: Tensor) -> None:
        """Count a batch of patches [n, grid, grid, patch_values] in."""
        self.count += 1
        self.mean.lerp_(patches.mean(0), 1 / self.count)


class Encoder(nn.Module):
    """Patches of a frame, embedded and halved in resolution down to a 4x4 grid.

    Convolutions on full frames would take most of an update's time on a CPU; a matrix product over patches doesn't.
    There are no norms here, nor in the decoder: they delay by hundreds of updates that small things are seen at all.
    """

    def __init__(self, grid: int, patch_values: int, depth: int) -> None:
        super().__init__()
        self.embed = Linear(patch_values, depth)
        self.downsample = nn.ModuleList()
        while grid > 4:
            self.downsample.append(nn.Conv2d(depth, 2 * depth, 4, 2, 1))
            depth, grid = 2 * depth, grid // 2
        self.outputs = grid * grid * depth

    def forward(self, patches: Tensor) -> Tensor:
        """float32 [n, grid, grid, patch_values], without the mean frame → [n, outputs]."""
        x = functional.silu(self.embed(patches)).permute(0, 3, 1, 2)  # [n, depth, grid, grid], channels last in memory
        for convolution in self.downsample:
            x = functional.silu(convolution(x))
        return x.permute(0, 2, 3, 1).flatten(1)


class Decoder(nn.Module):
    """The encoder's mirror image: a 4x4 grid, doubled in resolution up to the patches of a frame."""

    def __init__(self, inputs: int, grid: int, patch_values: int, depth: int) -> None:
        super().__init__()
        doublings = (grid // 4).bit_length() - 1
        depth *= 2**doublings
        self.depth = depth
        self.start = Linear(inputs, 16 * depth)
        self.upsample = nn.ModuleList()
        for _ in range(doublings):
            self.upsample.append(nn.ConvTranspose2d(depth, depth // 2, 4, 2, 1))
            depth //= 2
        self.output = Linear(depth, patch_values)

    def forward(self, feature: Tensor) -> Tensor:
        """[n, inputs] → the expected patches without the mean frame, [n, grid, grid, patch_values]."""
        x = functional.silu(self.start(feature)).unflatten(-1, (4, 4, self.depth)).permute(0, 3, 1, 2)
        for convolution in self.upsample:
            x = functional.silu(convolution(x))
        patches: Tensor = self.output(x.permute(0, 2, 3, 1))
        return patches


def patches_of(images: Tensor, grid: int) -> Tensor:
    """uint8 [n, height, width, 3] → float32 [n, grid, grid, patch * patch * 3] in [0, 1]."""
    n, height, width, channels = images.shape
    rows, columns = height // grid, width // grid
    x = images.view(n, grid, rows, grid, columns, channels).permute(0, 1, 3, 2, 4, 5)
    return x.reshape(n, grid, grid, rows * columns * channels).float().mul_(1 / 255)
