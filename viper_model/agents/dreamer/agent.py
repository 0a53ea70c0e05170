"""The agent: DreamerV3 (Hafner et al. 2023) on images, with a bonus for what it cannot predict (Sekar et al. 2020)."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from viper_model.agents.dreamer.behavior import ActionKind, Actor, Critic, Stream, behavior_loss, imagine
from viper_model.agents.dreamer.exploration import Disagreement
from viper_model.agents.dreamer.policy import ActingPolicy
from viper_model.agents.dreamer.rssm import Latent
from viper_model.agents.dreamer.sizes import size_named
from viper_model.agents.dreamer.world_model import WorldModel
from viper_model.errors import ModelError
from viper_model.torch_tools.checkpoint import load_optimizer, load_weights, optimizer_tensors, read_tensors
from viper_model.torch_tools.cuda_graphs import Computation, Graphed
from viper_model.torch_tools.cuda_streams import on, own_stream

IMAGE_SIZES = (16, 32, 64, 128)
"""Pixels a side."""
MODEL_GRADIENT_NORM, BEHAVIOR_GRADIENT_NORM = 1000.0, 100.0

BATCH_DTYPES = {
    "image": torch.uint8,
    "action": torch.float32,
    "reward": torch.float32,
    "is_first": torch.bool,
    "is_terminal": torch.bool,
}


class Agent:
    """A world model, an actor and a critic for each stream of rewards, trained together.

    The extrinsic reward is whatever the batches say it is. With `exploration_weight` (beta) above 0, a second stream
    rewards disagreement about the next state; at 0 nothing of it exists.
    """

    def __init__(
        self,
        size: str,
        action_kind: ActionKind,
        action_size: int,
        image_size: int,
        *,
        exploration_weight: float,
        seed: int,
        device: torch.device | str = "cpu",
    ) -> None:
        """size: a name in `SIZES`. image_size: one of IMAGE_SIZES. Raises ModelError."""
        if image_size not in IMAGE_SIZES:
            known = ", ".join(map(str, IMAGE_SIZES))
            raise ModelError(f"the agent cannot see images of {image_size} pixels: choose one of {known}")
        if action_kind not in ("continuous", "discrete"):
            raise ModelError(f"no action kind {action_kind!r}: choose continuous or discrete")
        self.size = size_named(size)
        self.image_size, self.action_size = image_size, action_size
        self.exploration_weight = exploration_weight
        self.updates = 0
        self._identity = {
            "size": size,
            "action_kind": action_kind,
            "action_size": action_size,
            "image_size": image_size,
        }
        self._seed = seed
        self._device = torch.device(device)
        self._weights_lock = threading.Lock()
        self._generator = torch.Generator(self._device).manual_seed(seed)

        feature = self.size.deter + self.size.stoch * self.size.classes
        explores = exploration_weight > 0
        with torch.random.fork_rng(devices=[]):  # weights are drawn on the CPU
            torch.manual_seed(seed)
            self.world_model = WorldModel(self.size, image_size, action_size)
            self.actor = Actor(self.size, feature, action_kind, action_size)
            self.critic = Critic(self.size, feature)
            self.exploration_critic = Critic(self.size, feature) if explores else None
            self.disagreement = Disagreement(self.size, feature, action_size) if explores else None
        modules = {
            "world_model": self.world_model,
            "actor": self.actor,
            "critic": self.critic,
            "exploration_critic": self.exploration_critic,
            "disagreement": self.disagreement,
        }
        self._networks = nn.ModuleDict({k: v for k, v in modules.items() if v is not None}).to(self._device)
        self._model_parameters = [
            p for module in (self.world_model, self.disagreement) if module for p in module.parameters()
        ]
        self._behavior_parameters = [
            p
            for module in (self.actor, self.critic, self.exploration_critic)
            if module
            for p in module.parameters()
            if p.requires_grad
        ]
        self._optimizer = torch.optim.Adam(
            [
                {"params": self._model_parameters, "lr": self.size.model_lr},
                {"params": self._behavior_parameters, "lr": self.size.behavior_lr},
            ],
            eps=1e-8,
            fused=True,
        )
        self._gradients: Computation = self._compute_gradients
        self._stream = own_stream(self._device)
        """Updates are made on it."""
        if self._stream:
            self._gradients = Graphed(self._compute_gradients, self._stream, self._generator)

    def policy(self) -> ActingPolicy:
        """A snapshot that acts, safe to use from another thread while `update` runs."""
        return ActingPolicy(self.world_model, self.actor, self._weights_lock, self.image_size, self._seed)

    def update(self, batch: dict[str, Any]) -> dict[str, float]:
        """Learn from sequences of experience; returns what to log.

        batch: arrays or tensors [batch, time, ...]: image uint8 [..., image_size, image_size, 3], action float32
        [..., action_size], reward float32, is_first and is_terminal bool. All things of one time step share an index:
        action[t] answers frame t, reward[t] is for reaching it. Sequences may run on into the next episode.
        Raises ModelError where the batch is of another kind, and where the loss is not finite: the weights are then as
        they were before.
        """
        if self._stream:
            self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with on(self._stream):
            return self._update(batch)

    def _update(self, batch: dict[str, Any]) -> dict[str, float]:
        tensors = self._checked(batch)
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
        with self._weights_lock:
            self._optimizer.step()
            for critic in (self.critic, self.exploration_critic):
                if critic:
                    critic.update_slow()
            self._finish()
        self.updates += 1
        return logged

    def _finish(self) -> None:
        """Wait until the updates' stream is done: other streams may then read what it wrote."""
        if self._stream:
            self._stream.synchronize()

    def _compute_gradients(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Give each parameter its clipped gradient; returns what to log, scalars. batch: from `_checked`."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self.size.bfloat16):
            loss, latent, metrics = self.world_model.loss(batch, self._generator)
            latent = Latent(latent.deter.detach(), latent.stoch.detach())
            if self.disagreement:
                disagreement_loss = self._disagreement_loss(latent, batch)
                loss, metrics["disagreement_loss"] = loss + disagreement_loss, disagreement_loss
            behavior, behavior_metrics = self._behavior_loss(latent)
        metrics |= behavior_metrics
        self._optimizer.zero_grad()
        (loss + behavior).backward()
        metrics["model_gradient_norm"] = nn.utils.clip_grad_norm_(self._model_parameters, MODEL_GRADIENT_NORM)
        metrics["behavior_gradient_norm"] = nn.utils.clip_grad_norm_(self._behavior_parameters, BEHAVIOR_GRADIENT_NORM)
        return {name: value.detach() for name, value in metrics.items()}

    def _disagreement_loss(self, latent: Latent, batch: Mapping[str, Tensor]) -> Tensor:
        assert self.disagreement
        return self.disagreement.loss(
            latent.feature[:-1].flatten(0, 1),
            batch["action"][:-1].clamp(-1, 1).flatten(0, 1),
            latent.stoch[1:].flatten(0, 1).flatten(1),
            ~batch["is_first"][1:].flatten(),
        )

    def _behavior_loss(self, latent: Latent) -> tuple[Tensor, dict[str, Tensor]]:
        deter, stoch = latent.deter.flatten(0, 1), latent.stoch.flatten(0, 1)
        order = torch.randperm(len(deter), generator=self._generator, device=self._device)
        chosen = order[: self.size.imagination_starts]
        start = Latent(deter[chosen], stoch[chosen])
        trajectory = imagine(self.world_model, self.actor, start, self.size.imagination_steps, self._generator)
        with torch.no_grad():
            reward = self.world_model.reward(trajectory.feature[1:])
            continues = self.world_model.continue_probability(trajectory.feature)
        streams = {"extrinsic": Stream(self.critic, reward, 1.0)}
        if self.disagreement and self.exploration_critic:
            bonus = self.disagreement.bonus(trajectory.feature[:-1], trajectory.action.clamp(-1, 1))
            streams["exploration"] = Stream(self.exploration_critic, bonus, self.exploration_weight)
        return behavior_loss(self.actor, streams, trajectory, continues, self.size.discount)

    def _checked(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """The batch as tensors on the device, [time, batch, ...]."""
        shapes = {
            "image": (self.image_size, self.image_size, 3),
            "action": (self.action_size,),
            "reward": (),
            "is_first": (),
            "is_terminal": (),
        }
        tensors = {}
        leading = tuple(np.shape(batch["is_first"]))
        for name, dtype in BATCH_DTYPES.items():
            value = torch.as_tensor(batch[name])
            if value.dtype != dtype or tuple(value.shape) != (*leading, *shapes[name]):
                raise ModelError(
                    f"the agent learns from {name} {dtype} {[*leading, *shapes[name]]}, "
                    f"not {value.dtype} {list(value.shape)}"
                )
            if dtype == torch.float32 and not bool(value.isfinite().all()):
                raise ModelError(f"the batch's {name} is not finite")
            tensors[name] = value.to(self._device).transpose(0, 1).contiguous()
        return tensors

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that training needs to go on exactly: tensors and a JSON document, for `write_tensors`.

        The tensors are the live ones: hold off `update` until they are written or cloned.
        """
        tensors = {f"weights.{name}": value for name, value in self._networks.state_dict().items()}
        tensors |= optimizer_tensors(self._optimizer, "optimizer")
        tensors["generator"] = self._generator.get_state()
        document = {**self._identity, "exploration_weight": self.exploration_weight, "updates": self.updates}
        return tensors, document

    def restore(self, tensors: dict[str, Tensor], document: dict[str, Any], path: Path) -> None:
        """Put back what `state` gave, read from `path`. Raises ModelError where it is another agent's."""
        for name, own in self._identity.items():
            if document.get(name) != own:
                raise ModelError(f"{path} holds an agent of {name} {document.get(name)!r}, not {own!r}")
        weights = {k.removeprefix("weights."): v for k, v in tensors.items() if k.startswith("weights.")}
        with self._weights_lock, on(self._stream):
            load_weights(self._networks, weights, path)
            load_optimizer(self._optimizer, tensors, "optimizer")
            self._generator.set_state(tensors["generator"].cpu())
            self.updates = document["updates"]
            self._finish()

    @classmethod
    def load(cls, path: Path, device: torch.device | str = "cpu") -> Agent:
        """The agent in a checkpoint that `Learner.save` wrote. Raises ModelError where there is none."""
        tensors, document = read_tensors(path, device)
        if "agent" not in document:
            raise ModelError(f"{path} holds no agent")
        saved = document["agent"]
        agent = cls(
            saved["size"],
            saved["action_kind"],
            saved["action_size"],
            saved["image_size"],
            exploration_weight=saved["exploration_weight"],
            seed=0,
            device=device,
        )
        agent.restore(tensors, saved, path)
        return agent
