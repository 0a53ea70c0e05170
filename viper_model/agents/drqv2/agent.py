"""DrQ-v2 (Yarats et al. 2021, arXiv 2107.09645): an actor and two critics on images that are shifted at random."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from viper_model.agents.base import AgentSettings, BatchShape
from viper_model.agents.batches import episode_starts
from viper_model.agents.drqv2.frames import FRAMES, padded, random_shifts, shifted_stacks
from viper_model.agents.drqv2.networks import Actor, Critics, Encoder
from viper_model.agents.drqv2.novelty import RandomNetworkDistillation
from viper_model.agents.drqv2.policy import DrQV2Policy
from viper_model.agents.drqv2.returns import STEPS, n_step_return
from viper_model.agents.drqv2.sizes import SIZES
from viper_model.agents.gradient_agent import GradientAgent
from viper_model.errors import ModelError

TARGET_RATE = 0.01
NOISE_LIMIT = 0.3
"""Of the noise on actions in the losses: they should be near what the actor means."""
UNSATURATED = 1.5
"""What the actor may answer before its tanh without a penalty: 91% of an action's limit. Beyond, the tanh lets hardly
any gradient through, and an actor that a young critic has driven there would stay."""
PRESENT = FRAMES - 1
"""The index, in a sequence, of the step whose action is learned from: enough frames come before it, and enough steps
after."""


class DrQV2(GradientAgent):
    """Learns from single steps: what led there is in a stack of frames, what followed in an n-step return.

    Both losses are computed with the same weights, and one step of the optimizer follows both; the paper's code moves
    the critics first. With `exploration_weight` (beta) above 0, what is new is rewarded beside what the batches say; at
    0 nothing of it exists.
    """

    name = "drqv2"
    sizes = tuple(SIZES)
    action_kinds = ("continuous",)
    image_sizes = (16, 32, 48, 64, 84, 128)
    sequence_steps = PRESENT + 1 + STEPS

    def __init__(self, settings: AgentSettings) -> None:
        if settings.batch_length not in (0, self.sequence_steps):
            raise ModelError(
                f"drqv2 learns from sequences of {self.sequence_steps} steps, not {settings.batch_length}: "
                f"leave the batch length at 0"
            )
        self.size = SIZES[settings.size]
        with torch.random.fork_rng(devices=[]):  # weights are drawn on the CPU
            torch.manual_seed(settings.seed)
            self.encoder = Encoder(self.size, settings.image_size)
            self.actor = Actor(self.size, self.encoder.outputs, settings.action_size)
            self.critics = Critics(self.size, self.encoder.outputs, settings.action_size)
            self.novelty = RandomNetworkDistillation() if settings.exploration_weight > 0 else None
        self.target_critics = copy.deepcopy(self.critics).requires_grad_(False)
        modules = {
            "encoder": self.encoder,
            "actor": self.actor,
            "critics": self.critics,
            "target_critics": self.target_critics,
            "novelty": self.novelty,
        }
        networks = nn.ModuleDict({k: v for k, v in modules.items() if v is not None}).to(settings.device)
        learned = [parameter for parameter in networks.parameters() if parameter.requires_grad]
        optimizer = torch.optim.Adam(learned, lr=self.size.learning_rate, fused=True)
        sequences = settings.batch_size or self.size.batch_size
        super().__init__(settings, networks, optimizer, BatchShape(sequences, self.sequence_steps, sequences, STEPS))

    def policy(self) -> DrQV2Policy:
        return DrQV2Policy(self.encoder, self.actor, self._weights_lock, self.settings, self.updates, self.size)

    def _compute_gradients(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        self._optimizer.zero_grad()
        explored, metrics = self._exploration(batch)
        after = {name: batch[name][:, PRESENT + 1 :] for name in ("reward", "is_first", "is_terminal")}
        after["reward"] = after["reward"] + explored
        outcome = n_step_return(**after, discount=self.size.discount)
        follows = (outcome.steps > 0).float()
        share = follows / follows.sum().clamp(min=1)  # [n], of the losses: an episode's last action leads nowhere
        now, later = self._encoded(batch, outcome.steps)
        features = self.critics.trunk(now)
        with torch.no_grad():
            future = self.target_critics(later, self._noisy(self.actor(later))).min(0).values  # [n]
            target = outcome.reward + outcome.discount * future
        values = self.critics.values(features, batch["action"][:, PRESENT].clamp(-1, 1))  # [CRITICS, n]
        critic_loss = ((values - target).square().sum(0) * share).sum()
        unbounded = self.actor.unbounded(now.detach())  # [n, action_size]
        value = self.critics.values(features.detach(), self._noisy(unbounded.tanh())).min(0).values  # [n]
        saturation = (unbounded.abs() - UNSATURATED).clamp(min=0).square().sum(1)  # [n]
        actor_loss = ((saturation - value) * share).sum()
        critic_loss.backward()
        actor_loss.backward(inputs=list(self.actor.parameters()))  # it moves nothing but the actor
        metrics |= {
            "critic_loss": critic_loss,
            "value": (value * share).sum(),
            "saturation": (saturation * share).sum(),
            "n_step_reward": outcome.reward.mean(),
            "exploration_std": self.actor.std,
        }
        return {name: each.detach() for name, each in metrics.items()}

    def _exploration(self, batch: Mapping[str, Tensor]) -> tuple[Tensor | float, dict[str, Tensor]]:
        """What each of the last STEPS steps is worth for its novelty, float32 [n, STEPS], and what to log.

        It counts less and less, along with the noise. Computing it learns what is no longer new.
        """
        if not self.novelty:
            return 0.0, {}
        loss, bonus = self.novelty(batch["image"], episode_starts(batch["is_first"]), STEPS)
        loss.backward()
        metrics = {"novelty_loss": loss, "novelty": bonus.mean()}
        return self.settings.exploration_weight * self.actor.std * bonus, metrics

    def _encoded(self, batch: Mapping[str, Tensor], steps: Tensor) -> tuple[Tensor, Tensor]:
        """What is seen at the step learned from and, without gradients, `steps` later: each shifted by itself.

        int64 [n] → float32 [n, outputs] each.
        """
        wide, starts = padded(batch["image"]), episode_starts(batch["is_first"])
        seen = []
        for newest in (torch.full_like(steps, PRESENT), PRESENT + steps):
            shifts = random_shifts(len(steps), self.settings.image_size, self._generator)
            seen.append(shifted_stacks(wide, starts, newest, shifts))
        with torch.no_grad():
            later = self.encoder(seen[1])
        return self.encoder(seen[0]), later

    def _noisy(self, action: Tensor) -> Tensor:
        """What is learned from is near the action.

        Nothing pulls an action further that is at its limit already: with the straight-through gradient of the paper's
        code an actor soon answers every picture with the same limit (docs/experiments.md).
        """
        noise = self.actor.noise(action, self._generator).clamp(-NOISE_LIMIT, NOISE_LIMIT)
        return (action + noise).clamp(-1, 1)

    def _after_step(self) -> None:
        for slow, fast in zip(self.target_critics.parameters(), self.critics.parameters(), strict=True):
            slow.lerp_(fast, TARGET_RATE)
        done = min(1.0, self.updates / self.size.std_updates)
        self.actor.std.fill_(self.size.first_std + done * (self.size.last_std - self.size.first_std))
