import math
import threading

import numpy as np
import pytest
import torch

from tests.viper_model.agents.examples import make_agent, make_batch
from viper_model.agents.dreamer import Agent
from viper_model.errors import ModelError


def weights(agent):
    return {name: value.clone() for name, value in agent.state()[0].items() if name.startswith("weights.")}


@pytest.mark.parametrize("action_kind", ["continuous", "discrete"])
@pytest.mark.parametrize("exploration_weight", [0.0, 0.5])
def test_an_update_moves_every_network_and_reports_finite_numbers(action_kind, exploration_weight):
    agent = make_agent(exploration_weight, action_kind=action_kind)
    before = weights(agent)
    for seed in range(2):  # layers behind an output that starts at zero move from the second update on
        metrics = agent.update(make_batch(seed, action_kind=action_kind))
    assert all(math.isfinite(value) for value in metrics.values())
    assert agent.updates == 2
    still = [name for name, value in weights(agent).items() if torch.equal(value, before[name])]
    assert not still


@pytest.mark.parametrize("size", ["XS", "S"])
def test_larger_sizes_learn_too(size):
    agent = Agent(size, "continuous", 2, 16, exploration_weight=0.1, seed=0)
    assert math.isfinite(agent.update(make_batch(batch=1, time=2))["image_loss"])


@pytest.mark.parametrize("image_size", [16, 32, 64])
def test_any_power_of_two_is_an_image_size(image_size):
    agent = make_agent(image_size=image_size)
    agent.update(make_batch(batch=2, time=3, image_size=image_size))


@pytest.mark.parametrize("image_size", [0, 8, 48])
def test_other_image_sizes_are_refused(image_size):
    with pytest.raises(ModelError, match="choose one of 16, 32"):
        make_agent(image_size=image_size)


def test_an_unknown_size_is_refused_with_the_names():
    with pytest.raises(ModelError, match="tiny"):
        Agent("huge", "continuous", 2, 32, exploration_weight=0, seed=0)


def test_without_exploration_nothing_of_it_exists():
    agent = make_agent(0.0)
    assert not [name for name in agent.update(make_batch()) if "exploration" in name or "disagreement" in name]
    assert not [name for name in weights(agent) if "exploration" in name or "disagreement" in name]


def test_the_same_seed_learns_the_same():
    one, other = make_agent(0.1), make_agent(0.1)
    for seed in range(2):
        assert one.update(make_batch(seed)) == other.update(make_batch(seed))
    different = make_agent(0.1, seed=1)
    assert different.update(make_batch()) != make_agent(0.1).update(make_batch())


def states(agent, batch):
    """The states that the world model infers along a batch, with the same noise each time."""
    tensors = {name: torch.as_tensor(value).transpose(0, 1) for name, value in batch.items()}
    with torch.no_grad():
        _, latent, _ = agent.world_model.loss(tensors, torch.Generator().manual_seed(0))
    return latent.deter  # [time, batch, deter]


def test_an_action_leads_to_the_next_frame_of_the_same_episode():
    agent, batch = make_agent(), make_batch(batch=2)
    batch["is_first"][:] = False
    batch["is_first"][1, 3] = True
    before = states(agent, batch)
    batch["action"][:, 2] *= -1  # of both sequences, but in the second an episode ends there
    changed = (states(agent, batch) != before).any(-1)
    assert changed[:, 0].tolist() == [False, False, False, True, True, True]
    assert not changed[:, 1].any()


def test_the_exploration_bonus_shrinks_on_what_has_been_seen():
    agent = make_agent(1.0)
    batch = make_batch(batch=4, time=8)
    batch["image"][:] = batch["image"][:1, :1]  # an environment in which nothing ever changes
    first = agent.update(batch)["exploration_reward"]
    for _ in range(30):
        last = agent.update(batch)["exploration_reward"]
    assert last < first / 4


