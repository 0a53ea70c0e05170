"""What the VQ-GAN is trained for: pictures that look right, in few codes (Esser et al. 2021, section 3.1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from viper_model.torch_tools.distributed import mean_of_processes, mixed_precision
from viper_model.video_model.tokenizers.vqgan import VQGAN, to_float


class RandomFeatures(nn.Module):
    """A perceptual distance that needs no download: a frozen convolutional network with random weights.

    LPIPS compares features of a trained network; distances between features of an untrained one are nearly as good a
    training loss, because the architecture does most of the work (Amir and Weiss 2021, "Understanding and Simplifying
    Perceptual Distances"). The weights are drawn from a fixed seed, so the distance is the same in every run.
    """

    WIDTHS = (16, 32, 64)

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.scales = nn.ModuleList()
        for inputs, outputs in zip((3, *self.WIDTHS), self.WIDTHS, strict=False):
            convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
            nn.init.kaiming_normal_(convolution.weight, generator=generator)
            nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
            self.scales.append(convolution)
        self.requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Mean distance between pictures a and b, float [n, 3, height, width]; scalar, at least 0."""
        x = torch.cat([a, b])
        distance = x.new_zeros(())
        for scale in self.scales:
            x = F.avg_pool2d(scale(x).relu(), 2)
            unit_a, unit_b = F.normalize(x, dim=1).chunk(2)
            distance = distance + (unit_a - unit_b).square().sum(1).mean()
        return distance / len(self.scales)


def patch_discriminator(width: int) -> nn.Sequential:
    """PatchGAN (Isola et al. 2017): float [n, 3, height, width] → how real patches look, [n, 1, height/8, width/8]."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, width), (width, 2 * width), (2 * width, 4 * width)):
        layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1)]
        layers += [nn.GroupNorm(outputs // 8, outputs)] if inputs != 3 else []
        layers += [nn.LeakyReLU(0.2)]
    network = nn.Sequential(*layers, nn.Conv2d(4 * width, 1, 3, padding=1))
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


class VQGANLoss(nn.Module):
    """The objective, and the networks that only training needs."""

    PERCEPTUAL = 0.1
    ADVERSARIAL = 0.1

    def __init__(self, discriminator_width: int) -> None:
        super().__init__()
        self.features = RandomFeatures()
        self.discriminator = patch_discriminator(discriminator_width)

    def generator(self, vqgan: VQGAN, frames: Tensor, adversarial: bool) -> tuple[Tensor, Tensor, dict[str, float]]:
        """The VQ-GAN's loss on frames, uint8 [n, height, width, 3].

        Returns the loss (scalar), the reconstruction (float [n, 3, height, width], detached) and metrics.
        """
        image = to_float(frames)
        with mixed_precision(image.device):
            z, quantized, reconstruction = vqgan(image)
        reconstruction = reconstruction.float()
        pixels = (reconstruction - image).abs().mean() + (reconstruction - image).square().mean()
        perceptual = self.features(reconstruction, image)
        looks = pixels + self.PERCEPTUAL * perceptual
        loss = looks + quantized.loss
        metrics = {
            "pixel_loss": pixels.item(),
            "perceptual_loss": perceptual.item(),
            "quantizer_loss": quantized.loss.item(),
            **vqgan.quantizer.record_use(z, quantized.codes),
        }
        if adversarial:
            with mixed_precision(image.device):
                realism = -self.discriminator(reconstruction).float().mean()
            weight = self.adaptive_weight(looks, realism, vqgan)
            loss = loss + weight * realism
            metrics |= {"generator_loss": realism.item(), "adversarial_weight": weight.item()}
        return loss, reconstruction.detach(), metrics

    def adaptive_weight(self, looks: Tensor, realism: Tensor, vqgan: VQGAN) -> Tensor:
        """λ of Esser et al. (2021), eq. 7, times ADVERSARIAL: both losses pull equally hard at the decoder's end."""
        last = [layer for layer in vqgan.decoder if isinstance(layer, nn.Conv2d)][-1].weight
        pulls = [torch.autograd.grad(loss, last, retain_graph=True)[0] for loss in (looks, realism)]
        of_looks, of_realism = (mean_of_processes(pull).norm() for pull in pulls)
        ratio = of_looks / (of_realism + 1e-4)
        return self.ADVERSARIAL * ratio.clamp(max=1e4).detach()

    def discriminate(self, discriminator: nn.Module, frames: Tensor, reconstruction: Tensor) -> Tensor:
        """The discriminator's hinge loss (Lim and Ye 2017) on frames and what `generator` made of them; scalar.

        discriminator: this one's own, perhaps wrapped.
        """
        with mixed_precision(frames.device):
            real, fake = discriminator(torch.cat([to_float(frames), reconstruction])).float().chunk(2)
        return (F.relu(1 - real).mean() + F.relu(1 + fake).mean()) / 2
