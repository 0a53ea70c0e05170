import numpy as np
import pytest
import torch

from viper_model.agents.dreamer.networks import (
    BINS,
    LOG_RANGE,
    Decoder,
    Encoder,
    MeanFrame,
    patches_of,
    symexp,
    symlog,
    two_hot_loss,
    two_hot_mean,
)

BIN_VALUES = [np.sign(b) * (np.exp(abs(b)) - 1) for b in np.linspace(-LOG_RANGE, LOG_RANGE, BINS)]


def slow_two_hot(value):
    """The two bins around a value share its weight so that their mean in symlog space is the value's symlog."""
    place = np.sign(value) * np.log(abs(value) + 1)
    bins = np.linspace(-LOG_RANGE, LOG_RANGE, BINS)
    target = np.zeros(BINS)
    for i in range(BINS - 1):
        if bins[i] <= place <= bins[i + 1]:
            target[i + 1] = (place - bins[i]) / (bins[i + 1] - bins[i])
            target[i] = 1 - target[i + 1]
            return target
    target[0 if place < 0 else -1] = 1
    return target


def test_symexp_undoes_symlog():
    values = torch.tensor([-1e5, -3.0, -1e-3, 0.0, 0.5, 42.0, 1e6], dtype=torch.float64)
    torch.testing.assert_close(symexp(symlog(values)), values)


@pytest.mark.parametrize("value", [0.0, 1.0, -0.3, 123.4, -5e4, 1e12])
def test_two_hot_loss_is_the_cross_entropy_to_the_slow_encoding(value):
    logits = torch.randn(BINS, generator=torch.Generator().manual_seed(0))
    expected = -(slow_two_hot(value) * logits.double().log_softmax(-1).numpy()).sum()
    # float32: the place among the bins is known to about 1e-5 of a bin.
    assert two_hot_loss(logits, torch.tensor(value)).item() == pytest.approx(expected, abs=1e-3)


def test_two_hot_loss_adds_up_over_targets():
    logits, one, other = torch.randn(3, BINS), torch.randn(3), torch.randn(3) * 50
    both = two_hot_loss(logits, one, other)
    torch.testing.assert_close(both, two_hot_loss(logits, one) + two_hot_loss(logits, other))


@pytest.mark.parametrize("value", [0.0, 0.7, -12.0, 3e3])
def test_the_mean_of_a_value_s_own_encoding_is_the_value(value):
    logits = torch.from_numpy(np.log(slow_two_hot(value) + 1e-30)).float()
    assert two_hot_mean(logits).item() == pytest.approx(value, rel=1e-4, abs=1e-4)


def test_means_keep_their_digits_under_autocast():
    values = np.linspace(270, 290, 9)
    logits = torch.from_numpy(np.stack([np.log(slow_two_hot(value) + 1e-30) for value in values])).float()
    with torch.autocast("cpu", torch.bfloat16):
        means = two_hot_mean(logits)
    np.testing.assert_allclose(means, values, rtol=1e-4)


def test_a_head_that_starts_at_zero_predicts_zero():
    assert abs(two_hot_mean(torch.zeros(BINS)).item()) < 1e-5


@pytest.mark.parametrize("grid", [8, 16])
def test_a_patch_holds_the_pixels_of_its_place(grid):
    images = torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8)
    patches = patches_of(images, grid)
    side = 32 // grid
    for row, column in [(0, 0), (1, 0), (grid - 1, 2)]:
        place = images[1, row * side : (row + 1) * side, column * side : (column + 1) * side]
        torch.testing.assert_close(patches[1, row, column], place.flatten() / 255)


@pytest.mark.parametrize("grid", [8, 16, 32])
def test_the_decoder_mirrors_the_encoder(grid):
    patches = torch.randn(2, grid, grid, 12)
    encoder, decoder = Encoder(grid, 12, 4), Decoder(10, grid, 12, 4)
    assert encoder(patches).shape == (2, encoder.outputs)
    assert decoder(torch.randn(2, 10)).shape == patches.shape


def test_the_mean_frame_is_the_mean_of_all_frames_seen():
    batches = [torch.rand(5, 8, 8, 12) for _ in range(4)]
    mean_frame = MeanFrame(8, 12)
    for batch in batches:
        mean_frame.update(batch)
    torch.testing.assert_close(mean_frame.mean, torch.cat(batches).mean(0))
