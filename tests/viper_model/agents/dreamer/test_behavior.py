import copy
import math

import numpy as np
import pytest
import torch

from tests.viper_model.agents.dreamer.test_networks import slow_two_hot
from viper_model.agents.dreamer import behavior
from viper_model.agents.dreamer.behavior import (
    LAMBDA,
    MAX_STD,
    MIN_STD,
    Actor,
    BoundedNormal,
    Critic,
    OneHotCategorical,
    RewardStream,
    Trajectory,
    behavior_loss,
    lambda_return,
)
from viper_model.agents.dreamer.networks import two_hot_mean
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


FEATURE, STEPS, STARTS, GAMMA = 10, 5, 8, 0.9


def make_streams():
    """An actor, two streams of rewards whose critics say something, and trajectories some of which end."""
    torch.manual_seed(0)
    actor = Actor(SIZES["tiny"], FEATURE, "continuous", 2)
    critics = [Critic(SIZES["tiny"], FEATURE) for _ in range(2)]
    with torch.no_grad():
        for module in (actor.net[-1], *(net[-1] for critic in critics for net in (critic.net, critic.slow))):
            module.weight.normal_(0, 0.1)
    rewards = torch.randn(2, STEPS, STARTS)
    streams = {
        "extrinsic": RewardStream(critics[0], 3 * rewards[0], 1.0),
        "exploration": RewardStream(critics[1], rewards[1], 0.5),
    }
    trajectory = Trajectory(torch.randn(STEPS + 1, STARTS, FEATURE), torch.randn(STEPS, STARTS, 2))
    continues = torch.rand(STEPS + 1, STARTS)
    continues[0, 0] = continues[2, 1] = continues[STEPS, 2] = 0.0
    return actor, streams, trajectory, continues


def slow_critic_terms(critic, reward, trajectory, continues):
    """The cross entropies and the advantages of one stream, [STEPS, STARTS]: one return after the other."""
    with torch.no_grad():
        logits = critic(trajectory.feature)
        value, slow = two_hot_mean(logits).numpy(), two_hot_mean(critic.slow(trajectory.feature)).numpy()
    log_probs = logits.double().log_softmax(-1).numpy()
    returns, entropies = np.zeros((STEPS, STARTS)), np.zeros((STEPS, STARTS))
    for start in range(STARTS):
        discount = [GAMMA * continues[t + 1, start] for t in range(STEPS)]
        for t in range(STEPS):
            returns[t, start] = slow_lambda_return(reward[:, start], discount, value[:, start], t)
            targets = slow_two_hot(returns[t, start]) + slow_two_hot(slow[t, start])
            entropies[t, start] = -(targets * log_probs[t, start]).sum()
    scale = max(1.0, np.quantile(returns, 0.95) - np.quantile(returns, 0.05))
    return entropies, (returns - value[:-1]) / scale


def test_the_behavior_loss_is_the_slow_sum_over_every_state(monkeypatch):
    monkeypatch.setattr(behavior, "ENTROPY_SCALE", 0.3)  # large enough to be seen beside the rest
    actor, streams, trajectory, continues = make_streams()
    entropies, advantage = np.zeros((STEPS, STARTS)), np.zeros((STEPS, STARTS))
    for critic, reward, weight in streams.values():
        found = slow_critic_terms(copy.deepcopy(critic), reward.numpy(), trajectory, continues.numpy())
        entropies += found[0]
        advantage += weight * found[1]
    policy = actor(trajectory.feature[:-1])
    log_prob, entropy = (each.detach().numpy() for each in (policy.log_prob(trajectory.action), policy.entropy()))
    total = 0.0
    for start in range(STARTS):
        real = continues[0, start].item()
        for t in range(STEPS):
            gain = log_prob[t, start] * advantage[t, start] + 0.3 * entropy[t, start]
            total += real * (entropies[t, start] - gain)
            real *= GAMMA * continues[t + 1, start].item()
    loss, metrics = behavior_loss(actor, streams, trajectory, continues, GAMMA)
    assert loss.item() == pytest.approx(total / (STEPS * STARTS), rel=1e-4)
    assert metrics["advantage"].item() == pytest.approx(abs(advantage).mean(), rel=1e-3)


def test_where_nothing_is_to_be_gained_the_actor_becomes_less_certain():
    actor, streams, trajectory, continues = make_streams()
    streams = {"extrinsic": RewardStream(Critic(SIZES["tiny"], FEATURE), torch.zeros(STEPS, STARTS), 1.0)}
    loss, metrics = behavior_loss(actor, streams, trajectory, continues, GAMMA)
    loss.backward()
    with torch.no_grad():
        for parameter in actor.parameters():
            parameter -= 10 * parameter.grad
    _, after = behavior_loss(actor, streams, trajectory, continues, GAMMA)
    assert after["entropy"] > metrics["entropy"]
