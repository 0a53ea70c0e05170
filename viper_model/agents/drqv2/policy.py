"""Acting on the last few frames."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from viper_model.agents.base import AgentSettings
from viper_model.agents.drqv2.frames import FRAMES, push, stack_of
from viper_model.agents.drqv2.networks import Actor, Encoder
from viper_model.agents.snapshot_policy import SnapshotPolicy


class PolicyState(NamedTuple):
    """What the policy remembers of each of n environments."""

    frames: Tensor
    """The last ones, uint8 [n, FRAMES, image_size, image_size, 3]."""
    seen: Tensor
    """Whether there has been any, bool [n]."""


class ActingNetworks(nn.Module):
    """What acting needs."""

    def __init__(self, encoder: Encoder, actor: Actor) -> None:
        super().__init__()
        self.encoder, self.actor = encoder, actor


class DrQV2Policy(SnapshotPolicy[ActingNetworks, PolicyState]):
    """Made by `DrQV2.policy`."""

    def __init__(
        self, encoder: Encoder, actor: Actor, weights_lock: AbstractContextManager[object], settings: AgentSettings
    ) -> None:
        super().__init__(ActingNetworks(encoder, actor), weights_lock, settings)

    def _initial(self, n: int) -> PolicyState:
        side = self._image_size
        frames = torch.zeros(n, FRAMES, side, side, 3, dtype=torch.uint8, device=self._device)
        return PolicyState(frames, torch.zeros(n, dtype=torch.bool, device=self._device))

    def _act(self, state: PolicyState, frame: Tensor, is_first: Tensor, sample: bool) -> tuple[Tensor, PolicyState]:
        frames = push(state.frames, frame, is_first | ~state.seen)
        action = self._networks.actor(self._networks.encoder(stack_of(frames)))
        if sample:
            action = (action + self._networks.actor.noise(action, self._generator)).clamp(-1, 1)
        return action, PolicyState(frames, torch.ones_like(state.seen))
