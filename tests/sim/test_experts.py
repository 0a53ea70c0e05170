import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

import sim
from sim import Env, SimError
from sim.experts import BEHAVIOURS, Behaviour, make_behaviour
from sim.experts.behaviours import Noisy, Stopped
from sim.experts.planner import Planner, PlannerSettings


def play(task: str, behaviour: str, action_repeat: int) -> float:
    with sim.make("dmc", task, image_size=(8, 8), action_repeat=action_repeat, seed=1) as environment:
        return sum(rewards(environment, make_behaviour(behaviour, "dmc", task, seed=1)))


def rewards(environment: Env, behaviour: Behaviour) -> list[float]:
    time_steps = [environment.reset()]
    behaviour.reset(environment)
    while not time_steps[-1].is_last:
        time_steps.append(environment.step(behaviour.act(environment)))
    return [time_step.task_reward for time_step in time_steps]


# The returns that an expert's videos start from. Random behaviour gets 300, 70 and 0 here.
@pytest.mark.parametrize(
    ("task", "action_repeat", "least"),
    [("cartpole_balance", 8, 900), ("reacher_easy", 4, 800), ("pendulum_swingup", 4, 700)],
)
def test_experts_are_experts(task: str, action_repeat: int, least: float) -> None:
    assert play(task, "expert", action_repeat) > least


def test_random_is_not_an_expert() -> None:
    assert play("cartpole_balance", "random", 8) < 600


def test_looking_ahead_does_not_move_the_environment() -> None:
    with sim.make("dmc", "walker_walk", seed=0) as environment, sim.make("dmc", "walker_walk", seed=0) as undisturbed:
        environment.reset()
        undisturbed.reset()
        planner = make_behaviour("expert", "dmc", "walker_walk", seed=0)
        planner.reset(environment)
        for _ in range(3):
            action = planner.act(environment)
            assert np.array_equal(environment.step(action).image, undisturbed.step(action).image)


def test_a_plan_never_gets_worse_by_thinking_again() -> None:
    # With one elite the best of the samples is kept, and the plan itself is among them.
    with sim.make("dmc", "cartpole_swingup", action_repeat=4) as environment:
        environment.reset()
        planner = Planner(PlannerSettings(elites=1), seed=0)
        planner.reset(environment)
        best = -np.inf
        for _ in range(5):
            plans = planner._variations()
            value = environment.rollout_rewards(plans).sum(axis=1)  # type: ignore[attr-defined]
            assert value[0] == pytest.approx(best) or best == -np.inf
            assert value.max() >= best
            best = value.max()
            planner._plan = plans[value.argmax()]


def test_more_rounds_find_a_better_plan() -> None:
    # The first round is the same, and with one elite no later one loses what it found.
    values = []
    with sim.make("dmc", "cartpole_swingup", action_repeat=4) as environment:
        environment.reset()
        for iterations in (1, 4):
            planner = Planner(PlannerSettings(elites=1, iterations=iterations), seed=0)
            planner.reset(environment)
            action = planner.act(environment)
            plan = np.concatenate([action[None], planner._plan[:-1]])
            values.append(environment.rollout_rewards(plan[None]).sum())  # type: ignore[attr-defined]
    assert values[1] > values[0]


@pytest.mark.parametrize(("calmest", "ratio"), [(0.0, 1 / 3), (1.0, 1.0)])
def test_noise_is_shared_out_as_asked_and_the_plan_itself_is_kept(calmest: float, ratio: float) -> None:
    with sim.make("dmc", "cartpole_swingup", action_repeat=4) as environment:
        environment.reset()
        planner = Planner(PlannerSettings(samples=1001, noise=0.1, calmest=calmest), seed=0)
        planner.reset(environment)
        variations = planner._variations()
    assert (variations[0] == planner._plan).all()
    calm, wild = np.abs(variations[1:501]).mean(), np.abs(variations[501:]).mean()
    assert calm / wild == pytest.approx(ratio, rel=0.1)  # 1000 samples of some six knots: 2% each.


def test_a_behaviour_repeats_with_its_seed() -> None:
    for name in BEHAVIOURS:
        actions = []
        for _ in range(2):
            with sim.make("dmc", "reacher_easy", image_size=(8, 8), seed=0) as environment:
                environment.reset()
                behaviour = make_behaviour(name, "dmc", "reacher_easy", seed=7)
                behaviour.reset(environment)
                actions.append([behaviour.act(environment).tolist() for _ in range(3)])
        assert actions[0] == actions[1]
        assert np.abs(actions).max() <= 1


class Still:
    def reset(self, env: Env) -> None: ...

    def act(self, env: Env) -> NDArray[np.float32]:
        return np.zeros(env.description.action_space.size, np.float32)


def test_noisy_mixes_by_another_share_in_each_episode() -> None:
    with sim.make("dmc", "reacher_easy", seed=0) as environment:
        noisy = Noisy(Still(), seed=0)
        shares = []
        for _ in range(30):
            noisy.reset(environment)
            shares.append(np.mean([noisy.act(environment).any() for _ in range(400)]))
    # 400 draws know a share to 0.025, so this is four of those beyond either end.
    assert 0 < min(shares) < 0.3
    assert 0.7 < max(shares) < 1


