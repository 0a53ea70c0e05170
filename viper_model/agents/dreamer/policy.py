"""Acting with what the world model makes of the frames so far."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from viper_model.agents.base import AgentSettings
from viper_model.agents.dreamer.behavior import Actor
from viper_model.agents.dreamer.networks import patches_of
from viper_model.agents.dreamer.rssm import Latent
from viper_model.agents.dreamer.world_model import WorldModel
from viper_model.agents.snapshot_policy import SnapshotPolicy


class PolicyState(NamedTuple):
    """What the policy remembers of each of n environments."""

    latent: Latent
    action: Tensor
    """The action taken last, [n, action_size]."""


class ActingNetworks(nn.Module):
    """What acting needs: mean frame, encoder, RSSM and actor."""

    def __init__(self, model: WorldModel, actor: Actor) -> None:
        super().__init__()
        self.mean_frame, self.encoder, self.rssm, self.actor = model.mean_frame, model.encoder, model.rssm, actor


class DreamerPolicy(SnapshotPolicy[ActingNetworks, PolicyState]):
    """Made by `Dreamer.policy`."""

    def __init__(
        self,
        model: WorldModel,
        actor: Actor,
        weights_lock: AbstractContextManager[object],
        settings: AgentSettings,
        updates: int,
    ) -> None:
        super().__init__(ActingNetworks(model, actor), weights_lock, settings, updates)
        self._grid = model.grid

    def _initial(self, n: int) -> PolicyState:
        rssm = self._networks.rssm
        return PolicyState(rssm.initial(n), torch.zeros(n, rssm.action_in.in_features, device=self._device))

    def _act(self, state: PolicyState, frame: Tensor, is_first: Tensor, sample: bool) -> tuple[Tensor, PolicyState]:
        patches = patches_of(frame, self._grid) - self._networks.mean_frame.mean
        noise = self._networks.rssm.noise(1, len(frame), self._generator)[0]
        latent = self._networks.rssm.observe_step(
            state.latent,
            self._networks.encoder(patches),
            state.action,
            is_first,
            noise if sample else torch.ones_like(noise),
        )
        policy = self._networks.actor(latent.feature)
        action = (policy.sample(self._generator) if sample else policy.mode()).clamp(-1, 1)
        return action, PolicyState(latent, action)
