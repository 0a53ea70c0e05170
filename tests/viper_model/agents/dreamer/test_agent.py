import math

import pytest
import torch

from tests.viper_model.agents.examples import make_agent, make_batch
from viper_model.agents import registry
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
    agent = registry.make_agent("dreamer", size, "continuous", 2, 16, exploration_weight=0.1, seed=0)
    assert math.isfinite(agent.update(make_batch(batch=1, time=2))["image_loss"])


@pytest.mark.parametrize("image_size", [16, 32, 64])
def test_any_power_of_two_is_an_image_size(image_size):
    agent = make_agent(image_size=image_size)
    agent.update(make_batch(batch=2, time=3, image_size=image_size))


def test_without_exploration_nothing_of_it_exists():
    agent = make_agent(0.0)
    assert not [name for name in agent.update(make_batch()) if "exploration" in name or "disagreement" in name]
    assert not [name for name in weights(agent) if "exploration" in name or "disagreement" in name]


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
