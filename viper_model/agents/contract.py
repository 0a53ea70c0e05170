"""The test suite that holds an agent to the contract of `agents.base`.

>>> class TestMyAgent(AgentContract):
...     agent = "my_agent"

Test runners find its methods by their names; nothing here needs one.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from viper_model.agents.base import ActingPolicy, ActionKind, Agent
from viper_model.agents.registry import AGENTS, make_agent
from viper_model.errors import ModelError

ACTIONS = 2
BEST_ACTION = np.array([1, -1], np.float32)
"""Of the bandit, which pays the mean of an action's parts times these."""


class AgentContract:
    """What is true of every agent."""

    agent: str
    """Its name in the registry."""
    exploration_weight = 0.0
    image_size = 16
    batch_size = 4
    batch_length = 6
    bandit_updates = 60
    """In so many the bandit is to be solved,"""
    bandit_batch_size = 16
    """with batches of so many sequences."""

    def make(self, seed: int = 0, action_kind: ActionKind = "continuous", batch_size: int | None = None) -> Agent:
        return make_agent(
            self.agent,
            "tiny",
            action_kind,
            ACTIONS,
            self.image_size,
            exploration_weight=self.exploration_weight,
            seed=seed,
            batch_size=batch_size or self.batch_size,
            batch_length=self.batch_length,
        )

    def test_an_update_reports_finite_numbers_and_is_counted(self) -> None:
        for action_kind in AGENTS[self.agent].action_kinds:
            agent = self.make(action_kind=action_kind)
            for seed in range(2):
                metrics = agent.update(make_batch(agent, seed))
                assert metrics
                assert all(math.isfinite(value) for value in metrics.values())
            assert agent.updates == 2

    def test_its_own_batches_are_what_it_says(self) -> None:
        weight, side = self.exploration_weight, self.image_size
        agent = make_agent(self.agent, "tiny", "continuous", ACTIONS, side, exploration_weight=weight, seed=0)
        sequences, steps, learned_steps, rewarded_steps = agent.batch
        assert 0 < learned_steps <= sequences * steps
        assert 0 < rewarded_steps <= steps
        agent.update(make_batch(agent, 0))

    def test_actions_are_what_environments_understand(self) -> None:
        for action_kind in AGENTS[self.agent].action_kinds:
            policy = self.make(action_kind=action_kind).policy()
            for sample in (True, False):
                action, _ = policy.act(policy.initial(50), self.frames(50), np.ones(50, bool), sample)
                assert action.dtype == np.float32
                assert action.shape == (50, ACTIONS)
                assert (abs(action) <= 1).all()
                if action_kind == "discrete":
                    assert (np.sort(action) == [0, 1]).all()

    def test_equal_seeds_learn_and_act_alike_and_others_do_not(self) -> None:
        one, other, different = self.make(3), self.make(3), self.make(4)
        for seed in range(2):
            batch = make_batch(one, seed)
            assert one.update(batch) == other.update(batch) != different.update(batch)
        actions = [self.play(agent.policy(), sample=True) for agent in (one, other, different)]
        assert np.array_equal(actions[0], actions[1])
        assert not np.array_equal(actions[0], actions[2])

    def test_only_sampling_is_random(self) -> None:
        policy = self.make().policy()
        assert np.array_equal(self.play(policy, sample=False), self.play(policy, sample=False))
        assert not np.array_equal(self.play(policy, sample=True), self.play(policy, sample=True))

    def test_a_restored_agent_goes_on_exactly_as_one_never_stopped(self) -> None:
        straight, half, resumed = self.make(), self.make(), self.make(7)
        batches = [make_batch(straight, seed) for seed in range(5)]
        expected = [straight.update(batch) for batch in batches]
        assert [half.update(batch) for batch in batches[:3]] == expected[:3]
        tensors, document = half.state()
        copied = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        half.update(batches[0])  # what was saved does not change with it
        resumed.restore(copied, document, Path("checkpoint"))
        assert resumed.updates == 3
        assert [resumed.update(batch) for batch in batches[3:]] == expected[3:]
        (found, found_document), (wanted, wanted_document) = resumed.state(), straight.state()
        assert found_document == wanted_document
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[name], wanted[name]) for name in wanted)
        assert np.array_equal(self.play(resumed.policy(), sample=False), self.play(straight.policy(), sample=False))

    def test_a_run_goes_on_on_another_kind_of_device(self) -> None:
        """A GPU's random state is of other bytes than a processor's."""
        trained, resumed, same = self.make(), self.make(), self.make()
        trained.update(make_batch(trained, 0))
        tensors, document = trained.state()
        for agent in (resumed, same):
            elsewhere = {**tensors, "generator": torch.zeros(16, dtype=torch.uint8)}
            agent.restore(elsewhere, document, Path("checkpoint"))
        assert np.array_equal(self.play(resumed.policy(), sample=False), self.play(trained.policy(), sample=False))
        assert resumed.update(make_batch(resumed, 1)) == same.update(make_batch(same, 1))

    def test_a_run_that_goes_on_does_not_explore_as_it_began(self) -> None:
        begun, resumed = self.make(), self.make()
        tensors, document = begun.state()
        resumed.restore(tensors, {**document, "updates": 3}, Path("checkpoint"))  # the same weights, later
        later = self.play(resumed.policy(), sample=True)
        assert not np.array_equal(later, self.play(begun.policy(), sample=True))
        assert np.array_equal(later, self.play(resumed.policy(), sample=True))

    def test_another_agents_state_is_refused(self) -> None:
        agent = self.make()
        tensors, document = agent.state()
        others = {"name": "another", "size": "huge", "action_size": 3, "image_size": 512, "action_kind": "none"}
        for key, value in others.items():
            assert_refused(lambda: agent.restore(tensors, {**document, key: value}, Path("checkpoint")))  # noqa: B023

    def test_a_policy_keeps_its_weights_until_refreshed(self) -> None:
        agent = self.make()
        policy = agent.policy()
        before = self.play(policy, sample=False)
        for seed in range(3):
            agent.update(make_batch(agent, seed))
        assert np.array_equal(self.play(policy, sample=False), before)
        policy.refresh()
        assert not np.array_equal(self.play(policy, sample=False), before)

    def test_it_acts_and_refreshes_while_it_learns(self) -> None:
        agent = self.make()
        policy = agent.policy()
        batches = [make_batch(agent, seed) for seed in range(5)]
        learning = threading.Thread(target=lambda: [agent.update(batch) for batch in batches])
        learning.start()
        state = policy.initial(1)
        while learning.is_alive():
            policy.refresh()
            action, state = policy.act(state, self.frames(1), np.array([False]), sample=True)
            assert np.isfinite(action).all()
        learning.join()
        assert agent.updates == len(batches)

    def test_environments_do_not_see_each_other_and_is_first_forgets(self) -> None:
        policy = self.make().policy()
        frames = np.stack([self.frames(3, seed) for seed in range(4)])  # [steps, environments, ...]
        state, alone = policy.initial(3), policy.initial(1)
        for t, frame in enumerate(frames):
            action, state = policy.act(state, frame, np.array([t == 0, t == 0, t == 3]), sample=False)
            expected, alone = policy.act(alone, frame[:1], np.array([t == 0]), sample=False)
            np.testing.assert_allclose(action[:1], expected, atol=1e-5)  # float32 products of other shapes
        fresh, _ = policy.act(policy.initial(1), frames[3, 2:], np.array([True]), sample=False)
        np.testing.assert_allclose(action[2:], fresh, atol=1e-5)
        remembered, _ = policy.act(alone, frames[3, 2:], np.array([False]), sample=False)
        assert not np.allclose(remembered, fresh, atol=1e-5)  # there was something to forget

    def test_wrong_batches_are_refused_and_change_nothing(self) -> None:
        agent = self.make()
        agent.update(make_batch(agent, 0))
        before = weights(agent)
        for change in (
            lambda batch: {**batch, "image": batch["image"].astype(np.float32)},
            lambda batch: {**batch, "image": batch["image"][..., :-1, :]},
            lambda batch: {**batch, "action": batch["action"][..., :1]},
            lambda batch: {**batch, "reward": batch["reward"][:, :-1]},
            lambda batch: {**batch, "reward": np.full_like(batch["reward"], np.nan)},
            lambda batch: {**batch, "action": np.full_like(batch["action"], np.inf)},
            lambda batch: {name: value[0] for name, value in batch.items()},
        ):
            batch = change(make_batch(agent, 1))
            assert_refused(lambda: agent.update(batch))  # noqa: B023
        assert agent.updates == 1
        assert_equal(weights(agent), before)

    def test_wrong_images_are_refused(self) -> None:
        policy, first = self.make().policy(), np.array([True])
        frame = self.frames(1)
        for wrong in (frame.astype(np.float32), frame[:, :-1], frame[..., :1], self.frames(2)):
            assert_refused(lambda: policy.act(policy.initial(1), wrong, first, sample=True))  # noqa: B023

    def test_a_diverged_update_is_refused_and_changes_nothing(self) -> None:
        agent = self.make()
        poison(agent)
        before = weights(agent)
        assert_refused(lambda: agent.update(make_batch(agent, 0)))
        assert agent.updates == 0
        assert_equal(weights(agent), before)

    def test_a_policy_refuses_weights_that_are_not_finite_and_keeps_its_own(self) -> None:
        agent = self.make()
        policy = agent.policy()
        before = self.play(policy, sample=False)
        poison(agent)
        assert_refused(policy.refresh)
        assert np.array_equal(self.play(policy, sample=False), before)

    def test_a_bandit_is_solved(self) -> None:
        """Episodes of one action and its reward."""
        agent = self.make(batch_size=self.bandit_batch_size)
        rng = np.random.default_rng(0)
        for _ in range(self.bandit_updates):
            agent.update(bandit_batch(agent, rng))
        policy, first = agent.policy(), np.array([True])
        frame = np.zeros((1, self.image_size, self.image_size, 3), np.uint8)
        action, _ = policy.act(policy.initial(1), frame, first, sample=False)
        assert np.abs(action[0] - BEST_ACTION).max() < 0.35, action

    def frames(self, n: int, seed: int = 0) -> np.ndarray:
        """uint8 [n, image_size, image_size, 3]."""
        rng = np.random.default_rng(seed)
        return rng.integers(0, 256, (n, self.image_size, self.image_size, 3), dtype=np.uint8)

    def play(self, policy: ActingPolicy, sample: bool) -> np.ndarray:
        """The actions along one episode of a few frames."""
        state, actions = policy.initial(1), []
        for t in range(4):
            action, state = policy.act(state, self.frames(1, t), np.array([t == 0]), sample)
            actions.append(action)
        return np.concatenate(actions)


