"""Clips to train code models on, as indices into frames that lie one after the other in one long tensor."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

FROZEN_SHARE = 0.3
"""Of the clips of recorded background: one frame, held. A picture that stands still is likely whatever it shows."""


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
        self.frames = sum(lengths)
        """Of all videos."""
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
    """Clips of recorded behaviour that is not the task, some of them replaced by a single frame that is held."""

    def __init__(self, clips: ClipSampler, stills: tuple[Tensor, ...], approaches: ClipSampler | None = None) -> None:
        """stills: indices of the frames that may be held, int64 [n] each: a held frame comes from each as often.
        approaches: of videos that lie after those of `clips`; half of the clips are of them."""
        self.clips = clips
        self.stills = stills
        self.approaches = approaches

    def draw(self, clips: int) -> tuple[Tensor, Tensor]:
        """See `Sampler.draw`; the background has one label."""
        index, _ = self.clips.draw(clips)  # [clips, frames]
        if self.approaches:
            approaching = self.approaches.draw(clips)[0] + self.clips.frames
            frames = min(index.shape[1], approaching.shape[1])
            index = torch.where(torch.rand(clips, 1) < 0.5, approaching[:, :frames], index[:, :frames])
        held = torch.stack([stills[torch.randint(len(stills), (clips,))] for stills in self.stills])
        held = held.gather(0, torch.randint(len(self.stills), (1, clips)))[0]  # [clips]
        frozen = torch.rand(clips) < FROZEN_SHARE
        return torch.where(frozen[:, None], held[:, None], index), torch.zeros(clips, dtype=torch.int64)


class MadeBackgroundSampler:
    """Clips of experts, a third of them frozen, a third reversed and a third shuffled: where nothing was recorded."""

    def __init__(self, clips: ClipSampler) -> None:
        self.clips = clips

    def draw(self, clips: int) -> tuple[Tensor, Tensor]:
        """See `Sampler.draw`; the background has one label."""
        index, _ = self.clips.draw(clips)  # [clips, frames]
        held = index.gather(1, torch.randint(index.shape[1], (clips, 1))).expand_as(index)
        shuffled = index.gather(1, torch.rand(index.shape).argsort(1))
        kind = torch.randint(3, (clips, 1))
        made = torch.where(kind == 0, held, torch.where(kind == 1, index.flip(1), shuffled))
        return made, torch.zeros(clips, dtype=torch.int64)
