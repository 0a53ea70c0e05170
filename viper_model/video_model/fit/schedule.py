"""How long and how fast a video model of a named size is trained."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass


@dataclass(frozen=True)
class TokenizerSchedule:
    """Of a tokenizer that is trained by gradients: the VQ-GAN."""

    steps: int
    batch: int
    """Frames."""
    rate: float
    adversarial_start: int
    """The step from which the discriminator takes part."""
    discriminator_width: int


@dataclass(frozen=True)
class CodeModelSchedule:
    steps: int
    background_steps: int
    """Of the background's code model, where there is one."""
    batch: int
    """Clips."""
    rate: float
    clip_frames: int
    """Longer than the context where memory and time allow, so that the band is trained as it is used."""
    ema_decay: float
    """The code model that is kept is the exponential moving average of the trained one, with this decay a step, and
    with less at first: see `average_decay`."""


@dataclass(frozen=True)
class TrainingSchedule:
    tokenizer: TokenizerSchedule
    code_model: CodeModelSchedule


_TINY = TrainingSchedule(
    TokenizerSchedule(steps=600, batch=32, rate=2e-3, adversarial_start=500, discriminator_width=16),
    CodeModelSchedule(steps=500, background_steps=500, batch=8, rate=2e-3, clip_frames=12, ema_decay=0.98),
)
_PAPER = TrainingSchedule(
    TokenizerSchedule(steps=100_000, batch=128, rate=1e-4, adversarial_start=20_000, discriminator_width=32),
    CodeModelSchedule(steps=200_000, background_steps=100_000, batch=32, rate=3e-4, clip_frames=32, ema_decay=0.9999),
)


def _clips_of(schedule: TrainingSchedule, frames: int) -> TrainingSchedule:
    return dataclasses.replace(schedule, code_model=dataclasses.replace(schedule.code_model, clip_frames=frames))


SCHEDULES = {
    "tiny": _TINY,
    "tiny64": _clips_of(_TINY, 8),
    "dmc": _PAPER,
    "atari": _clips_of(_PAPER, 8),
    "arms": _clips_of(_PAPER, 8),
}


def learning_rate(step: int, steps: int) -> float:
    """Share of the full rate: a warm-up over the first twentieth, then half a cosine down to a twentieth."""
    warm_up = min(1.0, (step + 1) / max(1, steps // 20))
    return warm_up * (0.05 + 0.95 * (1 + math.cos(math.pi * step / steps)) / 2)


def average_decay(decay: float, step: int) -> float:
    """Decay of the average of weights at the step-th step, from 1: over the last tenth or so of the steps, until they
    are as many as `decay` stands for.

    Otherwise a training that is short beside 1 / (1 - decay) steps would end with the weights that it began with.
    """
    return min(decay, (1 + step) / (10 + step))
