"""What is worth seeing: what a network has not learned to tell yet (Burda et al. 2018, arXiv 1810.12894)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from viper_model.agents.drqv2.frames import FRAMES, stack_indices

SIDE = 16
"""Pixels a side of the grey frames compared."""
HIDDEN, OUTPUTS = 128, 64
LIMIT = 5.0
"""Standard deviations by which a pixel may differ from its mean."""


class RandomNetworkDistillation(nn.Module):
    """A network learns what another of random weights answers to what is replayed: what it can't tell is new.

    It looks at a few frames, so that a motion may be new where a place isn't. Pixels are whitened and errors scaled by
    their means over all that was learned from so far.
    """

    seen: Tensor
    """How many stacks of frames the means are of, a scalar."""
    pixel_mean: Tensor
    pixel_square: Tensor
    """Mean square of a pixel less its mean at the time; both [FRAMES * SIDE * SIDE]."""
    error: Tensor
    """Mean error, a scalar."""

    def __init__(self) -> None:
        super().__init__()
        pixels = FRAMES * SIDE * SIDE
        self.random, self.learned = (
            nn.Sequential(
                nn.Linear(pixels, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, OUTPUTS)
            )
            for _ in range(2)
        )
        self.random.requires_grad_(False)
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("pixel_mean", torch.zeros(pixels))
        self.register_buffer("pixel_square", torch.zeros(pixels))
        self.register_buffer("error", torch.zeros(()))

    def forward(self, image: Tensor, starts: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """The loss to learn by, a scalar, and the bonus of the last `steps` of sequences, float32 [sequences, steps].

        A bonus is ln 2 where a step is as new as those replayed were on average. Moves the means.

        image: uint8 [sequences, length, side, side, 3]. starts: from `batches.episode_starts`.
        """
        pixels = stacked(image, starts, steps)  # [sequences * steps, FRAMES * SIDE * SIDE]
        self.seen += len(pixels)
        weight = len(pixels) / self.seen
        self.pixel_mean.lerp_(pixels.mean(0), weight)
        self.pixel_square.lerp_((pixels - self.pixel_mean).square().mean(0), weight)
        white = ((pixels - self.pixel_mean) / (self.pixel_square.sqrt() + 1)).clamp(-LIMIT, LIMIT)
        with torch.no_grad():
            answer = self.random(white)
        error = (self.learned(white) - answer).square().mean(1)  # [sequences * steps]
        loss = error.mean()
        self.error.lerp_(loss.detach(), weight)
        # What nobody has seen is at fifty times the mean: its logarithm stays of the size of rewards.
        return loss, (error.detach() / self.error).log1p().view(-1, steps)


def stacked(image: Tensor, starts: Tensor, steps: int) -> Tensor:
    """The grey, small frames up to each of the last `steps`; frames before its episode are its first frame.

    uint8 [sequences, length, side, side, 3], int64 [sequences, length] → float32 [sequences * steps, FRAMES * SIDE *
    SIDE].
    """
    sequences, length = starts.shape
    rows = nn.functional.adaptive_avg_pool1d(torch.eye(image.shape[2], device=image.device), SIDE)  # [side, SIDE]
    columns = rows.repeat_interleave(3, 0) / 3  # [side * 3, SIDE]: of a pixel's colours, too
    # Two products: averages over axes of few elements take a CPU ten times as long.
    small = (rows.mT @ (image.flatten(3).float() @ columns)).flatten(2)  # [sequences, length, SIDE * SIDE]
    newest = torch.arange(length - steps, length, device=image.device).expand(sequences, -1)
    frame = stack_indices(starts, newest)  # [sequences, steps, FRAMES]
    row = torch.arange(sequences, device=image.device)[:, None, None]
    return small[row, frame].flatten(0, 1).flatten(1)
