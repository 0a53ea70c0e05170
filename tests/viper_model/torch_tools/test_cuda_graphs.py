"""Updates as a CUDA graph against the same updates kernel by kernel."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from tests.viper_model.agents.examples import make_batch
from viper_model.agents import registry
from viper_model.agents.registry import AGENTS
from viper_model.torch_tools.cuda_graphs import WARM_UP

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")

# Kernels add up in an order that the GPU chooses, and what differs in the last digit is learned from.
ROUNDING = 1e-3


@pytest.fixture(params=AGENTS)
def make_agent(request):
    def make(graphed=True):
        agent = registry.make_agent(
            request.param, "tiny", "continuous", 2, 16, exploration_weight=0.5, seed=0, device="cuda"
        )
        if not graphed:
            agent._gradients = agent._compute_gradients
        return agent

    return make


def test_a_graph_learns_what_its_kernels_learn_one_by_one(make_agent):
    agent, plain = make_agent(), make_agent(graphed=False)
    for seed in range(2 * WARM_UP + 4):
        assert agent.update(make_batch(seed)) == pytest.approx(plain.update(make_batch(seed)), rel=ROUNDING)


def test_batches_of_another_shape_are_learned_from_too(make_agent):
    agent, plain = make_agent(), make_agent(graphed=False)
    for seed in range(4 * WARM_UP):
        batch = make_batch(seed, batch=3 if seed < 2 * WARM_UP else 5)
        assert agent.update(batch) == pytest.approx(plain.update(batch), rel=ROUNDING)


def test_learning_goes_on_from_a_state_that_a_graph_has_reached(make_agent, tmp_path):
    agent, other = make_agent(), make_agent()
    for seed in range(2 * WARM_UP):
        agent.update(make_batch(seed))
    tensors, document = agent.state()
    other.restore({name: tensor.cpu().clone() for name, tensor in tensors.items()}, document, tmp_path)
    for seed in range(2 * WARM_UP):
        assert agent.update(make_batch(seed)) == pytest.approx(other.update(make_batch(seed)), rel=ROUNDING)


def test_acting_and_learning_of_another_thread_change_nothing_for_a_graph(make_agent):
    """Another agent learns and acts, captures included, while this one warms up, is captured and is replayed."""
    agent, plain, other = make_agent(), make_agent(graphed=False), make_agent()
    frame, first = np.zeros((1, 16, 16, 3), np.uint8), np.ones(1, bool)

    def learn_and_act():
        policy = other.policy()
        state = policy.initial(1)
        for seed in range(4 * WARM_UP):
            other.update(make_batch(seed, batch=3 + seed // (2 * WARM_UP)))
            policy.refresh()
            action, state = policy.act(state, frame, first, sample=True)
            assert np.isfinite(action).all()
            assert all(
                torch.equal(ours, theirs)
                for ours, theirs in zip(policy._networks.parameters(), policy._source.parameters(), strict=True)
            )

    with ThreadPoolExecutor(1) as thread:
        beside = thread.submit(learn_and_act)
        for seed in range(4 * WARM_UP):
            assert agent.update(make_batch(seed)) == pytest.approx(plain.update(make_batch(seed)), rel=ROUNDING)
        beside.result()