@pytest.mark.parametrize("broken", ["reward", "action"])
def test_a_batch_that_is_not_finite_is_refused(broken):
    agent, batch = make_agent(), make_batch()
    batch[broken].flat[3] = np.nan
    with pytest.raises(ModelError, match=f"{broken} is not finite"):
        agent.update(batch)


def test_a_batch_of_another_kind_is_refused():
    with pytest.raises(ModelError, match="image"):
        make_agent(image_size=32).update(make_batch(image_size=16))


def test_a_diverged_update_is_refused_and_leaves_the_weights():
    agent, batch = make_agent(), make_batch()
    with torch.no_grad():
        agent.world_model.reward_head[0].weight[0, 0] = torch.inf
    before = weights(agent)
    with pytest.raises(ModelError, match="go back to the last checkpoint"):
        agent.update(batch)
    after = weights(agent)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert agent.updates == 0


def test_the_policy_keeps_to_its_snapshot_until_refreshed():
    agent = make_agent()
    policy = agent.policy()
    image, first = make_batch()["image"][:2, 0], np.array([True, True])
    before, _ = policy.act(policy.initial(2), image, first, sample=False)
    for seed in range(3):
        agent.update(make_batch(seed))
    kept, _ = policy.act(policy.initial(2), image, first, sample=False)
    policy.refresh()
    refreshed, _ = policy.act(policy.initial(2), image, first, sample=False)
    assert np.array_equal(before, kept)
    assert not np.array_equal(before, refreshed)


@pytest.mark.parametrize("action_kind", ["continuous", "discrete"])
@pytest.mark.parametrize("sample", [True, False])
def test_actions_are_what_environments_understand(action_kind, sample):
    policy = make_agent(action_kind=action_kind).policy()
    action, _ = policy.act(policy.initial(50), np.zeros((50, 16, 16, 3), np.uint8), np.ones(50, bool), sample)
    assert action.dtype == np.float32
    assert action.shape == (50, 2)
    assert (abs(action) <= 1).all()
    if action_kind == "discrete":
        assert (np.sort(action) == [0, 1]).all()


def test_environments_do_not_see_each_other_and_is_first_forgets():
    policy = make_agent().policy()
    images = make_batch(batch=3, time=4)["image"]
    state, alone = policy.initial(3), policy.initial(1)
    for t in range(4):
        action, state = policy.act(state, images[:, t], np.array([t == 0, t == 0, t == 3]), sample=False)
        expected, alone = policy.act(alone, images[:1, t], np.array([t == 0]), sample=False)
        # float32 products of other shapes
        np.testing.assert_allclose(action[:1], expected, atol=1e-6)
    fresh, _ = policy.act(policy.initial(1), images[2:, 3], np.array([True]), sample=False)
    np.testing.assert_allclose(action[2:], fresh, atol=1e-6)


def test_the_policy_refuses_weights_that_are_not_finite():
    agent = make_agent()
    policy = agent.policy()
    with torch.no_grad():
        agent.actor.net[0].weight[0, 0] = torch.nan
    with pytest.raises(ModelError, match="earlier checkpoint"):
        policy.refresh()
    policy.act(policy.initial(1), np.zeros((1, 16, 16, 3), np.uint8), np.array([True]), sample=True)


def test_the_policy_refuses_images_of_another_kind():
    policy = make_agent().policy()
    with pytest.raises(ModelError, match="uint8"):
        policy.act(policy.initial(1), np.zeros((1, 16, 16, 3)), np.array([True]), sample=True)


def test_the_policy_acts_and_refreshes_while_the_agent_learns():
    agent = make_agent()
    policy = agent.policy()
    learning = threading.Thread(target=lambda: [agent.update(make_batch(seed)) for seed in range(5)])
    learning.start()
    state = policy.initial(1)
    while learning.is_alive():
        policy.refresh()
        action, state = policy.act(state, np.zeros((1, 16, 16, 3), np.uint8), np.array([False]), sample=True)
        assert np.isfinite(action).all()
    assert agent.updates == 5
