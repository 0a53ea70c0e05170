"""Clips to train code models on, as indices into frames that lie one after the other in one long tensor."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

FROZEN_SHARE = 0.15
"""Of the clips of recorded background: one of its frames, held. A picture that stands still is likely whatever it
shows."""


class Sampler(Protocol):
    def draw(self, clips: int) -> tuple[Tensor, Tensor]:
        """Random clips: frames' indices, int64 [clips, frames], and tasks' indices, int64 [clips].

        Drawn from PyTorch's default generator.
        """
        ...


class ClipSampler:
    """Clips of videos as they are."""

    def __init__(self, lengths: list[int], tasks: list[int], clip_frames: int, frame_skip: int) -> None:
        """lengths: frames of each video. A clip takes every frame_skip-th frame and never leaves its video."""
        lengths_ = torch.tensor(lengths)
        # Short videos make all clips short, as a batch has one length.
        frames = min(clip_frames, -(-min(lengths) // frame_skip))
        self.tasks = torch.tensor(tasks)
        self.begin = lengths_.cumsum(0) - lengths_
        self.starts = lengths_ - (frames - 1) * frame_skip
        """How many first frames a clip of each video can have."""
        self.offsets = torch.arange(frames) * frame_skip

    def draw(self, clips: int) -> tuple[Tensor, Tensor]:
        """See `Sampler.draw`: all clips are equally likely."""
        video = torch.multinomial(self.starts.float(), clips, replacement=True)
        start = (torch.rand(clips, dtype=torch.float64) * self.starts[video]).long()
        return (self.begin[video] + start)[:, None] + self.offsets, self.tasks[video]


class BackgroundSampler:
    """Clips of behaviour that is not the task: recorded, or made of experts' clips where nothing was recorded."""

    def __init__(self, clips: ClipSampler, *, made: bool) -> None:
        """clips: of recorded background, or of experts where `made`: a third of those is then frozen, a third reversed
        and a third shuffled."""
        self.clips = clips
        self.made = made

    def draw(self, clips: int) -> tuple[Tensor, Tensor]:
        """See `Sampler.draw`; the background has one label."""
        index, _ = self.clips.draw(clips)  # [clips, frames]
        kind = torch.rand(clips)
        frozen = kind < (1 / 3 if self.made else FROZEN_SHARE)
        held = index.gather(1, torch.randint(index.shape[1], (clips, 1)))  # [clips, 1]
        index = torch.where(frozen[:, None], held, index)
        if self.made:
            backwards = (kind >= 1 / 3) & (kind < 2 / 3)
            shuffled = index.gather(1, torch.rand(index.shape).argsort(1))
            index = torch.where(backwards[:, None], index.flip(1), torch.where(frozen[:, None], index, shuffled))
        return index, torch.zeros(clips, dtype=torch.int64)
