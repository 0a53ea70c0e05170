"""Patches as codes: what one says of its own patch, and of nothing else."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from viper_model.errors import ModelError
from viper_model.video_model.tokenizers import patches as patches_module
from viper_model.video_model.tokenizers.patches import Patches, PatchesConfig

CONFIG = PatchesConfig(image_size=12, codes=20, patch=3)


@pytest.fixture
def patches() -> Patches:
    """With centroids drawn at random."""
    torch.manual_seed(0)
    return Patches(CONFIG)


def pictures(*shape: int) -> Tensor:
    return torch.randint(0, 256, (*shape, 12, 12, 3), dtype=torch.uint8)


def slow_patch(frames: Tensor, row: int, column: int) -> Tensor:
    """The pixels of one patch, float64 [..., 27], in the order of rows, columns and colours."""
    patch = frames[..., 3 * row : 3 * row + 3, 3 * column : 3 * column + 3, :]
    return patch.flatten(-3).double()


def test_each_code_is_the_nearest_centroid_of_its_own_patch(patches: Patches) -> None:
    frames = pictures(5)
    codes = patches.encode(frames)
    assert codes.shape == (5, 4, 4)
    assert codes.dtype == torch.int64
    for row in range(4):
        for column in range(4):
            distance = torch.cdist(slow_patch(frames, row, column), patches.centroids.double())
            assert torch.equal(codes[:, row, column], distance.argmin(-1))


def test_changing_one_patch_changes_one_code(patches: Patches) -> None:
    frames = pictures(1)
    codes = patches.encode(frames)
    for row in range(4):
        for column in range(4):
            changed = frames.clone()
            other = (int(codes[0, row, column]) + 1) % CONFIG.codes
            patch = patches.centroids[other].reshape(3, 3, 3).round().to(torch.uint8)
            changed[0, 3 * row : 3 * row + 3, 3 * column : 3 * column + 3] = patch
            expected = codes.clone()
            expected[0, row, column] = other
            assert torch.equal(patches.encode(changed), expected)


def test_frames_made_of_centroids_come_back_the_same(patches: Patches) -> None:
    patches.centroids.copy_(patches.centroids.round())
    codes = torch.randint(CONFIG.codes, (2, 3, 4, 4))
    frames = patches.decode(codes)
    assert frames.shape == (2, 3, 12, 12, 3)
    assert frames.dtype == torch.uint8
    for row in range(4):
        for column in range(4):
            centroid = patches.centroids[codes[..., row, column]].double()
            assert torch.equal(slow_patch(frames, row, column), centroid)
    assert torch.equal(patches.encode(frames), codes)


def test_colours_beyond_a_byte_are_clipped(patches: Patches) -> None:
    patches.centroids[0] = -3.0
    patches.centroids[1] = 255.4
    frames = patches.decode(torch.tensor([[[0, 1], [1, 0]]]).repeat(1, 2, 2))
    assert set(frames.unique().tolist()) == {0, 255}


def test_codes_do_not_depend_on_how_many_frames_are_encoded_at_once() -> None:
    """Centroids a hundredth of a pixel apart, as k-means leaves them: rounded sums would tell them apart by chance."""
    torch.manual_seed(0)
    patches = Patches(dataclasses.replace(CONFIG, codes=64))
    patches.centroids.copy_(200 + 1e-2 * torch.randn(64, 27))
    frames = torch.randint(190, 210, (50, 12, 12, 3), dtype=torch.uint8)
    codes = patches.encode(frames)
    assert torch.equal(torch.cat([patches.encode(frame[None]) for frame in frames]), codes)
    assert torch.equal(patches.encode(frames[None])[0], codes)
    assert torch.equal(patches.encode(frames[7]), codes[7])
    flat = patches.split(frames).double()
    distance = (flat[..., None, :] - patches.centroids.double()).square().sum(-1)
    assert torch.equal(codes, distance.argmin(-1))


@pytest.mark.parametrize("patch", [5, 0, -3, 13])
def test_a_size_that_patches_do_not_divide_is_refused_in_one_line(patch: int) -> None:
    with pytest.raises(ModelError, match=f"frames of 12 pixels can't be cut into patches of {patch}") as raised:
        PatchesConfig(image_size=12, codes=20, patch=patch)
    assert "\n" not in str(raised.value)


def test_where_there_are_fewer_different_patches_than_codes_each_has_its_own(patches: Patches) -> None:
    frames = np.zeros((30, 12, 12, 3), np.uint8)
    for number in range(18):  # of 20 codes
        frames[number, :3, :3] = number
    assert patches.fit(frames, 0) == 0
    codes = patches.encode(torch.from_numpy(frames))
    assert len(codes.unique()) == 18
    assert torch.equal(patches.decode(codes), torch.from_numpy(frames))


def clustered(rng: np.random.Generator) -> np.ndarray:
    """Frames of noisy copies of 25 patches: uint8 [60, 12, 12, 3]."""
    kinds = rng.integers(20, 236, (25, 3, 3, 3))
    grid = kinds[rng.integers(0, 25, (60, 4, 4))] + rng.integers(-9, 10, (60, 4, 4, 3, 3, 3))
    return grid.transpose(0, 1, 3, 2, 4, 5).reshape(60, 12, 12, 3).astype(np.uint8)


def error(patches: Patches, frames: np.ndarray) -> float:
    """Mean squared distance of patches to their nearest centroids."""
    x = patches.split(torch.from_numpy(frames)).flatten(0, 2)
    return float(torch.cdist(x.double(), patches.centroids.double()).min(-1).values.square().mean())


def test_chosen_centroids_are_the_means_of_their_patches_and_better_than_patches_drawn(patches: Patches) -> None:
    rng = np.random.default_rng(0)
    frames = clustered(rng)
    told = patches.fit(frames, 0)
    x = patches.split(torch.from_numpy(frames)).flatten(0, 2)  # [patches, values]
    codes = patches.encode(torch.from_numpy(frames)).flatten()
    assert len(codes.unique()) == CONFIG.codes
    means = torch.stack([x[codes == code].mean(0) for code in range(CONFIG.codes)])
    assert (means - patches.centroids).abs().max() < 2  # of 255: what is left after some rounds
    drawn = Patches(CONFIG)
    for seed in range(5):
        choice = np.random.default_rng(seed).choice(len(x), CONFIG.codes, replace=False)
        drawn.centroids.copy_(x[torch.from_numpy(choice)])
        assert error(patches, frames) < error(drawn, frames)
    pixels = (patches.decode(patches.encode(torch.from_numpy(frames))).float() - torch.from_numpy(frames)).abs()
    assert told == pytest.approx(float(pixels.mean()), rel=1e-5)


def test_patches_that_are_seen_often_weigh_more(patches: Patches) -> None:
    """One code for two kinds of patch lies at their mean, by how often each is seen."""
    one = Patches(dataclasses.replace(CONFIG, codes=1))
    frames = np.full((10, 12, 12, 3), 100, np.uint8)
    frames[0, :6] = 180  # 8 of 160 patches
    one.fit(frames, 0)
    np.testing.assert_allclose(one.centroids, 104, atol=1e-3)


def test_the_same_seed_chooses_the_same_codes_and_more_patches_than_are_clustered_are_drawn_from(
    patches: Patches, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = clustered(np.random.default_rng(0))
    patches.fit(frames, 3)
    again = Patches(CONFIG)
    again.fit(frames, 3)
    assert torch.equal(again.centroids, patches.centroids)
    monkeypatch.setattr(patches_module, "MOST_PATCHES", 300)
    patches.fit(frames, 3)
    again.fit(frames, 3)
    assert torch.equal(again.centroids, patches.centroids)
    x = patches.split(torch.from_numpy(frames))
    one_code_for_all = float((x - x.mean((0, 1, 2))).square().sum(-1).mean())
    assert error(patches, frames) < one_code_for_all / 4


def test_centroids_are_saved_with_the_weights_and_not_trained(patches: Patches) -> None:
    assert "centroids" in patches.state_dict()
    assert not list(patches.parameters())
