"""A frame ⇄ a grid of discrete codes: the VQ-GAN of Esser et al. (2021), "Taming Transformers".

How it is trained is in `vqgan_loss.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from viper_model.torch_tools.distributed import mean_of_processes, of_all_processes
from viper_model.video_model.tokenizers.base import Tokenizer, TokenizerConfig


@dataclass(frozen=True)
class VQGANConfig(TokenizerConfig):
    channels: tuple[int, ...]
    """Width of each stage of the encoder (the decoder mirrors it). Every stage halves the picture's side."""
    blocks: int
    """Residual blocks a stage."""
    code_dim: int

    @property
    def grid(self) -> int:
        return self.image_size // 2 ** len(self.channels)


class Quantized(NamedTuple):
    vectors: Tensor
    """The nearest code vectors [n, code_dim, rows, columns], with the gradient of what they replace."""
    codes: Tensor
    """int64 [n, rows, columns]."""
    loss: Tensor
    """Codebook loss plus commitment loss (van den Oord et al. 2017, eq. 3), scalar."""


class VectorQuantizer(nn.Module):
    """Replaces each vector by the nearest one of a learned codebook."""

    COMMITMENT = 0.25
    """β of van den Oord et al. (2017), eq. 3."""
    USE_DECAY = 0.95
    """How fast `use` forgets, a training step."""
    DEAD = 0.02
    """A code used less than this share of its fair share is dead."""

    use: Tensor

    def __init__(self, codes: int, dim: int) -> None:
        super().__init__()
        self.codebook = nn.Parameter(torch.randn(codes, dim))
        # The share of recent training vectors that fell to each code; at zero, the first batch gives them their places.
        self.register_buffer("use", torch.zeros(codes))

    def nearest(self, z: Tensor) -> Tensor:
        """float [..., dim] → int64 [...]."""
        # |z - e|² without |z|², which is the same for every code; in float64, as codes lie close together: rounded to
        # float32, their order would hang on how many frames are encoded at once.
        z, codebook = z.double(), self.codebook.double()
        return (codebook.square().sum(-1) - 2 * z @ codebook.T).argmin(-1)

    def forward(self, z: Tensor) -> Quantized:
        """Quantise z, float [n, dim, rows, columns]."""
        z = z.permute(0, 2, 3, 1)  # [n, rows, columns, dim]
        codes = self.nearest(z)
        vectors = self.codebook[codes]
        loss = F.mse_loss(vectors, z.detach()) + self.COMMITMENT * F.mse_loss(z, vectors.detach())
        return Quantized((z + (vectors - z).detach()).permute(0, 3, 1, 2), codes, loss)

    @torch.no_grad()
    def record_use(self, z: Tensor, codes: Tensor) -> dict[str, float]:
        """Count how a training batch used the codebook, and move dead codes to where vectors of this batch are.

        z: float [n, dim, rows, columns], the encoder's output. codes: what `forward` made of it.
        Returns `perplexity` (e to the entropy of the use, 1 to `codes`) and `codes_used` (share of live codes, 0 to 1).
        """
        share = mean_of_processes(torch.bincount(codes.flatten(), minlength=len(self.use)) / codes.numel())
        self.use.lerp_(share, 1 - self.USE_DECAY)
        dead = self.use < self.DEAD / len(self.use)
        vectors = of_all_processes(z.permute(0, 2, 3, 1).flatten(0, 2).float())  # [n × rows × columns, dim]
        drawn = vectors[torch.randint(len(vectors), [len(self.use)], device=z.device)]
        self.codebook[dead] = drawn[dead]
        self.use[dead] = 1 / len(self.use)
        entropy = torch.special.entr(self.use / self.use.sum()).sum()
        return {"perplexity": float(entropy.exp()), "codes_used": 1 - float(dead.float().mean())}


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(channels // 8, channels)


class ResidualBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            _norm(channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            _norm(channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.residual(x)


def _encoder(config: VQGANConfig) -> nn.Sequential:
    layers: list[nn.Module] = []
    before = 3
    for channels in config.channels:
        layers += [nn.Conv2d(before, channels, 4, stride=2, padding=1)]
        layers += [ResidualBlock(channels) for _ in range(config.blocks)]
        before = channels
    return nn.Sequential(*layers, _norm(before), nn.SiLU(), nn.Conv2d(before, config.code_dim, 1))


def _decoder(config: VQGANConfig) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(config.code_dim, config.channels[-1], 1)]
    after = [*config.channels[-2::-1], 3]
    for channels, narrower in zip(config.channels[::-1], after, strict=True):
        layers += [ResidualBlock(channels) for _ in range(config.blocks)]
        if narrower == 3:
            layers += [_norm(channels), nn.SiLU()]
        # Convolving before the picture grows is four times cheaper than after.
        layers += [nn.Conv2d(channels, 4 * narrower, 3, padding=1), nn.PixelShuffle(2)]
    return nn.Sequential(*layers)


def to_float(frames: Tensor) -> Tensor:
    """uint8 [n, height, width, 3] → float32 [n, 3, height, width] in [-1, 1], channels last in memory."""
    return (frames.float() / 127.5 - 1).permute(0, 3, 1, 2)


class VQGAN(Tokenizer):
    config: VQGANConfig

    CHUNK = 256
    """Frames in flight at once, so that a video of any length fits in memory."""
    CPU_CHUNK = 16
    """The same on a CPU, whose caches hold what lies between two layers."""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = _encoder(config)
        self.quantizer = VectorQuantizer(config.codes, config.code_dim)
        self.decoder = _decoder(config)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Tensor) -> tuple[Tensor, Quantized, Tensor]:
        """Encode, quantise and decode, for training. image: float [n, 3, height, width] in [-1, 1].

        Returns the encoder's output, float [n, code_dim, rows, columns], what became of it, and the reconstruction.
        """
        z = self.encoder(image)
        # Codes lie close together: they are told apart in float32 whatever the precision of the rest.
        with torch.autocast(z.device.type, enabled=False):
            quantized = self.quantizer(z.float())
        return z, quantized, self.decoder(quantized.vectors)

    @torch.no_grad()
    def encode(self, frames: Tensor) -> Tensor:
        """See `Tokenizer.encode`."""
        codes = []
        # In less than float32 some vectors go to another code: those that two codes are about as near to.
        with (
            torch.autocast(frames.device.type, enabled=False),
            torch.backends.cudnn.flags(enabled=True, allow_tf32=False),
        ):
            for chunk in self._chunks(frames.reshape(-1, *frames.shape[-3:])):
                z = self.encoder(to_float(chunk))  # [n, code_dim, rows, columns]
                codes.append(self.quantizer.nearest(z.permute(0, 2, 3, 1)))
        return torch.cat(codes).reshape(*frames.shape[:-3], *codes[0].shape[1:])

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """See `Tokenizer.decode`."""
        frames = []
        for chunk in self._chunks(codes.reshape(-1, *codes.shape[-2:])):
            vectors = self.quantizer.codebook[chunk].permute(0, 3, 1, 2)  # [n, code_dim, rows, columns]
            image = (self.decoder(vectors) + 1) * 127.5  # [n, 3, height, width]
            frames.append(image.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1))
        return torch.cat(frames).reshape(*codes.shape[:-2], *frames[0].shape[1:])

    def _chunks(self, x: Tensor) -> tuple[Tensor, ...]:
        return x.split(self.CPU_CHUNK if x.device.type == "cpu" else self.CHUNK)
