"""How large the agent is, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Convolution(NamedTuple):
    channels: int
    """Of the output."""
    kernel: int
    stride: int
    padding: int


@dataclass(frozen=True)
class Size:
    """What changes from one size to another."""

    convolutions: tuple[Convolution, ...]
    features: int
    """What the trunks make of the encoder's output."""
    hidden: int
    """Units of each hidden layer."""
    layer_norm: bool
    """Whether each hidden layer of actor and critics is normalized (Ball et al. 2023, arXiv 2302.02948)."""
    orthogonal: bool
    """Whether weights begin orthogonal and biases at 0, as in the paper's code; else as PyTorch begins them."""
    batch_size: int
    learning_rate: float
    discount: float
    first_std: float
    """Standard deviation of the exploration noise before the first update,"""
    last_std: float
    """and after the last of"""
    std_updates: int
    """so many, between which it falls linearly."""
    noise_memories: tuple[int, ...]
    """How many steps each part of the exploration noise lasts, about. One of 1 is white noise; several, each four times
    the one before, are near pink noise, whose neighbours in time are alike (Eberhard et al. 2023, "Pink Noise Is All
    You Need")."""


SIZES = {
    "tiny": Size(
        convolutions=(Convolution(16, 4, 2, 1), Convolution(32, 3, 2, 1), Convolution(32, 3, 1, 1)),
        features=50,
        hidden=256,
        layer_norm=True,
        orthogonal=False,
        batch_size=128,
        learning_rate=3e-4,
        discount=0.99,
        first_std=1.0,
        last_std=0.1,
        std_updates=8_000,
        noise_memories=(1, 4, 16, 64),
    ),
    "paper": Size(
        convolutions=(Convolution(32, 3, 2, 0), *3 * (Convolution(32, 3, 1, 0),)),
        features=50,
        hidden=1024,
        layer_norm=False,
        orthogonal=True,
        batch_size=256,
        learning_rate=1e-4,
        discount=0.99,
        first_std=1.0,
        last_std=0.1,
        std_updates=100_000,
        noise_memories=(1,),
    ),
}
"""`tiny` learns on a CPU core from images of 32 pixels; `paper` has the settings of Yarats et al. 2021, but for the
noise's schedule, which counts updates."""
