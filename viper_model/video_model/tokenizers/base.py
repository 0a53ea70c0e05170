"""What every tokenizer answers: a frame is a square grid of discrete codes."""

from __future__ import annotations

import abc
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class TokenizerConfig(abc.ABC):
    image_size: int
    """Frames are square, this many pixels a side."""
    codes: int
    """Size of the codebook."""

    @property
    @abc.abstractmethod
    def grid(self) -> int:
        """Rows, and columns, of codes in a frame."""


class Tokenizer(nn.Module, abc.ABC):
    config: TokenizerConfig

    @abc.abstractmethod
    def encode(self, frames: Tensor) -> Tensor:
        """uint8 [..., height, width, 3] → codes, int64 [..., rows, columns].

        A frame's codes don't depend on the frames beside it.
        """

    @abc.abstractmethod
    def decode(self, codes: Tensor) -> Tensor:
        """Codes, int64 [..., rows, columns] → uint8 [..., height, width, 3]."""
