import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.viper_model.agents.dreamer.test_networks import slow_two_hot
from tests.viper_model.agents.examples import make_agent, make_batch
from viper_model.agents.dreamer.networks import patches_of
from viper_model.agents.dreamer.rssm import balanced_kl


@pytest.fixture
def model():
    model = make_agent().world_model
    with torch.no_grad():
        model.reward_head[-1].weight.normal_(0, 0.1)
    return model


@pytest.fixture
def batch():
    return {name: torch.from_numpy(value).transpose(0, 1).contiguous() for name, value in make_batch().items()}


def random():
    return torch.Generator().manual_seed(0)


def test_a_state_foretells_the_reward_and_the_end_of_its_own_time_step(model, batch):
    batch["is_terminal"] = torch.rand(batch["is_first"].shape, generator=random()) < 0.3
    _, latent, metrics = model.loss(batch, random())
    with torch.no_grad():
        log_probs = model.reward_head(latent.feature).double().log_softmax(-1).numpy()
        continues = model.continue_probability(latent.feature).numpy()
    reward, is_terminal = batch["reward"].numpy(), batch["is_terminal"].numpy()
    rewards = [-(slow_two_hot(reward[index]) * log_probs[index]).sum() for index in np.ndindex(*reward.shape)]
    ends = [-np.log(1 - continues[i] if is_terminal[i] else continues[i]) for i in np.ndindex(*reward.shape)]
    assert metrics["reward_loss"].item() == pytest.approx(np.mean(rewards), rel=1e-4)
    assert metrics["continue_loss"].item() == pytest.approx(np.mean(ends), rel=1e-4)


def test_the_prior_follows_the_posterior_ten_times_as_fast_as_the_other_way(model, batch):
    """Hafner et al. 2023: the dynamics loss counts 1, the representation loss 0.1."""
    with torch.no_grad():
        for out in (model.rssm.prior_net[-1], model.rssm.posterior_out):
            out.weight.mul_(5)  # further apart than the free nats
    loss, _, metrics = model.loss(batch, random())
    others = model.image_scale * metrics["image_loss"] + metrics["reward_loss"] + metrics["continue_loss"]
    prior, posterior = model.rssm.prior_net[-1].weight, model.rssm.posterior_out.weight
    found = torch.autograd.grad(loss - others, (prior, posterior))

    steps, count = batch["is_first"].shape
    patches = patches_of(batch["image"].flatten(0, 1), model.grid) - model.mean_frame.mean
    action = functional.pad(batch["action"][:-1], (0, 0, 0, 0, 1, 0))
    embed, noise = model.encoder(patches).unflatten(0, (steps, count)), model.rssm.noise(steps, count, random())
    latent, logits = model.rssm.observe(embed, action, batch["is_first"], noise)
    dynamics, representation = (nats.mean() for nats in balanced_kl(logits, model.rssm.prior(latent.deter)))
    assert dynamics > 2
    expected = torch.autograd.grad(1.0 * dynamics + 0.1 * representation, (prior, posterior))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-6)
