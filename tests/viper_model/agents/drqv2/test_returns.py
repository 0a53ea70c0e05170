import numpy as np
import torch

from viper_model.agents.drqv2.returns import STEPS, n_step_return

DISCOUNT = 0.9


def slow_return(reward, is_first, is_terminal, gamma):
    """One step after the other: the sum so far, what comes after is worth, and how far it went."""
    total, discount = 0.0, 1.0
    for k in range(STEPS):
        if is_first[k]:
            return total, discount, k
        total += discount * reward[k]
        discount *= 0.0 if is_terminal[k] else gamma
    return total, discount, STEPS


def test_returns_are_the_slow_sum_for_every_way_in_which_episodes_can_end():
    rng = np.random.default_rng(0)
    reward = rng.normal(size=(200, STEPS)).astype(np.float32)
    is_first = rng.random((200, STEPS)) < 0.3
    # An episode that terminates is over: the next step is the first of another, or unknown yet.
    is_terminal = np.concatenate([is_first[:, 1:], rng.random((200, 1)) < 0.3], 1) & (rng.random((200, STEPS)) < 0.6)
    outcome = n_step_return(*map(torch.from_numpy, (reward, is_first, is_terminal)), discount=DISCOUNT)
    for i in range(200):
        expected = slow_return(reward[i], is_first[i], is_terminal[i], DISCOUNT)
        np.testing.assert_allclose([part[i] for part in outcome], expected, rtol=1e-5, atol=1e-6)
    assert set(outcome.steps.tolist()) == set(range(STEPS + 1))


def test_the_terminal_step_of_the_next_episode_does_not_count():
    is_first, is_terminal = torch.tensor([[False, True, False]]), torch.tensor([[False, False, True]])
    outcome = n_step_return(torch.ones(1, 3), is_first, is_terminal, DISCOUNT)
    assert (outcome.reward.item(), outcome.steps.item()) == (1, 1)
    assert outcome.discount.item() == np.float32(DISCOUNT)
