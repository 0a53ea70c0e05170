"""Quantisation and its losses against their definitions."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from viper_model.video_model.tokenizers.vqgan import VQGAN, VectorQuantizer, VQGANConfig, to_float
from viper_model.video_model.tokenizers.vqgan_loss import RandomFeatures, VQGANLoss

CONFIG = VQGANConfig(image_size=16, channels=(8, 16), blocks=1, codes=32, code_dim=4)


@pytest.fixture
def vqgan() -> VQGAN:
    torch.manual_seed(0)
    return VQGAN(CONFIG)


def pictures(n: int) -> Tensor:
    """Squares of random colours on black, uint8 [n, 16, 16, 3]."""
    frames = torch.zeros(n, 16, 16, 3, dtype=torch.uint8)
    for frame in frames:
        row, column = torch.randint(0, 10, (2,)).tolist()
        frame[row : row + 6, column : column + 6] = torch.randint(50, 255, (3,), dtype=torch.uint8)
    return frames


def test_frames_become_codes_and_codes_frames(vqgan: VQGAN) -> None:
    vqgan.CPU_CHUNK = 4  # so that the six frames take two goes
    frames = pictures(6).reshape(2, 3, 16, 16, 3)
    codes = vqgan.encode(frames)
    assert codes.shape == (2, 3, 4, 4)
    assert codes.dtype == torch.int64
    assert 0 <= codes.min() <= codes.max() < CONFIG.codes
    decoded = vqgan.decode(codes)
    assert decoded.shape == frames.shape
    assert decoded.dtype == torch.uint8
    assert torch.equal(vqgan.encode(frames[1, 2]), codes[1, 2])


def test_each_vector_goes_to_the_nearest_code() -> None:
    torch.manual_seed(0)
    quantizer, z = VectorQuantizer(20, 3), torch.randn(50, 3)
    assert torch.equal(quantizer.nearest(z), torch.cdist(z, quantizer.codebook).argmin(-1))


def test_codes_that_lie_close_together_are_told_apart() -> None:
    """Trained codebooks hold codes a hundredth apart: in float32 the terms of the distance would round that away."""
    torch.manual_seed(0)
    quantizer = VectorQuantizer(64, 16)
    quantizer.codebook.data = 1.5 + 1e-3 * torch.randn(64, 16)
    z = quantizer.codebook.data.repeat(20, 1) + 1e-3 * torch.randn(20 * 64, 16)
    distances = (z[:, None].double() - quantizer.codebook.double()).square().sum(-1)  # [vectors, codes]
    assert torch.equal(quantizer.nearest(z), distances.argmin(-1))


def test_mixed_precision_changes_no_codes(vqgan: VQGAN) -> None:
    frames = pictures(64)
    codes = vqgan.encode(frames)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(vqgan.encode(frames), codes)


def test_gradients_pass_straight_through_and_each_loss_moves_its_own_side() -> None:
    torch.manual_seed(0)
    quantizer = VectorQuantizer(6, 3)
    z = torch.randn(2, 3, 4, 4, requires_grad=True)
    quantized = quantizer(z)
    assert torch.allclose(quantized.vectors.permute(0, 2, 3, 1), quantizer.codebook[quantized.codes], atol=1e-6)
    downstream = torch.randn_like(z)
    (through,) = torch.autograd.grad((quantized.vectors * downstream).sum(), z, retain_graph=True)
    assert torch.equal(through, downstream)

    of_z, of_codebook = torch.autograd.grad(quantized.loss, (z, quantizer.codebook))
    vectors = quantizer.codebook[quantized.codes].permute(0, 3, 1, 2).detach()
    torch.testing.assert_close(of_z, 0.25 * 2 * (z - vectors) / z.numel())
    pull = torch.zeros_like(quantizer.codebook)  # each code is pulled to the vectors that chose it
    for code, difference in zip(
        quantized.codes.flatten(), (vectors - z).permute(0, 2, 3, 1).flatten(0, 2), strict=True
    ):
        pull[code] += 2 * difference.detach() / z.numel()
    torch.testing.assert_close(of_codebook, pull)


def test_dead_codes_come_to_life_where_vectors_are() -> None:
    torch.manual_seed(0)
    quantizer = VectorQuantizer(16, 2)
    quantizer.codebook.data += 100  # far from all that will come: at most one code is ever the nearest
    z = torch.randn(64, 2, 4, 4)
    before = len(quantizer.nearest(z.permute(0, 2, 3, 1)).unique())
    quantizer.record_use(z, quantizer(z).codes)
    after = len(quantizer(z).codes.unique())
    assert before <= 2
    assert after >= 14


def test_perplexity_counts_the_codes_in_even_use() -> None:
    quantizer = VectorQuantizer(16, 2)
    quantizer.use.fill_(1 / 16)
    codes = torch.arange(4).repeat(16).reshape(1, 8, 8)  # 4 of the 16, evenly
    for _ in range(200):
        metrics = quantizer.record_use(torch.randn(1, 2, 8, 8), codes)
    revived = 12 / 16 / 16  # the dead are counted as alive for a while after they are revived
    assert 4 <= metrics["perplexity"] < 16 * (1 + revived)
    assert 0 <= metrics["codes_used"] <= 1


def test_the_perceptual_distance_is_a_distance_and_the_same_in_every_run() -> None:
    torch.manual_seed(0)
    a, b = to_float(pictures(8)).chunk(2)
    torch.manual_seed(1)
    one, other = RandomFeatures(), RandomFeatures()
    assert one(a, a) == 0
    assert one(a, b) > 0
    torch.testing.assert_close(one(a, b), other(b, a))
    assert not [parameter for parameter in one.parameters() if parameter.requires_grad]


def test_the_adversarial_pull_is_as_strong_as_the_others(vqgan: VQGAN) -> None:
    loss = VQGANLoss(discriminator_width=8)
    image = to_float(pictures(4))
    reconstruction = vqgan.decoder(vqgan.quantizer(vqgan.encoder(image)).vectors)
    looks, realism = (reconstruction - image).abs().mean(), -loss.discriminator(reconstruction).mean()
    weight = loss.adaptive_weight(looks, realism, vqgan)
    last = [layer for layer in vqgan.decoder if isinstance(layer, nn.Conv2d)][-1].weight
    (of_looks,) = torch.autograd.grad(looks, last, retain_graph=True)
    (of_realism,) = torch.autograd.grad(weight * realism, last)
    assert math.isclose(of_realism.norm(), loss.ADVERSARIAL * of_looks.norm(), rel_tol=0.1)  # δ of the formula


def test_the_discriminator_learns_by_the_hinge(vqgan: VQGAN) -> None:
    loss = VQGANLoss(discriminator_width=8)
    frames = pictures(4)
    last = loss.discriminator[-1]
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    nn.init.zeros_(last.weight)
    for score, hinge in ((0.0, 1.0), (1.0, 1.0), (3.0, 2.0)):  # (max(0, 1 - s) + max(0, 1 + s)) / 2
        nn.init.constant_(last.bias, score)
        assert loss.discriminate(loss.discriminator, frames, to_float(frames)).item() == pytest.approx(hinge)


def test_training_learns_to_copy_pictures(vqgan: VQGAN) -> None:
    frames = pictures(16)
    loss, optimizer = VQGANLoss(discriminator_width=8), torch.optim.Adam(vqgan.parameters(), 3e-3)

    def error() -> float:
        return (vqgan.decode(vqgan.encode(frames)).float() - frames.float()).abs().mean().item()

    before = error()
    for step in range(150):
        objective, _, metrics = loss.generator(vqgan, frames, adversarial=step > 140)
        optimizer.zero_grad()
        objective.backward()
        optimizer.step()
    assert error() < before / 4
    assert metrics["codes_used"] > 0.5
