from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest

import sim
from sim import Env, SimError

gymnasium = pytest.importorskip("gymnasium", reason="pip install -r requirements/gymnasium.txt")

from gymnasium.utils.env_checker import check_env  # noqa: E402

from sim.adapters.gymnasium import GymnasiumEnv  # noqa: E402


def cartpole(seed: int = 0) -> Env:
    return sim.make("dmc", "cartpole_balance", image_size=(24, 32), action_repeat=100, seed=seed)


def pong() -> Env:
    return sim.make("atari", "pong", image_size=(24, 32), seed=0)


@pytest.mark.parametrize("make", [cartpole, pong])
def test_gymnasiums_checker_finds_nothing(make: Callable[[], Env]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(GymnasiumEnv(make()), skip_render_check=True)  # that check needs a registered environment


def test_an_episode_is_the_environments_own() -> None:
    wrapped, adapted = cartpole(), GymnasiumEnv(cartpole(seed=9))
    action = np.full(1, 0.3, np.float32)
    expected, (image, _) = wrapped.reset(seed=3), adapted.reset(seed=3)
    assert np.array_equal(image, expected.image)
    while not expected.is_last:
        expected = wrapped.step(action)
        image, reward, terminated, truncated, _ = adapted.step(action)
        assert np.array_equal(image, expected.image)
        assert np.array_equal(adapted.render(), image)
        assert (reward, terminated, truncated) == (expected.task_reward, False, expected.is_last)
    with pytest.raises(SimError, match="reset"):
        adapted.step(action)
    wrapped.close()
    adapted.close()
