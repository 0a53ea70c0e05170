"""The world model: what the frames mean, what comes next, and what it is worth."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Generator, Tensor, nn
from torch.nn import functional

from viper_model.agents.dreamer.networks import (
    BINS,
    MLP,
    Decoder,
    Encoder,
    MeanFrame,
    patches_of,
    two_hot_loss,
    two_hot_mean,
)
from viper_model.agents.dreamer.rssm import RSSM, Latent, balanced_kl
from viper_model.agents.dreamer.sizes import Size

DYNAMICS_SCALE, REPRESENTATION_SCALE = 1.0, 0.1
REFERENCE_PIXELS = 64 * 64
"""The image loss is a sum over pixels, and the scales of the other losses suit frames of so many."""


class WorldModel(nn.Module):
    """Encoder, RSSM and the three heads that explain a state: frame, reward and whether the episode goes on."""

    def __init__(self, size: Size, image_size: int, action_size: int) -> None:
        super().__init__()
        self.grid = min(size.grid, image_size)
        self.image_scale = REFERENCE_PIXELS / image_size**2
        patch_values = 3 * (image_size // self.grid) ** 2
        feature = size.deter + size.stoch * size.classes
        self.mean_frame = MeanFrame(self.grid, patch_values)
        self.encoder = Encoder(self.grid, patch_values, size.depth)
        self.rssm = RSSM(size, self.encoder.outputs, action_size)
        self.decoder = Decoder(feature, self.grid, patch_values, size.depth)
        self.reward_head = MLP(feature, size.units, 1, BINS, output_scale=0)
        self.continue_head = MLP(feature, size.units, 1, 1)

    def loss(self, batch: Mapping[str, Tensor], generator: Generator) -> tuple[Tensor, Latent, dict[str, Tensor]]:
        """The loss of Hafner et al. 2023 (eq. 4) on sequences, the states on the way, and what to log.

        batch: [time, batch, ...]: image uint8, action float32, reward float32, is_first and is_terminal bool, as in
        `Agent.update`. The states are [time, batch] and carry gradients.
        """
        steps, count = batch["is_first"].shape
        patches = patches_of(batch["image"].flatten(0, 1), self.grid)  # [time * batch, grid, grid, values]
        self.mean_frame.update(patches)
        patches -= self.mean_frame.mean
        embed = self.encoder(patches).unflatten(0, (steps, count))
        previous_action = functional.pad(batch["action"][:-1], (0, 0, 0, 0, 1, 0))  # the one that led to each frame
        noise = self.rssm.noise(steps, count, generator)
        latent, posterior = self.rssm.observe(embed, previous_action, batch["is_first"], noise)

        feature = latent.feature  # [time, batch, feature]
        reconstruction = self.decoder(feature.flatten(0, 1)).float()
        image = functional.mse_loss(reconstruction, patches, reduction="sum") / (steps * count)
        reward = two_hot_loss(self.reward_head(feature), batch["reward"]).mean()
        goes_on = (~batch["is_terminal"]).float()
        continue_logit = self.continue_head(feature).squeeze(-1).float()
        continues = functional.binary_cross_entropy_with_logits(continue_logit, goes_on)
        dynamics, representation = (nats.mean() for nats in balanced_kl(posterior, self.rssm.prior(latent.deter)))
        kl = DYNAMICS_SCALE * dynamics + REPRESENTATION_SCALE * representation
        loss = self.image_scale * image + reward + continues + kl
        metrics = {"image_loss": image, "reward_loss": reward, "continue_loss": continues, "kl": dynamics}
        return loss, latent, metrics

    def reward(self, feature: Tensor) -> Tensor:
        """The extrinsic reward for reaching a state. [..., feature] → [...]."""
        return two_hot_mean(self.reward_head(feature))

    def continue_probability(self, feature: Tensor) -> Tensor:
        """The probability that the episode does not end in a state. [..., feature] → [...]."""
        logits: Tensor = self.continue_head(feature)
        return logits.squeeze(-1).float().sigmoid()
