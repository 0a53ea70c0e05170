"""DreamerV3 (Hafner et al. 2023) on images, with a bonus for what it cannot predict (Sekar et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from viper_model.agents.base import AgentSettings, BatchShape
from viper_model.agents.dreamer.behavior import Actor, Critic, RewardStream, behavior_loss, imagine_trajectory
from viper_model.agents.dreamer.exploration import Disagreement
from viper_model.agents.dreamer.policy import DreamerPolicy
from viper_model.agents.dreamer.rssm import Latent
from viper_model.agents.dreamer.sizes import SIZES
from viper_model.agents.dreamer.world_model import WorldModel
from viper_model.agents.gradient_agent import GradientAgent
from viper_model.torch_tools.precision import multiplies_bfloat16

MODEL_GRADIENT_NORM, BEHAVIOR_GRADIENT_NORM = 1000.0, 100.0


class Dreamer(GradientAgent):
    """A world model, an actor and a critic for each stream of rewards, trained together.

    The extrinsic reward is whatever the batches say it is. With `exploration_weight` (beta) above 0, a second stream
    rewards disagreement about the next state; at 0 nothing of it exists. It learns from sequences of any length.
    """

    name = "dreamer"
    sizes = tuple(SIZES)
    action_kinds = ("continuous", "discrete")
    image_sizes = (16, 32, 64, 128)

    def __init__(self, settings: AgentSettings) -> None:
        self.size = SIZES[settings.size]
        feature = self.size.deter + self.size.stoch * self.size.classes
        explores = settings.exploration_weight > 0
        with torch.random.fork_rng(devices=[]):  # weights are drawn on the CPU
            torch.manual_seed(settings.seed)
            self.world_model = WorldModel(self.size, settings.image_size, settings.action_size)
            self.actor = Actor(self.size, feature, settings.action_kind, settings.action_size)
            self.critic = Critic(self.size, feature)
            self.exploration_critic = Critic(self.size, feature) if explores else None
            self.disagreement = Disagreement(self.size, feature, settings.action_size) if explores else None
        modules = {
            "world_model": self.world_model,
            "actor": self.actor,
            "critic": self.critic,
            "exploration_critic": self.exploration_critic,
            "disagreement": self.disagreement,
        }
        networks = nn.ModuleDict({k: v for k, v in modules.items() if v is not None}).to(settings.device)
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
        optimizer = torch.optim.Adam(
            [
                {"params": self._model_parameters, "lr": self.size.model_lr},
                {"params": self._behavior_parameters, "lr": self.size.behavior_lr},
            ],
            eps=1e-8,
            fused=True,
        )
        sequences, steps = settings.batch_size or self.size.batch_size, settings.batch_length or self.size.batch_length
        super().__init__(settings, networks, optimizer, BatchShape(sequences, steps, sequences * steps, steps))

    def policy(self) -> DreamerPolicy:
        return DreamerPolicy(self.world_model, self.actor, self._weights_lock, self.settings, self.updates)

    def _after_step(self) -> None:
        for critic in (self.critic, self.exploration_critic):
            if critic:
                critic.update_slow()

    def _compute_gradients(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        batch = {name: value.transpose(0, 1).contiguous() for name, value in batch.items()}  # [time, batch, ...]
        bfloat16 = self.size.bfloat16 and multiplies_bfloat16(self._device)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=bfloat16):
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
        trajectory = imagine_trajectory(
            self.world_model, self.actor, start, self.size.imagination_steps, self._generator
        )
        with torch.no_grad():
            reward = self.world_model.reward(trajectory.feature[1:])
            continues = self.world_model.continue_probability(trajectory.feature)
        streams = {"extrinsic": RewardStream(self.critic, reward, 1.0)}
        if self.disagreement and self.exploration_critic:
            bonus = self.disagreement.bonus(trajectory.feature[:-1], trajectory.action.clamp(-1, 1))
            streams["exploration"] = RewardStream(self.exploration_critic, bonus, self.settings.exploration_weight)
        return behavior_loss(self.actor, streams, trajectory, continues, self.size.discount)
