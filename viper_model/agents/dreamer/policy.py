"""Acting while training goes on."""

from __future__ import annotations

import copy
import threading
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from viper_model.agents.dreamer.behavior import Actor
from viper_model.agents.dreamer.networks import patches_of
from viper_model.agents.dreamer.rssm import Latent
from viper_model.agents.dreamer.world_model import WorldModel
from viper_model.errors import ModelError
from viper_model.torch_tools.cuda_streams import QUICK, on, own_stream


def _all_finite(tensors: Mapping[str, Tensor]) -> bool:
    return all(bool(value.isfinite().all()) for value in tensors.values())


class PolicyState(NamedTuple):
    """What the policy remembers of each of n environments."""

    latent: Latent
    action: Tensor
    """The action taken last, [n, action_size]."""


class _Networks(nn.Module):
    """What acting needs."""

    def __init__(self, model: WorldModel, actor: Actor) -> None:
        super().__init__()
        self.mean_frame, self.encoder, self.rssm, self.actor = model.mean_frame, model.encoder, model.rssm, actor


class ActingPolicy:
    """A copy of what acting needs: encoder, RSSM and actor. It can be used from any thread while the agent trains.

    Made by `Agent.policy`.
    """

    def __init__(
        self, model: WorldModel, actor: Actor, weights_lock: AbstractContextManager[object], image_size: int, seed: int
    ) -> None:
        self._source = _Networks(model, actor)
        self._networks = copy.deepcopy(self._source).requires_grad_(False)
        self._weights_lock = weights_lock
        self._lock = threading.Lock()
        self._grid, self._image_size = model.grid, image_size
        self._device = self._networks.rssm.gru.weight.device
        self._action_size = self._networks.rssm.action_in.in_features
        self._generator = torch.Generator(self._device).manual_seed(seed)
        self._stream = own_stream(self._device, QUICK)
        self.refresh()

    @torch.no_grad()
    def refresh(self) -> None:
        """Take over the agent's newest weights. Raises ModelError where they are not finite, and keeps the old ones."""
        with self._lock, self._weights_lock, on(self._stream):
            newest = self._source.state_dict()
            if not _all_finite(newest):
                # One run in some thirty ended here though the weights, saved a little later, were finite: look again.
                if not _all_finite(newest):
                    raise ModelError("the agent's weights are not finite: go back to an earlier checkpoint")
                warnings.warn("the agent's weights looked not finite, and were at a second look", stacklevel=2)
            self._networks.load_state_dict(newest)
            if self._stream:
                self._stream.synchronize()  # the next update may begin to change what is copied

    def initial(self, n: int) -> PolicyState:
        """The state of n environments before their first frame."""
        with on(self._stream):
            return PolicyState(self._networks.rssm.initial(n), torch.zeros(n, self._action_size, device=self._device))

    @torch.inference_mode()
    def act(
        self, state: PolicyState, image: np.ndarray, is_first: np.ndarray, sample: bool
    ) -> tuple[np.ndarray, PolicyState]:
        """Answer a frame of each of n environments.

        image: uint8 [n, image_size, image_size, 3]. is_first: bool [n], the frame begins an episode: its row of `state`
        is forgotten. sample: draw the latent and the action, as for training; otherwise take the likeliest.
        Returns the actions, float32 [n, action_size] (in [-1, 1], or one-hot), and the next state.
        Raises ModelError where the image is of another kind and where an action would not be finite.
        """
        n = len(state.action)
        expected = (n, self._image_size, self._image_size, 3)
        if image.dtype != np.uint8 or image.shape != expected:
            raise ModelError(f"the policy sees uint8 images {list(expected)}, not {image.dtype} {list(image.shape)}")
        with self._lock, on(self._stream):
            frame = torch.from_numpy(np.ascontiguousarray(image)).to(self._device)
            patches = patches_of(frame, self._grid) - self._networks.mean_frame.mean
            noise = self._networks.rssm.noise(1, n, self._generator)[0]
            latent = self._networks.rssm.observe_step(
                state.latent,
                self._networks.encoder(patches),
                state.action,
                torch.from_numpy(np.asarray(is_first, bool)).to(self._device),
                noise if sample else torch.ones_like(noise),
            )
            policy = self._networks.actor(latent.feature)
            action = (policy.sample(self._generator) if sample else policy.mode()).clamp(-1, 1)
            answer = action.cpu().numpy()
        if not np.isfinite(answer).all():
            raise ModelError("the policy's action is not finite: go back to an earlier checkpoint")
        return answer, PolicyState(latent, action)
