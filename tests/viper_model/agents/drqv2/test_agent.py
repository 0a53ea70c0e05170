"""DrQ-v2's losses against the same sums made one sequence after the other, without anything random."""

import copy
import math

import numpy as np
import pytest
import torch

from tests.viper_model.agents.drqv2.test_frames import slow_stack
from tests.viper_model.agents.drqv2.test_returns import slow_return
from viper_model.agents.batches import episode_starts
from viper_model.agents.contract import make_batch
from viper_model.agents.drqv2 import agent as agent_module
from viper_model.agents.drqv2.agent import NOISE_LIMIT, PRESENT, TARGET_RATE, UNSATURATED
from viper_model.agents.drqv2.returns import STEPS
from viper_model.agents.registry import make_agent


@pytest.fixture
def agent():
    return make_agent("drqv2", "tiny", "continuous", 2, 16, exploration_weight=0.0, seed=0, batch_size=48)


@pytest.fixture
def quiet(monkeypatch, agent):
    """The agent without anything random."""
    monkeypatch.setattr(agent_module, "random_shifts", lambda n, *_: torch.zeros(n, 2, dtype=torch.int64))
    agent.actor.std.fill_(0)
    with torch.no_grad():  # the target must differ from the critics, or nothing shows which of them is asked
        for parameter in agent.target_critics.parameters():
            parameter.mul_(1.2)
        agent.actor.net[-1].bias.copy_(torch.tensor([UNSATURATED + 1, 0.0]))  # one part too near a limit
    return agent


def slow_losses(agent, batch):
    """The squared errors of both critics to the n-step target, the value of the actor's actions, and how far they are
    in the ends of their tanh, one by one.
    """
    errors, values, saturations = [], [], []
    for i in range(len(batch["reward"])):
        image, is_first = batch["image"][i], batch["is_first"][i]
        after = (batch[name][i, PRESENT + 1 :] for name in ("reward", "is_first", "is_terminal"))
        reward, discount, steps = slow_return(*after, agent.size.discount)
        if steps == 0:
            continue
        now, later = (
            agent.encoder(torch.from_numpy(slow_stack(image, is_first, newest, 0, 0))[None])
            for newest in (PRESENT, PRESENT + steps)
        )
        target = reward + discount * agent.target_critics(later, agent.actor(later)).min().detach()
        taken = torch.from_numpy(batch["action"][i, PRESENT])[None]
        errors.append((agent.critics(now, taken) - target).square().sum())
        unbounded = agent.actor.unbounded(now.detach())
        values.append(agent.critics(now.detach(), unbounded.tanh()).min())
        saturations.append(sum(max(abs(each) - UNSATURATED, torch.zeros(())) ** 2 for each in unbounded[0]))
    assert 0 < len(errors) < len(batch["reward"])
    return tuple(torch.stack(each).mean() for each in (errors, values, saturations))


def test_critics_and_encoder_learn_the_n_step_target_and_the_actor_the_lesser_value_short_of_the_limits(quiet):
    batch = make_batch(quiet, 0)
    critic_loss, value, saturation = slow_losses(quiet, batch)
    assert saturation > 0
    seen, actor = [*quiet.critics.parameters(), *quiet.encoder.parameters()], [*quiet.actor.parameters()]
    expected = [
        *torch.autograd.grad(critic_loss, seen, retain_graph=True),
        *torch.autograd.grad(saturation - value, actor),
    ]
    metrics = quiet._compute_gradients({name: torch.from_numpy(each) for name, each in batch.items()})
    assert metrics["critic_loss"].item() == pytest.approx(critic_loss.item(), rel=1e-4)
    assert metrics["value"].item() == pytest.approx(value.item(), rel=1e-4)
    for parameter, gradient in zip([*seen, *actor], expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-5)  # float32 sums in another order


def test_what_is_new_counts_beside_the_reward_by_beta_and_along_with_the_noise():
    explores, not_so = (
        make_agent("drqv2", "tiny", "continuous", 2, 16, exploration_weight=weight, seed=0, batch_size=48)
        for weight in (0.5, 0.0)
    )
    batch = {name: torch.from_numpy(each) for name, each in make_batch(explores, 0).items()}
    explores.actor.std.fill_(0.3)
    _, bonus = copy.deepcopy(explores.novelty)(batch["image"], episode_starts(batch["is_first"]), STEPS)
    rewarded = {**batch, "reward": batch["reward"].clone()}
    rewarded["reward"][:, PRESENT + 1 :] += 0.5 * 0.3 * bonus
    found, expected = explores._compute_gradients(batch), not_so._compute_gradients(rewarded)
    assert found["n_step_reward"].item() == pytest.approx(expected["n_step_reward"].item(), rel=1e-5)
    assert found["novelty"].item() == pytest.approx(bonus.mean().item())
    assert found["novelty_loss"] > 0


