import numpy as np
import pytest
import torch

from viper_model.agents.batches import episode_starts
from viper_model.agents.drqv2.frames import (
    FRAMES,
    largest_shift,
    padded,
    push,
    random_shifts,
    shifted_stacks,
    stack_of,
)

SIDE, STEPS = 32, 6


def slow_stack(images, is_first, newest, down, right):
    """Walk back frame by frame, not past an episode's first; then move each picture pixel by pixel."""
    frames, at = [], newest
    for _ in range(FRAMES):
        frames.insert(0, images[at])
        if not is_first[at] and at > 0:
            at -= 1
    side = images.shape[1]
    place = np.arange(side)
    rows, columns = (place - down).clip(0, side - 1), (place - right).clip(0, side - 1)
    return np.stack([frame[rows][:, columns] for frame in frames]).reshape(FRAMES, side, side * 3)


@pytest.mark.parametrize("side", [16, 48, 84])
def test_stacks_are_the_frames_of_one_episode_shifted_together(side):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, STEPS, side, side, 3), dtype=np.uint8)
    is_first = rng.random((40, STEPS)) < 0.3
    newest = rng.integers(FRAMES - 1, STEPS, 40)
    shifts = random_shifts(40, side, torch.Generator().manual_seed(0))
    starts = episode_starts(torch.from_numpy(is_first))
    stacks = shifted_stacks(padded(torch.from_numpy(images)), starts, torch.from_numpy(newest), shifts)
    for i, (down, right) in enumerate(shifts.tolist()):
        expected = slow_stack(images[i], is_first[i], newest[i], down, right)
        assert np.array_equal(stacks[i], expected)


def test_shifts_reach_every_place_within_the_limits_alike():
    shifts = random_shifts(20_000, 84, torch.Generator().manual_seed(0))
    assert largest_shift(84) == 4
    assert [largest_shift(side) for side in (16, 32, 64)] == [1, 2, 3]
    values, counts = shifts[:, 0].unique(return_counts=True)
    assert values.tolist() == list(range(-4, 5))
    assert abs(counts / 20_000 - 1 / 9).max() < 0.02
    assert abs(np.corrcoef(shifts.T)[0, 1]) < 0.05  # down and right have nothing to do with each other


def test_acting_stacks_frames_as_learning_does():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (STEPS, SIDE, SIDE, 3), dtype=np.uint8)
    is_first = np.array([True, False, False, True, False, False])
    frames = torch.zeros(1, FRAMES, SIDE, SIDE, 3, dtype=torch.uint8)
    for t in range(STEPS):
        frames = push(frames, torch.from_numpy(images[t : t + 1]), torch.from_numpy(is_first[t : t + 1]))
        assert np.array_equal(stack_of(frames)[0], slow_stack(images, is_first, t, 0, 0))
