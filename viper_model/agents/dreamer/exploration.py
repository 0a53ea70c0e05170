"""What is worth finding out: an ensemble whose members disagree where little has been seen (Sekar et al. 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from viper_model.agents.dreamer.networks import Linear, Norm
from viper_model.agents.dreamer.sizes import Size

MEMBERS = 5


class Disagreement(nn.Module):
    """MEMBERS one-step models of the next stochastic state, alike but for their first weights."""

    def __init__(self, size: Size, feature: int, action_size: int) -> None:
        super().__init__()
        units, outputs = size.units // 2, size.stoch * size.classes
        # One product computes the first layer of all members: they share the input.
        self.first = Linear(feature + action_size, MEMBERS * units, bias=False)
        self.norm = Norm(units)
        self.second = nn.Parameter(torch.stack([Linear(units, outputs).weight.T for _ in range(MEMBERS)]))

    def forward(self, feature: Tensor, action: Tensor) -> Tensor:
        """[n, feature], [n, action_size] → each member's prediction, [members, n, stoch * classes]."""
        x = self.first(torch.cat([feature, action], -1)).unflatten(-1, (MEMBERS, -1))
        return torch.bmm(self.norm(x).transpose(0, 1), self.second)

    def loss(self, feature: Tensor, action: Tensor, next_stoch: Tensor, follows: Tensor) -> Tensor:
        """The members' squared error, a scalar.

        feature: [n, feature]. action: [n, action_size]. next_stoch: what followed, [n, stoch * classes]. follows: bool
        [n], false where an episode ended in between.
        """
        error: Tensor = (self(feature, action) - next_stoch).square().sum(-1)  # [members, n]
        return (error * follows).sum() / follows.sum().clamp(min=1) / MEMBERS

    @torch.no_grad()
    def bonus(self, feature: Tensor, action: Tensor) -> Tensor:
        """The members' variance about the next state, summed over its dimensions.

        [..., feature], [..., action_size] → [...].
        """
        leading = feature.shape[:-1]
        predictions: Tensor = self(
            feature.flatten(0, -2), action.flatten(0, -2)
        ).float()  # [members, n, stoch * classes]
        # Written out: Tensor.var over a leading dimension is thirty times as slow on a CPU.
        return (predictions - predictions.mean(0)).square().sum((0, 2)).view(leading) / (MEMBERS - 1)
