"""Acting on the last few frames."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from viper_model.agents.base import AgentSettings
from viper_model.agents.drqv2.frames import FRAMES, push, stack_of
from viper_model.agents.drqv2.networks import Actor, Encoder
from viper_model.agents.drqv2.sizes import Size
from viper_model.agents.snapshot_policy import SnapshotPolicy


class PolicyState(NamedTuple):
    """What the policy remembers of each of n environments."""

    frames: Tensor
    """The last ones, uint8 [n, FRAMES, image_size, image_size, 3]."""
    seen: Tensor
    """Whether there has been any, bool [n]."""
    noise: Tensor
    """The parts of the exploration noise, each of a standard deviation of 1: float32 [n, parts, action_size]."""


class ActingNetworks(nn.Module):
    """What acting needs."""

    def __init__(self, encoder: Encoder, actor: Actor) -> None:
        super().__init__()
        self.encoder, self.actor = encoder, actor


class DrQV2Policy(SnapshotPolicy[ActingNetworks, PolicyState]):
    """Made by `DrQV2.policy`."""

    def __init__(
        self,
        encoder: Encoder,
        actor: Actor,
        weights_lock: AbstractContextManager[object],
        settings: AgentSettings,
        updates: int,
        size: Size,
    ) -> None:
        super().__init__(ActingNetworks(encoder, actor), weights_lock, settings, updates)
        self._action_size = settings.action_size
        self._kept = 1 - 1 / torch.tensor(size.noise_memories, device=settings.device)[:, None]  # [parts, 1]

    def _initial(self, n: int) -> PolicyState:
        side = self._image_size
        frames = torch.zeros(n, FRAMES, side, side, 3, dtype=torch.uint8, device=self._device)
        noise = torch.zeros(n, len(self._kept), self._action_size, device=self._device)
        return PolicyState(frames, torch.zeros(n, dtype=torch.bool, device=self._device), noise)

    def _act(self, state: PolicyState, frame: Tensor, is_first: Tensor, sample: bool) -> tuple[Tensor, PolicyState]:
        begins = is_first | ~state.seen
        frames = push(state.frames, frame, begins)
        action = self._networks.actor(self._networks.encoder(stack_of(frames)))
        noise = state.noise
        if sample:
            noise = self._next_noise(noise, begins)
            action = (action + self._networks.actor.std * noise.sum(1) / len(self._kept) ** 0.5).clamp(-1, 1)
        return action, PolicyState(frames, torch.ones_like(state.seen), noise)

    def _next_noise(self, noise: Tensor, begins: Tensor) -> Tensor:
        """Of each part what is kept and as much that is new as leaves its standard deviation. begins: bool [n], nothing
        is kept."""
        new = torch.empty_like(noise).normal_(generator=self._generator)  # [n, parts, action_size]
        kept = self._kept * ~begins[:, None, None]  # [n, parts, 1]
        return kept * noise + (1 - kept.square()).sqrt() * new
