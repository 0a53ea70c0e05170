"""What agents that follow the gradient of a loss have in common: updates, checkpoints, and their place on a GPU."""

from __future__ import annotations

import math
import threading
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from viper_model.agents.base import Agent, AgentSettings, BatchShape
from viper_model.agents.batches import checked_batch
from viper_model.errors import ModelError
from viper_model.torch_tools.checkpoint import load_optimizer, load_weights, optimizer_tensors
from viper_model.torch_tools.cuda_graphs import Computation, Graphed
from viper_model.torch_tools.cuda_streams import on, own_stream


class GradientAgent(Agent):
    """An agent with one optimizer over all of its networks.

    Those that build on it say how gradients are computed and what follows a step of the optimizer.
    """

    sequence_steps: ClassVar[int | None] = None
    """How long the sequences of a batch must be; None where any length does."""

    def __init__(
        self, settings: AgentSettings, networks: nn.ModuleDict, optimizer: torch.optim.Optimizer, batch: BatchShape
    ) -> None:
        """networks: what a checkpoint holds, on the settings' device. Computing gradients may move their buffers."""
        self.settings, self.batch, self.updates = settings, batch, 0
        self._networks, self._optimizer = networks, optimizer
        self._device = device = settings.device
        self._identity = {
            "name": self.name,
            "size": settings.size,
            "action_kind": settings.action_kind,
            "action_size": settings.action_size,
            "image_size": settings.image_size,
        }
        self._weights_lock = threading.Lock()
        self._generator = torch.Generator(device).manual_seed(settings.seed)
        self._gradients: Computation = self._compute_gradients
        self._stream = own_stream(device)
        """Updates are made on it."""
        if self._stream:
            self._gradients = Graphed(self._compute_gradients, self._stream, self._generator)

    @abstractmethod
    def _compute_gradients(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Give each parameter its gradient; returns what to log, scalars. batch: from `checked_batch`.

        All of it must fit into a CUDA graph: see `Graphed`.
        """

    @abstractmethod
    def _after_step(self) -> None:
        """Move what follows the weights, once the optimizer has changed them and `updates` counts that."""

    def update(self, batch: Mapping[str, Any]) -> dict[str, float]:
        if self._stream:
            self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with on(self._stream):
            return self._update(batch)

    def _update(self, batch: Mapping[str, Any]) -> dict[str, float]:
        side, actions = self.settings.image_size, self.settings.action_size
        tensors = checked_batch(batch, side, actions, self._device, self.sequence_steps)
        averages = [buffer.clone() for buffer in self._networks.buffers()]  # they move with the loss
        metrics = self._gradients(tensors)
        logged = dict(zip(metrics, torch.stack(list(metrics.values())).tolist(), strict=True))
        if broken := [name for name, value in logged.items() if not math.isfinite(value)]:
            for buffer, before in zip(self._networks.buffers(), averages, strict=True):
                buffer.copy_(before)
            self._finish()
            raise ModelError(
                f"update {self.updates} diverged ({', '.join(broken)} not finite): go back to the last checkpoint"
            )
        with self._weights_lock, torch.no_grad():
            self._optimizer.step()
            self.updates += 1
            self._after_step()
            self._finish()
        return logged

    def _finish(self) -> None:
        """Wait until the updates' stream is done: other streams may then read what it wrote."""
        if self._stream:
            self._stream.synchronize()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors = {f"weights.{name}": value for name, value in self._networks.state_dict().items()}
        tensors |= optimizer_tensors(self._optimizer, "optimizer")
        tensors["generator"] = self._generator.get_state()
        weight = self.settings.exploration_weight
        return tensors, {**self._identity, "exploration_weight": weight, "updates": self.updates}

    def _restore_generator(self, state: Tensor) -> None:
        """Go on exactly; on another kind of device, whose random state is of another kind, from numbers of its own."""
        if state.shape == self._generator.get_state().shape:
            self._generator.set_state(state)
        else:
            (seed,) = np.random.SeedSequence([self.settings.seed, self.updates]).generate_state(1)
            self._generator.manual_seed(int(seed))

    def restore(self, tensors: Mapping[str, Tensor], document: Mapping[str, Any], path: Path) -> None:
        for key, own in self._identity.items():
            saved = document.get(key, "dreamer" if key == "name" else None)  # once there was no other agent
            if saved != own:
                raise ModelError(f"{path} holds an agent of {key} {saved!r}, not {own!r}")
        weights = {k.removeprefix("weights."): v for k, v in tensors.items() if k.startswith("weights.")}
        with self._weights_lock, on(self._stream):
            load_weights(self._networks, weights, path)
            load_optimizer(self._optimizer, dict(tensors), "optimizer")
            self.updates = document["updates"]
            self._restore_generator(tensors["generator"].cpu())
            self._finish()
