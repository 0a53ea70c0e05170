"""The recurrent state-space model: what the agent remembers and expects (Hafner et al. 2023, eq. 3)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from viper_model.agents.dreamer.networks import MLP, Linear, Norm
from viper_model.agents.dreamer.sizes import Size

UNIMIX = 0.01
"""The share of a uniform distribution in every categorical: no class ever becomes impossible."""
FREE_NATS = 1.0


class Latent(NamedTuple):
    """The state of the model at one time step (or at many: leading dimensions are shared)."""

    deter: Tensor
    """h, float32 [..., deter]."""
    stoch: Tensor
    """z, one-hot, float32 [..., stoch, classes]."""

    @property
    def feature(self) -> Tensor:
        """What every head sees, [..., deter + stoch * classes]."""
        return torch.cat([self.deter, self.stoch.flatten(-2)], -1)


def unimix_probs(logits: Tensor) -> Tensor:
    """Probabilities of a categorical with logits [..., classes] and a little of the uniform one mixed in."""
    return (1 - UNIMIX) * logits.float().softmax(-1) + UNIMIX / logits.shape[-1]


def sample_one_hot(probs: Tensor, noise: Tensor) -> Tensor:
    """A one-hot sample of each categorical in `probs` [..., classes], with straight-through gradients.

    noise: Exp(1), the shape of `probs`; ones give the mode. (The class with the least noise / prob is a fair sample.)
    """
    index = (probs.detach() / noise).argmax(-1, keepdim=True)
    one_hot = torch.zeros_like(probs).scatter_(-1, index, 1)
    return one_hot + (probs - probs.detach())


def exponential_noise(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """What `sample_one_hot` needs, float32, drawn for many steps at once."""
    # -ln of a uniform draw is five times as fast as exponential_(); the clamp keeps a draw of 0 out of the logarithm.
    tiny = torch.finfo(torch.float32).tiny
    uniform = torch.rand(shape, generator=generator, device=generator.device)
    return uniform.clamp_(tiny, 1 - 2**-24).log_().neg_()


def balanced_kl(posterior_logits: Tensor, prior_logits: Tensor) -> tuple[Tensor, Tensor]:
    """How far the prior is from the posterior (Hafner et al. 2023, eq. 4): the dynamics and the representation loss.

    [..., stoch, classes] each → [...] each, nats, at least FREE_NATS: the same value, but the gradient of the first
    moves the prior only and that of the second the posterior only.
    """
    posterior, prior = unimix_probs(posterior_logits), unimix_probs(prior_logits)

    def kl(p: Tensor, q: Tensor) -> Tensor:
        return (p * (p.log() - q.log())).sum((-2, -1)).clamp(min=FREE_NATS)

    return kl(posterior.detach(), prior), kl(posterior, prior.detach())


class RSSM(nn.Module):
    """h_t = f(h_t-1, z_t-1, a_t-1); prior p(z_t | h_t); posterior q(z_t | h_t, x_t).

    All sequences are [time, batch, ...]: a step is a contiguous slice. Whatever does not depend on the step before
    (the frame's and the action's projections, the prior) is computed for all steps at once, outside the recurrence.
    """

    def __init__(self, size: Size, embed: int, action_size: int) -> None:
        super().__init__()
        self.deter, self.stoch, self.classes = size.deter, size.stoch, size.classes
        latents = size.stoch * size.classes
        self.action_in = Linear(action_size, size.units, bias=False)
        self.stoch_in = Linear(latents, size.units, bias=False)
        self.in_norm = Norm(size.units)
        self.gru = Linear(size.units + size.deter, 3 * size.deter, bias=False)
        self.gru_norm = nn.LayerNorm(3 * size.deter, eps=1e-3)
        self.embed_in = Linear(embed, size.units, bias=False)
        self.deter_in = Linear(size.deter, size.units, bias=False)
        self.posterior_norm = Norm(size.units)
        self.posterior_out = Linear(size.units, latents)
        self.prior_net = MLP(size.deter, size.units, 1, latents)

    def initial(self, batch: int) -> Latent:
        """Nothing remembered: zeros."""
        device = self.gru.weight.device
        return Latent(
            torch.zeros(batch, self.deter, device=device), torch.zeros(batch, self.stoch, self.classes, device=device)
        )

    def noise(self, steps: int, batch: int, generator: torch.Generator) -> Tensor:
        """What sampling z for `steps` steps needs, [steps, batch, stoch, classes]."""
        return exponential_noise((steps, batch, self.stoch, self.classes), generator)

    def prior(self, deter: Tensor) -> Tensor:
        """Logits of p(z | h). [..., deter] → [..., stoch, classes]."""
        logits: Tensor = self.prior_net(deter).unflatten(-1, (self.stoch, self.classes))
        return logits

    def observe(self, embed: Tensor, action: Tensor, is_first: Tensor, noise: Tensor) -> tuple[Latent, Tensor]:
        """The posterior states along sequences that start with nothing remembered.

        embed: [time, batch, embed], of each frame. action: [time, batch, action_size], the one that led to the frame.
        is_first: bool [time, batch]: the state and the action before it are forgotten. noise: from `noise`.
        Returns the states [time, batch] and the posterior's logits [time, batch, stoch, classes].
        """
        steps, batch = is_first.shape
        embed_in, action_in = self._project(embed, action, is_first)
        keep = (~is_first).float().unsqueeze(-1)  # [time, batch, 1]
        # On a GPU looking would take longer than multiplying, and can't be part of a CUDA graph.
        any_first = [True] * steps if is_first.is_cuda else is_first.any(1).tolist()
        deter, stoch = self.initial(batch)
        stoch = stoch.flatten(-2)
        deters, stochs, logits = [], [], []
        for t, (e, a, n) in enumerate(zip(embed_in.unbind(), action_in.unbind(), noise.unbind(), strict=True)):
            if any_first[t]:
                deter, stoch = deter * keep[t], stoch * keep[t]
            deter, stoch, logit = self._posterior_step(deter, stoch, e, a, n)
            deters.append(deter)
            stochs.append(stoch)
            logits.append(logit)
        shape = (steps, batch, self.stoch, self.classes)
        return Latent(torch.stack(deters), torch.stack(stochs).view(shape)), torch.stack(logits)

    def observe_step(self, latent: Latent, embed: Tensor, action: Tensor, is_first: Tensor, noise: Tensor) -> Latent:
        """One step of `observe` from `latent`; arguments are [batch, ...]."""
        embed_in, action_in = self._project(embed, action, is_first)
        keep = (~is_first).float().unsqueeze(-1)  # [batch, 1]
        deter, stoch = latent.deter * keep, latent.stoch.flatten(-2) * keep
        deter, stoch, _ = self._posterior_step(deter, stoch, embed_in, action_in, noise)
        return Latent(deter, stoch.unflatten(-1, (self.stoch, self.classes)))

    def imagine_step(self, latent: Latent, action: Tensor, noise: Tensor) -> Latent:
        """The state that the model expects after `action` [batch, action_size]."""
        action_in = self.action_in(_within_limits(action))
        deter = self._recur(latent.deter, latent.stoch.flatten(-2), action_in)
        return Latent(deter, sample_one_hot(unimix_probs(self.prior(deter)), noise))

    def _project(self, embed: Tensor, action: Tensor, is_first: Tensor) -> tuple[Tensor, Tensor]:
        action = _within_limits(action) * (~is_first).unsqueeze(-1)
        return self.embed_in(embed), self.action_in(action)

    def _posterior_step(
        self, deter: Tensor, stoch: Tensor, embed_in: Tensor, action_in: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        deter = self._recur(deter, stoch, action_in)
        x = self.posterior_norm(self.deter_in(deter) + embed_in)
        logits = self.posterior_out(x).view(noise.shape)  # [batch, stoch, classes]
        return deter, sample_one_hot(unimix_probs(logits), noise).flatten(-2), logits

    def _recur(self, deter: Tensor, stoch: Tensor, action_in: Tensor) -> Tensor:
        x = self.in_norm(self.stoch_in(stoch) + action_in)
        gates = self.gru_norm(self.gru(torch.cat([x, deter], -1))).float()
        reset, candidate, update = gates.chunk(3, -1)
        candidate = torch.tanh(reset.sigmoid() * candidate)
        return torch.lerp(deter, candidate, (update - 1).sigmoid())


def _within_limits(action: Tensor) -> Tensor:
    """What an actuator makes of a sampled action."""
    return action.clamp(-1, 1)
