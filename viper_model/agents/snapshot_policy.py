"""Acting with a copy of the weights while training changes them."""

from __future__ import annotations

import copy
import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from viper_model.agents.base import AgentSettings
from viper_model.errors import ModelError
from viper_model.torch_tools.cuda_streams import QUICK, on, own_stream

Networks = TypeVar("Networks", bound=nn.Module)
State = TypeVar("State")


def _all_finite(tensors: Mapping[str, Tensor]) -> bool:
    return bool(get_total_norm(tensors.values()).isfinite())  # a tenth of the time of asking each


class SnapshotPolicy(ABC, Generic[Networks, State]):
    """An `ActingPolicy` with a copy of the networks that acting needs. Each agent adds how they answer a frame."""

    def __init__(
        self, source: Networks, weights_lock: AbstractContextManager[object], settings: AgentSettings, updates: int
    ) -> None:
        """source: the networks that training changes, holding `weights_lock` while it does. updates: how many it has
        made; a run that goes on explores otherwise than it began."""
        self._source = source
        self._networks = copy.deepcopy(source).requires_grad_(False)
        self._weights_lock = weights_lock
        self._lock = threading.Lock()
        self._image_size, self._device = settings.image_size, settings.device
        (seed,) = np.random.SeedSequence([settings.seed, updates]).generate_state(1)
        self._generator = torch.Generator(self._device).manual_seed(int(seed))
        self._stream = own_stream(self._device, QUICK)
        self.refresh()

    @torch.no_grad()
    def refresh(self) -> None:
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

    def initial(self, n: int) -> State:
        with on(self._stream):
            return self._initial(n)

    @torch.inference_mode()
    def act(self, state: State, image: np.ndarray, is_first: np.ndarray, sample: bool) -> tuple[np.ndarray, State]:
        expected = (len(is_first), self._image_size, self._image_size, 3)
        if image.dtype != np.uint8 or image.shape != expected:
            raise ModelError(f"the policy sees uint8 images {list(expected)}, not {image.dtype} {list(image.shape)}")
        with self._lock, on(self._stream):
            frame = torch.from_numpy(np.ascontiguousarray(image)).to(self._device)
            first = torch.from_numpy(np.asarray(is_first, bool)).to(self._device)
            action, state = self._act(state, frame, first, sample)
            answer = action.cpu().numpy()
        if not np.isfinite(answer).all():
            raise ModelError("the policy's action is not finite: go back to an earlier checkpoint")
        return answer, state

    @abstractmethod
    def _initial(self, n: int) -> State:
        """The state of n environments before their first frame."""

    @abstractmethod
    def _act(self, state: State, frame: Tensor, is_first: Tensor, sample: bool) -> tuple[Tensor, State]:
        """As `ActingPolicy.act`, with tensors on the policy's device."""
