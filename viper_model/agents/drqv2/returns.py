"""What an action earned: n-step returns that stop where the episode does."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

STEPS = 3
"""Rewards that are added up before the critics' estimate of the rest, at most."""


class NStepReturn(NamedTuple):
    """What followed a step, for each of n sequences."""

    reward: Tensor
    """The discounted sum of the rewards, float32 [n]."""
    discount: Tensor
    """What the value of the state reached counts, float32 [n]: 0 where the episode terminated there."""
    steps: Tensor
    """How many steps later that state is, int64 [n], up to STEPS. 0 where the episode had ended: nothing followed."""


def n_step_return(reward: Tensor, is_first: Tensor, is_terminal: Tensor, discount: float) -> NStepReturn:
    """sum_k=1..n discount^(k-1) r_k, where n is STEPS or, if that is less, what is left of the episode.

    reward: float32 [n, STEPS], is_first and is_terminal: bool [n, STEPS], of the steps after the one of interest. A
    step that is_first belongs to the next episode, as do those after it.
    """
    follows = (~is_first).cumprod(1)  # [n, STEPS]: 1 up to the episode's end
    steps = follows.sum(1)
    powers = discount ** torch.arange(STEPS + 1, device=reward.device)  # [STEPS + 1]
    terminated = (is_terminal & follows.bool()).any(1)
    return NStepReturn((reward * follows * powers[:-1]).sum(1), powers[steps] * ~terminated, steps)