def make_batch(agent: Agent, seed: int) -> dict[str, np.ndarray]:
    """A batch of noise that `agent` can learn from, as `Replay.sample` gives it."""
    rng = np.random.default_rng(seed)
    leading, side = agent.batch[:2], agent.settings.image_size
    action = rng.uniform(-1, 1, (*leading, agent.settings.action_size))
    if agent.settings.action_kind == "discrete":
        action = np.eye(agent.settings.action_size)[rng.integers(agent.settings.action_size, size=leading)]
    is_first = rng.random(leading) < 0.2
    is_last = np.roll(is_first, -1, 1)
    return {
        "image": rng.integers(0, 256, (*leading, side, side, 3), dtype=np.uint8),
        "action": action.astype(np.float32),
        "reward": rng.normal(size=leading).astype(np.float32),
        "is_first": is_first,
        "is_last": is_last,
        "is_terminal": is_last & (rng.random(leading) < 0.5),
    }


def bandit_batch(agent: Agent, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A first, dark frame, an action at random, a last, bright frame with its reward; and the next episode."""
    leading, side = agent.batch[:2], agent.settings.image_size
    is_first = (np.arange(leading[1]) + rng.integers(2, size=(leading[0], 1))) % 2 == 0
    action = rng.uniform(-1, 1, (*leading, ACTIONS)).astype(np.float32)
    earned = (action * BEST_ACTION).mean(-1)
    image = np.where(is_first, 0, 200).astype(np.uint8)[..., None, None, None]
    return {
        "image": np.broadcast_to(image, (*leading, side, side, 3)).copy(),
        "action": action,
        "reward": np.where(is_first, 0, np.roll(earned, 1, 1)).astype(np.float32),
        "is_first": is_first,
        "is_last": ~is_first,
        "is_terminal": ~is_first,
    }


def weights(agent: Agent) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in agent.state()[0].items()}


def poison(agent: Agent) -> None:
    """Make all weights infinite."""
    for tensor in agent.state()[0].values():
        if tensor.is_floating_point():
            tensor.data.fill_(torch.inf)


def assert_equal(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    # The generator may have moved on.
    assert all(torch.equal(found[name], wanted[name]) for name in wanted if name != "generator")


def assert_refused(call: Callable[[], Any]) -> None:
    told = refusal(call)
    assert told, "no ModelError"
    assert "\n" not in told


def refusal(call: Callable[[], Any]) -> str:
    """What the ModelError says that `call` raises; empty where it raises none."""
    try:
        call()
    except ModelError as error:
        return str(error)
    return ""
