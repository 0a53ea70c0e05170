"""What to do: an actor and its critics, trained on trajectories that the world model imagines."""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from viper_model.agents.base import ActionKind
from viper_model.agents.dreamer.networks import BINS, MLP, two_hot_loss, two_hot_mean
from viper_model.agents.dreamer.rssm import Latent, exponential_noise, sample_one_hot, unimix_probs
from viper_model.agents.dreamer.sizes import Size
from viper_model.agents.dreamer.world_model import WorldModel

LAMBDA = 0.95
ENTROPY_SCALE = 3e-4
SLOW_CRITIC_RATE = 0.02
RETURN_RANGE_RATE = 0.01
MIN_STD, MAX_STD = 0.1, 1.0


class ActionDistribution(Protocol):
    """A distribution over actions [..., action_size], one for each leading index."""

    def sample(self, generator: torch.Generator) -> Tensor: ...

    def mode(self) -> Tensor: ...

    def log_prob(self, action: Tensor) -> Tensor:
        """[..., action_size] → [...], nats."""
        ...

    def entropy(self) -> Tensor:
        """[...], nats."""
        ...


class BoundedNormal:
    """Independent normals with means in [-1, 1] and standard deviations in [MIN_STD, MAX_STD]."""

    def __init__(self, parameters: Tensor) -> None:
        mean, std = parameters.float().chunk(2, -1)
        self.mean = mean.tanh()
        self.std = MIN_STD + (MAX_STD - MIN_STD) * (std + 2).sigmoid()

    def sample(self, generator: torch.Generator) -> Tensor:
        noise = torch.empty_like(self.mean).normal_(generator=generator)
        return self.mean + self.std * noise

    def mode(self) -> Tensor:
        return self.mean

    def log_prob(self, action: Tensor) -> Tensor:
        z = (action - self.mean) / self.std
        return (-0.5 * z.square() - self.std.log() - 0.5 * math.log(2 * math.pi)).sum(-1)

    def entropy(self) -> Tensor:
        return (self.std.log() + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)


class OneHotCategorical:
    """One choice, as a one-hot vector. Every choice keeps a little probability."""

    def __init__(self, logits: Tensor) -> None:
        self.probs = unimix_probs(logits)

    def sample(self, generator: torch.Generator) -> Tensor:
        return sample_one_hot(self.probs, exponential_noise(tuple(self.probs.shape), generator)).detach()

    def mode(self) -> Tensor:
        return sample_one_hot(self.probs, torch.ones_like(self.probs)).detach()

    def log_prob(self, action: Tensor) -> Tensor:
        return (action * self.probs.log()).sum(-1)

    def entropy(self) -> Tensor:
        return -(self.probs * self.probs.log()).sum(-1)


class Actor(nn.Module):
    """pi(a | s). [..., feature] → a distribution over actions."""

    def __init__(self, size: Size, feature: int, action_kind: ActionKind, action_size: int) -> None:
        super().__init__()
        self.distribution = BoundedNormal if action_kind == "continuous" else OneHotCategorical
        outputs = 2 * action_size if action_kind == "continuous" else action_size
        # A small output scale: the first actions are near uniform whatever the state.
        self.net = MLP(feature, size.units, size.layers, outputs, output_scale=0.01)

    def forward(self, feature: Tensor) -> ActionDistribution:
        return self.distribution(self.net(feature))


class Critic(nn.Module):
    """The expected return of one stream of rewards, a slow copy of the network that it must stay near, and the scale
    of the returns: the range from the 5th to the 95th percentile, averaged over updates (Hafner et al. 2023, eq. 12).
    """

    range_average: Tensor
    range_weight: Tensor

    def __init__(self, size: Size, feature: int) -> None:
        super().__init__()
        self.net = MLP(feature, size.units, size.layers, BINS, output_scale=0)
        self.slow = MLP(feature, size.units, size.layers, BINS, output_scale=0).requires_grad_(False)
        self.slow.load_state_dict(self.net.state_dict())
        self.register_buffer("range_average", torch.zeros(()))
        self.register_buffer("range_weight", torch.zeros(()))

    def forward(self, feature: Tensor) -> Tensor:
        """The value distribution's logits, [..., feature] → [..., BINS]."""
        logits: Tensor = self.net(feature)
        return logits

    def loss(self, logits: Tensor, returns: Tensor, feature: Tensor) -> Tensor:
        """[...]: cross entropy of `logits` to the returns and to what the slow copy says of the states."""
        with torch.no_grad():
            slow = two_hot_mean(self.slow(feature))
        return two_hot_loss(logits, returns, slow)

    def return_scale(self, returns: Tensor) -> Tensor:
        """What to divide advantages by, at least 1: small returns are not blown up to noise. Counts `returns` in."""
        ends = torch.linspace(0.05, 0.95, 2, device=returns.device)  # made where it is used: no wait for a copy
        low, high = torch.quantile(returns.flatten(), ends)
        self.range_average.lerp_(high - low, RETURN_RANGE_RATE)
        self.range_weight.lerp_(torch.ones_like(self.range_weight), RETURN_RANGE_RATE)
        return (self.range_average / self.range_weight).clamp(min=1)

    def update_slow(self) -> None:
        """Move the slow copy a little towards the network."""
        with torch.no_grad():
            for slow, fast in zip(self.slow.parameters(), self.net.parameters(), strict=True):
                slow.lerp_(fast, SLOW_CRITIC_RATE)


