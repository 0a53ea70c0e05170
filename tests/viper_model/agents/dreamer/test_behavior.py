import math

import numpy as np
import pytest
import torch

from viper_model.agents.dreamer.behavior import (
    LAMBDA,
    MAX_STD,
    MIN_STD,
    BoundedNormal,
    Critic,
    OneHotCategorical,
    lambda_return,
)
from viper_model.agents.dreamer.sizes import SIZES


def slow_lambda_return(reward, discount, value, t):
    if t == len(reward):
        return value[t]
    following = slow_lambda_return(reward, discount, value, t + 1)
    return reward[t] + discount[t] * ((1 - LAMBDA) * value[t + 1] + LAMBDA * following)


def test_lambda_return_is_the_recursive_definition():
    rng = np.random.default_rng(0)
    reward, discount, value = rng.normal(size=9), rng.uniform(0, 1, 9), rng.normal(size=10)
    returns = lambda_return(torch.tensor(reward), torch.tensor(discount), torch.tensor(value))
    np.testing.assert_allclose(returns, [slow_lambda_return(reward, discount, value, t) for t in range(9)])


def test_nothing_after_the_end_of_an_episode_counts():
    reward, discount, value = torch.ones(4), torch.tensor([1.0, 0.0, 1.0, 1.0]), torch.full((5,), 1e6)
    returns = lambda_return(reward, discount, value)
    assert returns[1] == 1  # the end is reached with a reward of 1


def test_bounded_normal_agrees_with_the_library():
    parameters = 5 * torch.randn(6, 4)
    policy = BoundedNormal(parameters)
    reference = torch.distributions.Independent(torch.distributions.Normal(policy.mean, policy.std), 1)
    action = torch.randn(6, 2)
    torch.testing.assert_close(policy.log_prob(action), reference.log_prob(action))
    torch.testing.assert_close(policy.entropy(), reference.entropy())
    assert (policy.std >= MIN_STD).all()
    assert (policy.std <= MAX_STD).all()
    assert (policy.mode().abs() <= 1).all()


def test_one_hot_categorical_agrees_with_the_library():
    policy = OneHotCategorical(5 * torch.randn(6, 3))
    reference = torch.distributions.OneHotCategorical(policy.probs)
    action = policy.sample(torch.Generator().manual_seed(0))
    torch.testing.assert_close(policy.log_prob(action), reference.log_prob(action))
    torch.testing.assert_close(policy.entropy(), reference.entropy())
    assert torch.equal(action.sort(-1).values, torch.tensor([0.0, 0.0, 1.0]).expand(6, 3))
    assert torch.equal(policy.mode().argmax(-1), policy.probs.argmax(-1))


@pytest.fixture
def critic():
    torch.manual_seed(0)
    return Critic(SIZES["tiny"], 10)


def test_the_return_scale_is_the_average_percentile_range(critic):
    ranges = []
    for scale in (4.0, 40.0, 10.0):
        returns = scale * torch.linspace(0, 1, 101)
        ranges.append(0.9 * scale)
        weights = 0.99 ** np.arange(len(ranges))[::-1]
        assert critic.return_scale(returns).item() == pytest.approx(np.average(ranges, weights=weights), rel=1e-4)


def test_small_returns_are_not_blown_up(critic):
    assert critic.return_scale(1e-3 * torch.randn(100)).item() == 1


def test_the_slow_critic_follows_by_its_rate(critic):
    before = [p.clone() for p in critic.slow.parameters()]
    with torch.no_grad():
        for p in critic.net.parameters():
            p += 1
    critic.update_slow()
    for old, new in zip(before, critic.slow.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.02)


def test_an_untrained_critic_expects_nothing(critic):
    loss = critic.loss(critic(torch.randn(5, 10)), torch.zeros(5), torch.randn(5, 10))
    # zero lies on a bin, and all 255 are equally likely; once for the return, once for the slow copy
    torch.testing.assert_close(loss, torch.full((5,), 2 * math.log(255)), atol=1e-2, rtol=0)
