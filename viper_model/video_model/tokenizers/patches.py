"""A frame ⇄ a grid of discrete codes, each of its own patch of pixels alone: k-means on patches.

A code that depends on the whole picture can paint what the tokenizer has never seen with the codes of what it has, and
a code model then finds nothing wrong with it. A code that depends on nothing but its patch can't: what is out of place
shows up as codes that are out of place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from viper_model.errors import ModelError
from viper_model.video_model.tokenizers.base import Tokenizer, TokenizerConfig

ITERATIONS = 25
"""Of k-means, after a k-means++ start."""
MOST_PATCHES = 60_000
"""So many patches at most are clustered."""


@dataclass(frozen=True)
class PatchesConfig(TokenizerConfig):
    patch: int
    """Pixels a side of a patch."""

    def __post_init__(self) -> None:
        if self.patch < 1 or self.image_size % self.patch:
            raise ModelError(f"frames of {self.image_size} pixels can't be cut into patches of {self.patch}")

    @property
    def grid(self) -> int:
        return self.image_size // self.patch


class Patches(Tokenizer):
    """The nearest of `codes` typical patches for each patch of a frame."""

    config: PatchesConfig
    centroids: Tensor

    def __init__(self, config: PatchesConfig) -> None:
        super().__init__()
        self.config = config
        values = config.patch**2 * 3
        # Of pixels from 0 to 255, float32 [codes, patch × patch × 3]; drawn at random until `fit`.
        self.register_buffer("centroids", torch.rand(config.codes, values) * 255)

    def fit(self, frames: np.ndarray, seed: int) -> float:
        """Choose the codes for frames, uint8 [n, image_size, image_size, 3], by k-means.

        Returns the mean absolute error of the frames' pixels, 0 to 255. Where the frames have fewer different patches
        than there are codes, the others are never used.
        """
        from sklearn.cluster import KMeans  # Slow to import, and only this needs it.

        rng = np.random.default_rng(seed)
        patches = self.split(torch.from_numpy(frames)).flatten(0, 2).numpy()  # [n × rows × columns, values]
        if len(patches) > MOST_PATCHES:
            patches = patches[rng.choice(len(patches), MOST_PATCHES, replace=False)]
        different, counts = np.unique(patches, axis=0, return_counts=True)  # most patches are those of what never moves
        wanted = min(self.config.codes, len(different))
        means = KMeans(wanted, n_init=1, max_iter=ITERATIONS, random_state=seed)
        chosen = torch.from_numpy(means.fit(different, sample_weight=counts).cluster_centers_)
        self.centroids.copy_(chosen[torch.arange(self.config.codes) % wanted])  # the first of those alike is nearest
        some = torch.from_numpy(frames[:: max(1, len(frames) // 256)]).to(self.centroids.device)
        return float((self.decode(self.encode(some)).float() - some.float()).abs().mean())

    def split(self, frames: Tensor) -> Tensor:
        """uint8 [..., height, width, 3] → float32 [..., rows, columns, patch × patch × 3]."""
        grid, patch = self.config.grid, self.config.patch
        x = frames.unflatten(-3, (grid, patch)).unflatten(-2, (grid, patch))  # [..., rows, patch, columns, patch, 3]
        return x.movedim(-3, -4).flatten(-3).float()

    @torch.no_grad()
    def encode(self, frames: Tensor) -> Tensor:
        """See `Tokenizer.encode`."""
        # |x - c|² without |x|², which is the same for every code; in float64, so that a tie is settled alike however
        # many frames are encoded at once.
        x, centroids = self.split(frames).double(), self.centroids.double()
        return (centroids.square().sum(-1) - 2 * x @ centroids.T).argmin(-1)

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """See `Tokenizer.decode`."""
        patch = self.config.patch
        x = self.centroids[codes].unflatten(-1, (patch, patch, 3))  # [..., rows, columns, patch, patch, 3]
        x = x.movedim(-3, -4).flatten(-3, -2).flatten(-4, -3)  # [..., height, width, 3]
        return x.round().clamp(0, 255).to(torch.uint8)
