import gc
from pathlib import Path

import numpy as np
import pytest

import sim
from sim import Env, SimError
from sim.contract import EnvContract
from sim.experts import make_behaviour
from sim.experts.dmc import planner_settings


class TestCartpoleBalance(EnvContract):
    episode_steps = 125

    def make(self, seed: int) -> Env:
        return sim.make("dmc", "cartpole_balance", image_size=(64, 64), action_repeat=8, seed=seed)


class TestReacherEasyNotSquareAndOversampled(EnvContract):
    episode_steps = 143  # 1000 control steps by sevens: the last step is cut short

    def make(self, seed: int) -> Env:
        return sim.make("dmc", "reacher_easy", image_size=(24, 40), action_repeat=7, seed=seed)


class TestWalkerWalkInItsDefaultLook(EnvContract):
    steps_to_compare = 3
    episode_steps = 50

    def make(self, seed: int) -> Env:
        return sim.make("dmc", "walker_walk", action_repeat=20, seed=seed, fast_render=False)


@pytest.mark.parametrize(
    "task",
    [
        "acrobot_swingup",
        "cartpole_balance",
        "cartpole_swingup",
        "cheetah_run",
        "cup_catch",
        "finger_spin",
        "finger_turn_hard",
        "hopper_stand",
        "manipulator_bring_ball",
        "pendulum_swingup",
        "pointmass_easy",
        "pointmass_hard",
        "quadruped_run",
        "quadruped_walk",
        "reacher_easy",
        "reacher_hard",
        "walker_stand",
        "walker_walk",
    ],
)
def test_the_literatures_tasks_are_environments_whose_future_an_expert_can_ask(task: str) -> None:
    with sim.make("dmc", task, image_size=(16, 16), seed=0) as environment:
        assert environment.description.task == task
        first = environment.reset()
        planner = make_behaviour("expert", "dmc", task, seed=0)
        planner.reset(environment)
        assert not np.array_equal(first.image, 0 * first.image)
        assert 0 <= environment.step(planner.act(environment)).task_reward <= 2


def test_action_repeat_sums_the_rewards_and_shows_the_last_frame() -> None:
    action = np.array([0.5], np.float32)
    with (
        sim.make("dmc", "cartpole_swingup", action_repeat=1) as slow,
        sim.make("dmc", "cartpole_swingup", action_repeat=4) as fast,
    ):
        slow.reset()
        fast.reset()
        time_steps = [slow.step(action) for _ in range(12)]
        skipped = [fast.step(action) for _ in range(3)]
        rewards = [sum(time_step.task_reward for time_step in time_steps[start : start + 4]) for start in (0, 4, 8)]
        assert rewards == pytest.approx([time_step.task_reward for time_step in skipped], abs=1e-12)
        assert all(np.array_equal(time_steps[4 * i + 3].image, skipped[i].image) for i in range(3))
        assert fast.description.step_seconds == pytest.approx(4 * slow.description.step_seconds)


def test_actions_reach_the_ends_of_the_actuators_range() -> None:
    with sim.make("dmc", "quadruped_walk", image_size=(16, 16)) as environment:
        environment.reset()
        bounds = environment._suite_env.action_spec()  # type: ignore[attr-defined]
        assert (bounds.maximum > 1).any()
        for sign, bound in [(1, bounds.maximum), (-1, bounds.minimum), (0, (bounds.maximum + bounds.minimum) / 2)]:
            environment.step(np.full(12, sign, np.float32))
            assert environment._physics.control() == pytest.approx(bound)  # type: ignore[attr-defined]


def test_default_look_is_the_suites_own() -> None:
    with sim.make("dmc", "walker_walk", image_size=(48, 64), fast_render=False, seed=4) as environment:
        frame = environment.reset().image
        theirs = environment._physics.render(height=48, width=64, camera_id=0)  # type: ignore[attr-defined]
        assert np.array_equal(frame, theirs)


def test_small_frames_keep_thin_limbs() -> None:
    # The pole is 1.4 pixels wide at 32: drawn without averaging it comes out as dashes.
    with sim.make("dmc", "cartpole_balance", image_size=(32, 32), camera=0) as environment:
        red = environment.reset().image[..., 0].astype(int)
        blue = environment.reset().image[..., 2].astype(int)
        rows = np.flatnonzero((red > blue).any(axis=1))
        assert len(rows) > 8
        assert (np.diff(rows) == 1).all()


@pytest.mark.parametrize(
    ("alias", "name"),
    [("cup_catch", "ball_in_cup_catch"), ("pointmass_easy", "point_mass_easy"), ("pointmass_hard", "point_mass_hard")],
)
def test_short_names_are_the_same_tasks(alias: str, name: str) -> None:
    with sim.make("dmc", alias, seed=5) as one, sim.make("dmc", name, seed=5) as other:
        assert one.description.task == alias
        assert np.array_equal(one.reset().image, other.reset().image)


