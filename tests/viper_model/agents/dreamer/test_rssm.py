import numpy as np
import pytest
import torch

from viper_model.agents.dreamer.rssm import (
    FREE_NATS,
    RSSM,
    UNIMIX,
    balanced_kl,
    exponential_noise,
    sample_one_hot,
    unimix_probs,
)
from viper_model.agents.dreamer.sizes import SIZES

TIME, BATCH, EMBED, ACTION = 7, 3, 20, 2


@pytest.fixture
def rssm():
    torch.manual_seed(0)
    return RSSM(SIZES["tiny"], EMBED, ACTION)


@pytest.fixture
def sequence(rssm):
    generator = torch.Generator().manual_seed(1)
    embed = torch.randn(TIME, BATCH, EMBED, generator=generator)
    action = torch.randn(TIME, BATCH, ACTION, generator=generator)
    is_first = torch.zeros(TIME, BATCH, dtype=torch.bool)
    is_first[3, 1] = True
    return embed, action, is_first, rssm.noise(TIME, BATCH, generator)


def test_observing_a_sequence_equals_observing_step_by_step(rssm, sequence):
    states, _ = rssm.observe(*sequence)
    latent = rssm.initial(BATCH)
    for t in range(TIME):
        latent = rssm.observe_step(latent, *(values[t] for values in sequence))
        # float32 sums in another order
        torch.testing.assert_close(latent.deter, states.deter[t], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(latent.stoch, states.stoch[t], atol=1e-5, rtol=1e-5)


def test_is_first_forgets_everything_before(rssm, sequence):
    embed, action, is_first, noise = sequence
    states, _ = rssm.observe(embed, action, is_first, noise)
    fresh = is_first.clone()
    fresh[3] = True
    alone, _ = rssm.observe(embed[3:], action[3:], fresh[3:], noise[3:])
    torch.testing.assert_close(states.deter[3:, 1], alone.deter[:, 1], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(states.deter[3, 0], alone.deter[0, 0])  # which had a past to forget


def test_actions_act_as_their_actuators_would(rssm, sequence):
    embed, action, is_first, noise = sequence
    wild, _ = rssm.observe(embed, action * 100, is_first, noise)
    clipped, _ = rssm.observe(embed, (action * 100).clamp(-1, 1), is_first, noise)
    assert torch.equal(wild.deter, clipped.deter)


def test_an_imagined_step_samples_the_prior_after_the_same_recurrence(rssm, sequence):
    embed, action, is_first, noise = sequence
    states, _ = rssm.observe(embed, action, is_first, noise)
    before = rssm.observe(embed[:2], action[:2], is_first[:2], noise[:2])[0]
    imagined = rssm.imagine_step(type(before)(before.deter[-1], before.stoch[-1]), action[2], noise[2])
    torch.testing.assert_close(imagined.deter, states.deter[2], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        imagined.stoch, sample_one_hot(unimix_probs(rssm.prior(imagined.deter)), noise[2]), atol=1e-5, rtol=1e-5
    )


def test_samples_are_one_hot_and_as_frequent_as_their_probabilities():
    generator = torch.Generator().manual_seed(0)
    probs = torch.tensor([0.6, 0.3, 0.1]).expand(20_000, 3)
    samples = sample_one_hot(probs, exponential_noise((20_000, 3), generator))
    torch.testing.assert_close(samples.sum(-1), torch.ones(20_000))
    # five standard errors of the most uncertain frequency
    torch.testing.assert_close(samples.mean(0), probs[0], atol=5 * 0.5 / 20_000**0.5, rtol=0)


def test_gradients_pass_straight_through_samples():
    logits = torch.randn(4, 5, requires_grad=True)
    weight = torch.randn(4, 5)
    probs = unimix_probs(logits)
    sample = sample_one_hot(probs, torch.ones(4, 5))
    (through_sample,) = torch.autograd.grad((sample * weight).sum(), logits, retain_graph=True)
    (through_probs,) = torch.autograd.grad((probs * weight).sum(), logits)
    torch.testing.assert_close(through_sample, through_probs)


def slow_kl(p_logits, q_logits):
    total = 0.0
    for p_row, q_row in zip(p_logits, q_logits, strict=True):
        p = (1 - UNIMIX) * np.exp(p_row) / np.exp(p_row).sum() + UNIMIX / len(p_row)
        q = (1 - UNIMIX) * np.exp(q_row) / np.exp(q_row).sum() + UNIMIX / len(q_row)
        total += sum(a * np.log(a / b) for a, b in zip(p, q, strict=True))
    return max(total, FREE_NATS)


def test_kl_agrees_with_the_slow_sum_and_has_free_bits():
    rng = np.random.default_rng(0)
    scale = np.array([0.05, 3.0])[:, None, None]  # the first pair is nearly the same: below the free nats
    posterior, prior = rng.normal(size=(2, 4, 6)) * scale, rng.normal(size=(2, 4, 6)) * scale
    dynamics, representation = balanced_kl(torch.tensor(posterior), torch.tensor(prior))
    expected = [slow_kl(p, q) for p, q in zip(posterior, prior, strict=True)]
    assert expected[0] == FREE_NATS < expected[1]
    np.testing.assert_allclose(dynamics, expected, rtol=1e-5)
    np.testing.assert_allclose(representation, expected, rtol=1e-5)


def test_each_side_of_the_kl_moves_one_distribution():
    posterior = (3 * torch.randn(4, 6)).requires_grad_()
    prior = (3 * torch.randn(4, 6)).requires_grad_()
    dynamics, representation = balanced_kl(posterior, prior)
    assert torch.autograd.grad(dynamics, posterior, retain_graph=True, allow_unused=True)[0] is None
    assert torch.autograd.grad(dynamics, prior)[0].abs().sum() > 0
    posterior_again = posterior.detach().clone().requires_grad_()
    _, representation = balanced_kl(posterior_again, prior)
    assert torch.autograd.grad(representation, prior, retain_graph=True, allow_unused=True)[0] is None
    assert torch.autograd.grad(representation, posterior_again)[0].abs().sum() > 0
