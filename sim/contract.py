"""The test suite that holds an environment to the contract of `sim.env`.

>>> class TestMyEnv(EnvContract):
...     def make(self, seed: int) -> Env:
...         return MyEnv(seed)

Test runners find its methods by their names; nothing here needs one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np

from sim.env import Env, SimError, TimeStep


class EnvContract(ABC):
    """What is true of every environment."""

    steps_to_compare = 10
    """Steps in which two environments must agree."""
    episode_steps: int | None = None
    """Steps from an episode's first time step to its last, None where that varies."""
    starts_vary = True
    """Whether another seed gives another first frame."""
    returns_have_limits = True
    """Whether no return is outside of `Description.return_range`."""

    @abstractmethod
    def make(self, seed: int) -> Env:
        """A new environment."""

    def test_time_steps_have_the_shapes_and_types_described(self) -> None:
        with self.make(0) as env:
            height, width = env.description.image_size
            low, high = env.description.return_range
            assert env.description.step_seconds > 0
            assert low < high
            for time_step in [env.reset(), *_play(env, self.steps_to_compare, seed=0)]:
                assert time_step.image.shape == (height, width, 3)
                assert time_step.image.dtype == np.uint8
                assert np.isfinite(time_step.task_reward)

    def test_a_frame_is_not_overwritten_by_the_next(self) -> None:
        with self.make(0) as env:
            first = env.reset().image
            kept = first.copy()
            _play(env, self.steps_to_compare, seed=0)
            assert np.array_equal(first, kept)

    def test_something_is_seen_to_move(self) -> None:
        with self.make(0) as env:
            frames = [env.reset().image] + [time_step.image for time_step in _play(env, self.steps_to_compare, seed=0)]
            assert any(not np.array_equal(before, after) for before, after in pairwise(frames))
            assert frames[0].min() < frames[0].max()

    def test_an_episode_has_one_first_and_one_last_time_step_and_a_return_within_range(self) -> None:
        with self.make(0) as env:
            time_steps = _episode(env, seed=0)
            assert [time_step.is_first for time_step in time_steps] == [True] + [False] * (len(time_steps) - 1)
            assert [time_step.is_last for time_step in time_steps] == [False] * (len(time_steps) - 1) + [True]
            assert not any(time_step.is_terminal and not time_step.is_last for time_step in time_steps)
            assert time_steps[0].task_reward == 0
            if self.episode_steps is not None:
                assert len(time_steps) - 1 == self.episode_steps
            low, high = env.description.return_range
            if self.returns_have_limits:
                assert low <= sum(time_step.task_reward for time_step in time_steps) <= high
            _assert_refused(lambda: env.step(np.zeros(env.description.action_space.size, np.float32)))
            assert env.reset().is_first

    def test_reset_ends_an_episode_at_any_time(self) -> None:
        with self.make(0) as env:
            env.reset()
            _play(env, 2, seed=0)
            assert env.reset().is_first
            assert not _play(env, 1, seed=0)[0].is_first

    def test_equal_seeds_and_actions_give_equal_episodes(self) -> None:
        with self.make(3) as one, self.make(3) as other:
            for _ in range(2):
                _assert_equal(one.reset(), other.reset())
                pairs = zip(_play(one, self.steps_to_compare, 1), _play(other, self.steps_to_compare, 1), strict=True)
                for pair in pairs:
                    _assert_equal(*pair)

    def test_an_environment_that_is_seeded_again_is_a_new_one(self) -> None:
        with self.make(3) as new, self.make(0) as used:
            used.reset()
            _play(used, self.steps_to_compare, seed=1)
            _assert_equal(new.reset(), used.reset(seed=3))
            for _ in range(2):
                pairs = zip(_play(new, self.steps_to_compare, 1), _play(used, self.steps_to_compare, 1), strict=True)
                for pair in pairs:
                    _assert_equal(*pair)
                _assert_equal(new.reset(), used.reset())

    def test_another_seed_gives_another_start(self) -> None:
        if self.starts_vary:
            with self.make(1) as one, self.make(2) as other:
                assert not np.array_equal(one.reset().image, other.reset().image)

    def test_environments_side_by_side_do_not_disturb_each_other(self) -> None:
        with self.make(0) as alone:
            expected = [alone.reset(), *_play(alone, self.steps_to_compare, seed=0)]
        env, neighbour, gone = self.make(0), self.make(1), self.make(2)
        found = [env.reset()]
        neighbour.reset()
        gone.reset()
        rng, other_rng = np.random.default_rng(0), np.random.default_rng(9)
        while len(found) < len(expected):
            neighbour.step(neighbour.description.action_space.sample(other_rng))
            found.append(env.step(env.description.action_space.sample(rng)))
            gone.close()  # straight after a step of the environment we watch: its graphics are the current ones
        for pair in zip(expected, found, strict=True):
            _assert_equal(*pair)
        env.close()
        neighbour.close()

    def test_impossible_actions_are_refused_and_the_environment_stays_where_it_was(self) -> None:
        with self.make(0) as env, self.make(0) as undisturbed:
            size = env.description.action_space.size
            env.reset()
            undisturbed.reset()
            for action in [np.full(size, np.nan), np.full(size, np.inf), np.zeros(size + 1), np.zeros((1, size))]:
                _assert_refused(partial(env.step, action.astype(np.float32)))
            for pair in zip(_play(env, 3, seed=0), _play(undisturbed, 3, seed=0), strict=True):
                _assert_equal(*pair)

    def test_actions_out_of_range_are_clipped(self) -> None:
        with self.make(0) as env, self.make(0) as clipped:
            size = env.description.action_space.size
            extreme = np.where(np.arange(size) % 2, -1, 1).astype(np.float32)
            env.reset()
            clipped.reset()
            for _ in range(3):
                _assert_equal(env.step(100 * extreme), clipped.step(extreme))

    def test_the_callers_action_is_left_alone(self) -> None:
        with self.make(0) as env:
            action = np.full(env.description.action_space.size, 5, np.float32)
            env.reset()
            env.step(action)
            assert (action == 5).all()

    def test_step_before_reset_is_refused(self) -> None:
        with self.make(0) as env:
            _assert_refused(lambda: env.step(np.zeros(env.description.action_space.size, np.float32)))

    def test_a_closed_environment_is_not_used_again(self) -> None:
        env = self.make(0)
        env.reset()
        env.close()
        env.close()
        _assert_refused(env.reset)
        _assert_refused(lambda: env.step(np.zeros(env.description.action_space.size, np.float32)))


def _play(env: Env, steps: int, seed: int) -> list[TimeStep]:
    """The time steps that random actions lead to, up to the episode's end."""
    rng = np.random.default_rng(seed)
    time_steps: list[TimeStep] = []
    while len(time_steps) < steps and not (time_steps and time_steps[-1].is_last):
        time_steps.append(env.step(env.description.action_space.sample(rng)))
    return time_steps


def _episode(env: Env, seed: int) -> list[TimeStep]:
    return [env.reset(), *_play(env, 1_000_000, seed)]


def _assert_equal(one: TimeStep, other: TimeStep) -> None:
    assert np.array_equal(one.image, other.image)
    assert one.task_reward == other.task_reward
    flags = ("is_first", "is_last", "is_terminal")
    assert [getattr(one, flag) for flag in flags] == [getattr(other, flag) for flag in flags]


def _assert_refused(call: Callable[[], object]) -> None:
    refusal = _refusal(call)
    assert refusal is not None, "no SimError"
    assert refusal
    assert "\n" not in refusal


def _refusal(call: Callable[[], object]) -> str | None:
    try:
        call()
    except SimError as error:
        return str(error)
    return None