def test_another_camera_sees_another_picture_and_may_be_named() -> None:
    frames = []
    for camera in (None, 1, 0, "lookatcart"):
        with sim.make("dmc", "cartpole_swingup", camera=camera) as environment:
            frames.append(environment.reset().image)
    assert np.array_equal(frames[0], frames[1])
    assert not np.array_equal(frames[1], frames[2])
    assert np.array_equal(frames[1], frames[3])


@pytest.mark.parametrize("task", ["cartpole_swingup", "acrobot_swingup", "walker_walk", "reacher_easy", "cup_catch"])
def test_imagined_rewards_are_those_that_come(task: str) -> None:
    with sim.make("dmc", task, image_size=(16, 16), action_repeat=1, seed=2) as environment:
        environment.reset()
        rng = np.random.default_rng(0)
        size = environment.description.action_space.size
        for _ in range(20):
            environment.step(environment.description.action_space.sample(rng))
        plans = rng.uniform(-1, 1, (3, 15, size)).astype(np.float32)
        imagined = environment.rollout_rewards(plans)  # type: ignore[attr-defined]
        assert imagined.shape == (3, 15)
        assert np.array_equal(imagined, environment.rollout_rewards(plans))  # type: ignore[attr-defined]
        shaped = environment.rollout_rewards(plans, shaping=lambda physics: 2.0)  # type: ignore[attr-defined]
        assert shaped == pytest.approx(imagined + 2)
        # The last plan is the one tried last: what it left behind must not matter.
        found = [environment.step(action).task_reward for action in plans[0]]
        assert imagined[0] == pytest.approx(found, abs=1e-9)


@pytest.mark.parametrize("task", ["cartpole_balance", "cartpole_swingup", "pendulum_swingup"])
def test_the_planners_faster_reward_is_the_tasks_own(task: str) -> None:
    reward = planner_settings(task).reward
    assert reward is not None
    with sim.make("dmc", task, image_size=(16, 16), action_repeat=4, seed=2) as environment:
        size, earned = environment.description.action_space.size, []
        for seed in range(30):  # starts: the pendulum's are anywhere
            environment.reset()
            plans = np.random.default_rng(seed).uniform(-1, 1, (4, 20, size)).astype(np.float32)
            earned.append(environment.rollout_rewards(plans))  # type: ignore[attr-defined]
            assert environment.rollout_rewards(plans, reward=reward) == pytest.approx(earned[-1])  # type: ignore[attr-defined]
    assert np.ptp(earned) > 0.05


def test_coarse_physics_is_close_for_a_while_and_leaves_the_environments_own_alone() -> None:
    with sim.make("dmc", "walker_walk", image_size=(16, 16), seed=2) as environment:
        environment.reset()
        plans = (
            np.random.default_rng(0)
            .uniform(-1, 1, (3, 5, environment.description.action_space.size))
            .astype(np.float32)
        )
        exact = environment.rollout_rewards(plans)  # type: ignore[attr-defined]
        coarse = environment.rollout_rewards(plans, coarseness=2)  # type: ignore[attr-defined]
        assert not np.array_equal(coarse, exact)
        # Rewards are from 0 to 1. Coarse steps err by 0.04; as many steps, but longer, by 0.35.
        assert coarse == pytest.approx(exact, abs=0.1)
        assert np.array_equal(environment.rollout_rewards(plans), exact)  # type: ignore[attr-defined]


def test_environments_that_were_closed_hold_no_memory() -> None:
    def resident_mib() -> float:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * 4096 / 2**20

    def open_and_close(times: int) -> None:
        for seed in range(times):
            with sim.make("dmc", "cartpole_balance", seed=seed, image_size=(480, 640)) as environment:
                environment.reset()

    open_and_close(3)  # what libraries load once
    before = resident_mib()
    open_and_close(12)
    # A buffer of this size is 5 MiB and there are several to an environment: twelve that stayed would be over 100.
    assert resident_mib() - before < 60


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (("dmcc", "cartpole_balance"), {}, "dmc"),
        (("dmc", "cartpole_swing"), {}, "cartpole_swingup"),
        (("dmc", "lqr_lqr_2_1"), {}, "no task"),
        (("dmc", "cartpole_balance"), {"camra": 1}, "camera"),
        (("dmc", "cartpole_balance"), {"camera": 9}, "0 to 1"),
        (("dmc", "cartpole_balance"), {"camera": "lookat"}, "lookatcart"),
        (("dmc", "cartpole_balance"), {"image_size": (0, 64)}, "image_size"),
        (("dmc", "cartpole_balance"), {"action_repeat": 0}, "action_repeat"),
        (("dmc", "cartpole_balance"), {"seed": -1}, "seed"),
    ],
)
def test_mistakes_are_told(arguments: tuple[str, str], options: dict[str, object], words: str) -> None:
    with pytest.raises(SimError, match=words) as error:
        sim.make(*arguments, **options)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_frames_larger_than_the_models_own_buffer() -> None:
    with sim.make("dmc", "cartpole_balance", image_size=(500, 700)) as environment:
        assert environment.reset().image.shape == (500, 700, 3)
