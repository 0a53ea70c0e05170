import numpy as np
import pytest
import torch

from tests.viper_model.agents.drqv2.test_frames import slow_stack
from viper_model.agents.batches import episode_starts
from viper_model.agents.drqv2.frames import FRAMES
from viper_model.agents.drqv2.novelty import LIMIT, SIDE, RandomNetworkDistillation, stacked

LENGTH, STEPS = 6, 3


@pytest.fixture
def novelty():
    torch.manual_seed(0)
    return RandomNetworkDistillation()


def no_starts(images):
    return torch.zeros(images.shape[:2], dtype=torch.int64)


def passing(rng, n, first, speed):
    """A bright bar that passes at some pixels a frame in noise: uint8 [n, LENGTH, 2 * SIDE, 2 * SIDE, 3]."""
    images = rng.integers(0, 4, (n, LENGTH, 2 * SIDE, 2 * SIDE, 3), dtype=np.uint8)
    for t in range(LENGTH):
        images[:, t, :, first + speed * t : first + speed * t + 4] += 200
    return torch.from_numpy(images)


def test_the_bonus_is_the_error_of_the_frames_up_to_a_step_over_that_of_all_so_far(novelty):
    rng = np.random.default_rng(0)
    seen, squares, errors = [], [], []
    for n in (5, 9, 2):
        images = passing(rng, n, 4, 1)
        is_first = torch.from_numpy(rng.random((n, LENGTH)) < 0.3)
        loss, bonus = novelty(images, episode_starts(is_first), STEPS)
        for i in range(n):
            for newest in range(LENGTH - STEPS, LENGTH):
                stack = slow_stack(images[i].numpy(), is_first[i].numpy(), newest, 0, 0)
                small = stack.reshape(FRAMES, SIDE, 2, SIDE, 2, 3).mean((2, 4, 5))
                seen.append(small.ravel())
        mean = np.mean(seen, 0)
        squares += [*((np.stack(seen[-n * STEPS :]) - mean) ** 2)]
        white = np.clip((np.stack(seen[-n * STEPS :]) - mean) / (np.mean(squares, 0) ** 0.5 + 1), -LIMIT, LIMIT)
        white = torch.from_numpy(white.astype(np.float32))
        error = (novelty.learned(white) - novelty.random(white)).square().mean(1).detach()
        errors += error.tolist()
        expected = np.log1p(error.numpy() / np.mean(errors)).reshape(n, STEPS)
        np.testing.assert_allclose(bonus.numpy(), expected, rtol=1e-3)  # float32 sums in another order
        assert loss.item() == pytest.approx(error.mean().item(), rel=1e-3)


def test_frames_of_any_size_are_averaged_over_cells():
    side = 84  # cells of 5 and of 6 pixels
    images = torch.randint(0, 256, (2, LENGTH, side, side, 3), dtype=torch.uint8)
    cells = torch.nn.functional.adaptive_avg_pool2d(images.double().mean(-1), SIDE)  # [2, LENGTH, SIDE, SIDE]
    expected = torch.stack([cells[:, t - FRAMES + 1 : t + 1] for t in range(LENGTH - STEPS, LENGTH)], 1)
    torch.testing.assert_close(stacked(images, no_starts(images), STEPS), expected.float().view(2 * STEPS, -1))


def test_another_place_and_another_motion_are_newer_than_what_was_replayed(novelty):
    rng = np.random.default_rng(0)
    optimizer = torch.optim.Adam(novelty.learned.parameters(), 1e-3)
    for step in range(300):
        images = passing(rng, 32, 4 + step % 8, 1)
        loss, _ = novelty(images, no_starts(images), STEPS)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    bonus = {}
    for name, (first, speed) in {"replayed": (6, 1), "place": (22, 1), "motion": (6, 0)}.items():
        images = passing(rng, 32, first, speed)
        bonus[name] = novelty(images, no_starts(images), STEPS)[1].mean()
    assert bonus["replayed"] < np.log(2)  # the mean of all errors so far
    assert bonus["place"] > 5 * bonus["replayed"]
    assert bonus["motion"] > 2 * bonus["replayed"]


def test_only_what_learns_has_a_gradient(novelty):
    images = passing(np.random.default_rng(0), 4, 4, 1)
    loss, bonus = novelty(images, no_starts(images), STEPS)
    loss.backward()
    assert all(each.grad is None for each in novelty.random.parameters())
    assert all(each.grad is not None for each in novelty.learned.parameters())
    assert not bonus.requires_grad