def acted(behaviour: Behaviour, environment: Env, steps: int) -> NDArray[np.float32]:
    environment.reset()
    behaviour.reset(environment)
    return np.stack([behaviour.act(environment) for _ in range(steps)])


def test_background_holds_its_actions_for_longer_in_some_episodes_than_in_others() -> None:
    with sim.make("dmc", "reacher_easy", image_size=(8, 8), seed=0) as environment:
        for episode, longest in ((0, 1), (1, 3), (2, 8), (3, 20), (5, 1)):
            behaviour = make_behaviour("background", "dmc", "reacher_easy", seed=episode, episode=episode)
            actions = acted(behaviour, environment, 3000)
            changes = np.flatnonzero((actions[1:] != actions[:-1]).any(axis=1)) + 1
            holds = np.diff(changes)
            # Zero and the limits may be drawn twice running, so a few holds are longer than the longest.
            assert np.percentile(holds, 80) <= longest
            assert set(range(1, longest + 1)) <= set(holds.tolist())
            assert holds.mean() == pytest.approx((1 + longest) / 2, rel=0.25)


def test_every_fifth_background_is_one_action_all_along() -> None:
    with sim.make("dmc", "reacher_easy", image_size=(8, 8), seed=0) as environment:
        for episode in (4, 9):
            actions = acted(make_behaviour("background", "dmc", "reacher_easy", 0, episode), environment, 300)
            assert (actions == actions[0]).all()


def test_a_quarter_of_background_is_nothing_and_a_quarter_at_the_limits() -> None:
    with sim.make("dmc", "reacher_easy", image_size=(8, 8), seed=0) as environment:
        actions = acted(make_behaviour("background", "dmc", "reacher_easy", seed=0), environment, 4000)
    assert np.mean((actions == 0).all(axis=1)) == pytest.approx(0.25, abs=0.03)  # four standard deviations
    assert np.mean((np.abs(actions) == 1).all(axis=1)) == pytest.approx(0.25, abs=0.03)
    assert np.abs(actions).max() <= 1
    with sim.make("atari", "freeway", image_size=(8, 8), seed=0) as environment:
        actions = acted(make_behaviour("background", "atari", "freeway", seed=0), environment, 4000)
    assert (actions.sum(axis=1) == 1).all()
    assert actions.mean(axis=0) == pytest.approx([0.5, 0.25, 0.25], abs=0.03)  # a third of the rest is nothing, too


def test_parked_goes_through_all_that_can_be_held() -> None:
    def parked(simulator: str, task: str, environment: Env, episode: int) -> tuple[float, ...]:
        actions = acted(make_behaviour("parked", simulator, task, seed=0, episode=episode), environment, 3)
        assert (actions == actions[0]).all()
        return tuple(actions[0].tolist())

    with sim.make("dmc", "reacher_easy", image_size=(8, 8), seed=0) as environment:
        found = [parked("dmc", "reacher_easy", environment, episode) for episode in range(10)]
    assert found[:5] == [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)]
    assert set(found) == set(itertools.product((-1, 0, 1), repeat=2))
    assert found[9] == found[0]
    with sim.make("atari", "freeway", image_size=(8, 8), seed=0) as environment:
        found = [parked("atari", "freeway", environment, episode) for episode in range(4)]
    assert found == [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 0)]
    with sim.make("dmc", "humanoid_walk", image_size=(8, 8), seed=0) as environment:
        found = [parked("dmc", "humanoid_walk", environment, episode) for episode in (0, 1, 43)]
    assert [np.count_nonzero(each) for each in found] == [0, 1, 2]


def test_mistakes_are_told() -> None:
    with pytest.raises(SimError, match="no behaviour 'exprt'"):
        make_behaviour("exprt", "dmc", "cartpole_swingup", seed=0)


def test_stopped_is_an_expert_until_a_step_and_then_does_nothing_or_the_same() -> None:
    expert_steps = []
    with sim.make("dmc", "reacher_easy", image_size=(8, 8), seed=0) as environment:
        for episode in range(8):
            behaviour = Stopped(Restless(), episode)
            actions = acted(behaviour, environment, 150)
            stop = int(actions[-1, 0]) if episode % 2 else np.flatnonzero((actions == 0).all(axis=1))[0]
            assert actions[:stop, 0].tolist() == list(range(1, stop + 1))  # the expert's
            assert (actions[stop:] == (actions[stop - 1] if episode % 2 else 0)).all()
            assert (acted(behaviour, environment, 150) == actions).all()
            expert_steps.append(stop)
    assert sum(steps < 10 for steps in expert_steps) == 4  # half of them before the square root of the latest
    assert min(expert_steps) >= 1
    assert 50 < max(expert_steps) < 100


class Restless(Still):
    def reset(self, env: Env) -> None:
        self.steps = 0

    def act(self, env: Env) -> NDArray[np.float32]:
        self.steps += 1
        return np.full(env.description.action_space.size, self.steps, np.float32)
