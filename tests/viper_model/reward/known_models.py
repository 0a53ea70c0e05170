"""Models whose likelihood is known: each frame is sure to be the one before, moved on by two pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from viper_model.reward.likelihood import Calibration, CodeLogProbs, LikelihoodStream


class KnowsTheSlide:
    tasks: tuple[str, ...] = ("slide",)
    image_size, context, frame_skip, has_background = 16, 2, 1, True
    worth_nothing = -8.0
    """Nats a frame; a square that stands still is 8.5 nats from one that slides."""

    def __init__(self) -> None:
        scale = Calibration({"expert": (0.0,) * 5, "shuffled": (self.worth_nothing,) * 5})
        self.calibration = dict.fromkeys(self.tasks, scale)

    def task_index(self, task: str) -> int:
        return self.tasks.index(task)

    def task_log_probs(self, frames: Tensor) -> Tensor:
        """[batch, time], nats a frame."""
        expected = frames[:, :-1].roll(2, dims=3).float()
        error = (frames[:, 1:].float() - expected).abs().mean((2, 3, 4))
        return -torch.nn.functional.pad(error, (1, 0))

    def background_log_probs(self, frames: Tensor) -> Tensor:
        """Every frame is as likely: [batch, time], nats a frame."""
        return torch.full(frames.shape[:2], -2.0)

    def log_probs(self, frames: Tensor, task: Tensor, *, background: bool = False) -> CodeLogProbs:
        of_task, of_background = self.task_log_probs(frames), self.background_log_probs(frames)
        return CodeLogProbs(of_task[..., None, None], of_background[..., None, None] if background else None)

    def stream(self, videos: int, *, background: bool = False) -> LikelihoodStream:
        raise NotImplementedError

    def imagine(self, frames: Tensor, task: Tensor, steps: int, generator: torch.Generator) -> Tensor:
        raise NotImplementedError


def frames_differ(frames: Tensor) -> Tensor:
    """By how much each frame differs from the one before, [batch, time]."""
    error = frames.float().diff(dim=1).abs().mean((2, 3, 4))
    return torch.nn.functional.pad(error, (1, 0))


class LikesStillPictures(KnowsTheSlide):
    """Each frame is sure to be the one before: the likeliest video is a still picture."""

    worth_nothing = -20.0

    def task_log_probs(self, frames: Tensor) -> Tensor:
        return -frames_differ(frames)


class StandsOrSlides(KnowsTheSlide):
    """The slide is likely, and so is standing still; the background knows of standing still alone."""

    def task_log_probs(self, frames: Tensor) -> Tensor:
        return torch.maximum(super().task_log_probs(frames), -frames_differ(frames))

    def background_log_probs(self, frames: Tensor) -> Tensor:
        return -frames_differ(frames)


class KnowsNothing(KnowsTheSlide):
    def task_log_probs(self, frames: Tensor) -> Tensor:
        return torch.full(frames.shape[:2], -2.0)


class SeesSingleFrames(KnowsTheSlide):
    def task_log_probs(self, frames: Tensor) -> Tensor:
        return -(frames.float().mean(-1) * torch.arange(16.0)).mean((2, 3))


class FindsExpertsUnlikely(KnowsTheSlide):
    def background_log_probs(self, frames: Tensor) -> Tensor:
        return torch.zeros(frames.shape[:2]) + 1.0


class BackgroundKnowsLess(KnowsTheSlide):
    """What is unlikely for the task's model is more so for the background's: the ratio is best there."""

    def background_log_probs(self, frames: Tensor) -> Tensor:
        return 2 * self.task_log_probs(frames)


class WithoutBackground(KnowsTheSlide):
    has_background = False
