from __future__ import annotations

import dm_env
import numpy as np
import pytest
from absl.testing import absltest
from dm_env import test_utils

import sim
from sim import Env, SimError
from sim.adapters.dm_env import DmEnv


def cartpole(seed: int = 0) -> Env:
    return sim.make("dmc", "cartpole_balance", image_size=(24, 32), action_repeat=100, seed=seed)


class TestContinuous(test_utils.EnvironmentTestMixin, absltest.TestCase):
    """dm_env's own checks."""

    def make_object_under_test(self) -> dm_env.Environment:
        return DmEnv(cartpole())


class TestDiscrete(test_utils.EnvironmentTestMixin, absltest.TestCase):
    """dm_env's own checks, of an environment whose actions are numbers."""

    def make_object_under_test(self) -> dm_env.Environment:
        return DmEnv(sim.make("atari", "pong", image_size=(24, 32), seed=0))


@pytest.mark.parametrize("action", [-1, 6])
def test_an_action_that_is_not_there_is_refused(action: int) -> None:
    environment = DmEnv(sim.make("atari", "pong", image_size=(24, 32), seed=0))
    environment.reset()
    with pytest.raises(SimError, match="numbered from 0"):
        environment.step(action)


def test_an_episode_is_the_environments_own() -> None:
    wrapped = cartpole(seed=3)
    adapted = DmEnv(cartpole(seed=3))
    action = np.full(1, 0.3, np.float32)
    for _ in range(2):  # and the step after an episode's last begins the next
        expected, found = wrapped.reset(), adapted.step(action)
        assert found.first()
        while not expected.is_last:
            expected, found = wrapped.step(action), adapted.step(action)
            assert np.array_equal(found.observation, expected.image)
            assert (found.reward, found.last()) == (expected.task_reward, expected.is_last)
        assert found.discount == 1  # time ran out: the task goes on
    adapted.close()
    with pytest.raises(SimError, match="closed"):
        wrapped.close() or adapted.reset()