class Trajectory(NamedTuple):
    """Imagined trajectories. Nothing in them carries gradients."""

    feature: Tensor
    """[steps + 1, starts, feature]."""
    action: Tensor
    """The actions that lead from each state to the next, [steps, starts, action_size]."""


@torch.no_grad()
def imagine_trajectory(
    model: WorldModel, actor: Actor, start: Latent, steps: int, generator: torch.Generator
) -> Trajectory:
    """What the model expects if the actor acts from the states `start` [starts]."""
    noise = model.rssm.noise(steps, len(start.deter), generator)
    latent, features, actions = start, [start.feature], []
    for t in range(steps):
        actions.append(actor(features[-1]).sample(generator))
        latent = model.rssm.imagine_step(latent, actions[-1], noise[t])
        features.append(latent.feature)
    return Trajectory(torch.stack(features), torch.stack(actions))


def lambda_return(reward: Tensor, discount: Tensor, value: Tensor) -> Tensor:
    """R_t = r_t+1 + d_t+1 ((1 - lambda) v_t+1 + lambda R_t+1), R_H = v_H (Hafner et al. 2023, eq. 7).

    reward, discount: of reaching each state but the first, [steps, ...]. value: [steps + 1, ...].
    Returns R for each state but the last, [steps, ...].
    """
    following = value[-1]
    returns = []
    for r, d, v in zip(reward.flip(0), discount.flip(0), value[1:].flip(0), strict=True):
        following = r + d * ((1 - LAMBDA) * v + LAMBDA * following)
        returns.append(following)
    return torch.stack(returns[::-1])


class RewardStream(NamedTuple):
    """One kind of reward along imagined trajectories, and how much it counts."""

    critic: Critic
    reward: Tensor
    """For reaching each state but the first, [steps, starts]."""
    weight: float


def behavior_loss(
    actor: Actor, streams: dict[str, RewardStream], trajectory: Trajectory, continues: Tensor, discount: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of the actor (REINFORCE) and of the critics, and what to log.

    continues: the probability that the episode goes on in each state, [steps + 1, starts].
    The advantages of the streams are each divided by the scale of their returns before they are weighed and added.
    """
    feature, action = trajectory
    step_discount = discount * continues[1:]  # [steps, starts]
    # How much of the imagined future is still real at each state.
    real = torch.cat([continues[:1], step_discount[:-1]]).cumprod(0)
    loss = feature.new_zeros(())
    metrics: dict[str, Tensor] = {}
    advantage = torch.zeros_like(real)
    for name, (critic, reward, weight) in streams.items():
        logits = critic(feature[:-1])
        with torch.no_grad():
            value = two_hot_mean(torch.cat([logits, critic(feature[-1:])]))  # [steps + 1, starts]
            returns = lambda_return(reward, step_discount, value)
            scale = critic.return_scale(returns)
            advantage += weight * (returns - value[:-1]) / scale
        loss = loss + (real * critic.loss(logits, returns, feature[:-1])).mean()
        metrics |= {f"{name}_reward": reward.mean(), f"{name}_return": returns.mean(), f"{name}_return_scale": scale}
    policy = actor(feature[:-1])
    entropy = policy.entropy()
    loss = loss - (real * (policy.log_prob(action) * advantage + ENTROPY_SCALE * entropy)).mean()
    return loss, metrics | {"entropy": entropy.mean(), "advantage": advantage.abs().mean()}