def test_the_target_critics_follow_by_their_rate_and_learn_nothing_else(agent):
    before = [parameter.clone() for parameter in agent.target_critics.parameters()]
    agent.update(make_batch(agent, 0))
    for old, slow, fast in zip(before, agent.target_critics.parameters(), agent.critics.parameters(), strict=True):
        torch.testing.assert_close(slow, old + TARGET_RATE * (fast - old))
        assert not torch.equal(fast, old)


@pytest.mark.parametrize("exploration_weight", [0.0, 0.5])
def test_an_update_moves_every_network_but_the_random_one(exploration_weight):
    agent = make_agent(
        "drqv2", "tiny", "continuous", 2, 16, exploration_weight=exploration_weight, seed=0, batch_size=48
    )
    before = {name: tensor.clone() for name, tensor in agent.state()[0].items() if name.startswith("weights.")}
    for seed in range(2):
        agent.update(make_batch(agent, seed))
    still = {name for name, tensor in agent.state()[0].items() if name in before and torch.equal(tensor, before[name])}
    assert still == {name for name in before if name.startswith("weights.novelty.random.")}


def test_the_noise_falls_linearly_with_updates_and_stays(agent):
    agent.policy()
    for updates, std in ((0, 1.0), (4_000, 0.55), (8_000, 0.1), (50_000, 0.1)):
        agent.updates = updates
        agent._after_step()
        assert agent.actor.std.item() == pytest.approx(std)


def test_actions_are_explored_around_by_the_noise_of_now(agent):
    agent.actor.std.fill_(0.2)
    policy, n = agent.policy(), 2_000
    frames, first = np.zeros((n, 16, 16, 3), np.uint8), np.ones(n, bool)
    meant, _ = policy.act(policy.initial(n), frames, first, sample=False)
    taken, _ = policy.act(policy.initial(n), frames, first, sample=True)
    assert (taken - meant).std() == pytest.approx(0.2, rel=0.1)
    assert abs((taken - meant).mean()) < 0.02


@pytest.mark.parametrize(("size", "likeness"), [("tiny", (0 + 3 / 4 + 15 / 16 + 63 / 64) / 4), ("paper", 0)])
def test_the_noise_of_neighbours_in_time_is_alike_and_of_episodes_is_not(size, likeness):
    agent = make_agent("drqv2", size, "continuous", 2, 16, exploration_weight=0.0, seed=0, batch_size=2)
    agent.actor.std.fill_(0.1)
    policy, n = agent.policy(), 3_000
    state, frames = policy.initial(n), np.zeros((n, 16, 16, 3), np.uint8)
    meant, _ = policy.act(state, frames, np.ones(n, bool), sample=False)
    drawn = []
    for begins in (True, False, False, True):
        taken, state = policy.act(state, frames, np.full(n, begins), sample=True)
        drawn.append((taken - meant).ravel() / 0.1)
    # Correlations of 6,000 pairs: four standard deviations.
    assert np.corrcoef(drawn[1], drawn[2])[0, 1] == pytest.approx(likeness, abs=4 / 6_000**0.5)
    assert np.corrcoef(drawn[2], drawn[3])[0, 1] == pytest.approx(0, abs=4 / 6_000**0.5)
    assert np.std(drawn[2]) == pytest.approx(1, rel=0.05)


def test_what_is_learned_from_stays_near_the_action_and_within_the_limits(agent):
    agent.actor.std.fill_(10)
    action = torch.tensor([0.0, 0.9]).expand(500, 2).clone().requires_grad_()
    noisy = agent._noisy(action)
    assert noisy.min(0).values.tolist() == pytest.approx([-NOISE_LIMIT, 0.9 - NOISE_LIMIT])
    assert noisy.max(0).values.tolist() == pytest.approx([NOISE_LIMIT, 1])
    (gradient,) = torch.autograd.grad(noisy.sum(), action)
    assert torch.equal(gradient, (noisy.abs() < 1).float())  # nothing pulls an action beyond its limit


@pytest.mark.parametrize("image_size", [16, 84])
def test_the_paper_s_size_learns_too(image_size):
    agent = make_agent("drqv2", "paper", "continuous", 2, image_size, exploration_weight=0.0, seed=0, batch_size=2)
    assert math.isfinite(agent.update(make_batch(agent, 0))["critic_loss"])


def test_a_batch_in_which_nothing_follows_changes_no_critic(agent):
    batch = make_batch(agent, 0)
    batch["is_first"][:, PRESENT + 1] = True
    assert agent.update(batch)["critic_loss"] == 0
