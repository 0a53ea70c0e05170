"""The whole graph, real simulator, model and agent, in one process: what reaches replay is what happened."""

import dataclasses
import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
import torch
from rclpy.task import Future
from sensor_msgs.msg import Image
from viper_ros.msg import Action

from sim import ActionSpace, Description
from tests.viper_lab.examples import example_config
from tests.viper_model.videos.writers import write_npz
from tests.viper_ros.conftest import Listener, spin_until
from viper_lab.experiment.plan import Plan, make_plan
from viper_lab.experiment.run_directory import RunDirectory
from viper_lab.experiment.trainer import ReplayStep, Settings, Trainer
from viper_lab.results.report import evaluations
from viper_lab.results.run_files import read_config, read_metrics
from viper_model.agents.registry import AGENTS
from viper_model.reward.likelihood import conditional
from viper_model.reward.scorer import chosen_form
from viper_model.torch_tools.checkpoint import read_tensors
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.preparation import resize
from viper_ros.graph import make_nodes
from viper_ros.nodes.policy_node import PolicyNode
from viper_ros.nodes.reward_node import RewardNode
from viper_ros.nodes.sim_node import SimNode
from viper_ros.runtime.node import ViperNode
from viper_ros.runtime.process import make_executor, start_alone
from viper_ros.runtime.qos import RELIABLE
from viper_ros.runtime.stamps import nanoseconds

SMALL = (
    "sim_node.action_repeat=50",
    "sim_node.repeat_after=0.2",
    "policy_node.agent=dreamer",
    "policy_node.image_size=64",
    "policy_node.prefill=20",
    "policy_node.batch_size=2",
    "policy_node.batch_length=8",
    "policy_node.replay_ratio=0.5",
    "policy_node.evaluate_every=1000",
    "policy_node.end_evaluation_episodes=1",
)


def small_plan(
    directory: Path, model: Path | None, assignments: Sequence[str] = SMALL, reward: str = "", **choices: Any
) -> Plan:
    plan = make_plan(
        "dmc",
        task="cartpole_swingup",
        reward=reward or ("viper" if model else "task"),
        directory=directory,
        assignments=assignments,
        **choices,
    )
    if model:
        plan.model.parent.mkdir(parents=True, exist_ok=True)
        plan.model.symlink_to(model)
    return plan


def run_to_the_end(plan: Plan) -> PolicyNode:
    nodes, policy = make_nodes(plan)
    assert all(node.start() for node in nodes)
    spin_until(nodes, policy.done.done, 120)
    assert policy.done.result() == 0
    for node in nodes:
        node.stop()
        node.destroy_node()  # Another graph on the same topics may follow.
    return policy


def replayed(plan: Plan, stream: str) -> dict[str, np.ndarray]:
    """All that replay holds of one environment, in order."""
    chunks = []
    for path in sorted((plan.run / "replay").glob("*.npz")):
        with np.load(path) as chunk:
            if str(chunk["stream"]) == stream:
                chunks.append(
                    {name: chunk[name] for name in ("image", "action", "reward", "log_likelihood", "is_first")}
                )
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


@pytest.mark.usefixtures("ros")
def test_every_step_is_in_replay_once_with_its_own_reward(tmp_path: Path, model_folder: Path) -> None:
    plan = small_plan(tmp_path, model_folder, steps=100, environments=2)
    run_to_the_end(plan)
    model = VideoModel.load(model_folder)
    task = torch.tensor([model.task_index("cartpole_swingup")])
    total = 0
    for environment in plan.environments:
        steps = replayed(plan, environment)
        total += len(steps["reward"])
        begins = [*np.flatnonzero(steps["is_first"]), len(steps["is_first"])]
        for begin, end in itertools.pairwise(begins):
            # 1000 control steps, 50 at a time, and the first frame; the last episode may be cut by the end of the run.
            assert end - begin == 21 or end == begins[-1]
            video = torch.from_numpy(resize(steps["image"][begin:end], model.image_size))
            expected = model.log_probs(video[None], task).task[0]
            # 1e-4 nats a code, the bound that streaming is held to.
            bound = 1e-4 * expected[0].numel()
            np.testing.assert_allclose(steps["log_likelihood"][begin:end], conditional(expected), atol=bound)
        scaled = model.calibration["cartpole_swingup"].reward("conditional", steps["log_likelihood"])
        np.testing.assert_allclose(steps["reward"], scaled, rtol=1e-4)
    assert total >= 100


@pytest.mark.usefixtures("ros")
@pytest.mark.parametrize("agent", AGENTS)
def test_a_finished_run_has_what_it_should(tmp_path: Path, model_folder: Path, agent: str) -> None:
    length = 8 if agent == "dreamer" else 0
    assignments = (*SMALL, f"policy_node.agent={agent}", f"policy_node.batch_length={length}")
    plan = small_plan(tmp_path, model_folder, steps=60, assignments=assignments)
    policy = run_to_the_end(plan)
    assert policy.trainer is None
    records = read_metrics(plan.run)
    assert [r["round"] for r in records if "round" in r] == [0, 60]
    assert any(r.get("updates", 0) > 0 for r in records)
    assert {path.stem for path in (plan.run / "episodes").glob("*.npz")} == {
        "evaluation_00000000",
        "evaluation_00000060",
    }
    read_tensors(plan.run / "checkpoint.safetensors")


@pytest.mark.usefixtures("ros")
def test_a_run_goes_on_where_it_was(tmp_path: Path, model_folder: Path) -> None:
    plan = small_plan(tmp_path, model_folder, steps=200)
    nodes, policy = make_nodes(plan)
    assert all(node.start() for node in nodes)
    spin_until(nodes, lambda: policy.trainer is not None and policy.trainer.agent.updates >= 1)
    collected = policy.trainer.collected
    for node in nodes:
        node.stop()
        node.destroy_node()

    nodes, policy = make_nodes(plan)
    assert all(node.start() for node in nodes)
    spin_until(nodes, lambda: policy.trainer is not None)
    assert policy.trainer.collected == collected
    assert policy.trainer.agent.updates >= 1
    # The evaluation before training has been made and is not made again.
    assert policy.trainer.schedule.evaluated == 0
    spin_until(nodes, policy.done.done, 120)
    for node in nodes:
        node.stop()
    assert [r["round"] for r in read_metrics(plan.run) if "round" in r] == [0, 200]


@pytest.mark.usefixtures("ros")
@pytest.mark.parametrize(("agent", "reward"), [("drqv2", "amp"), ("dreamer", "amp_multi_task")])
def test_a_discriminator_rewards_without_a_reward_node_and_goes_on_where_it_was(
    tmp_path: Path, agent: str, reward: str
) -> None:
    rng = np.random.default_rng(0)
    for task in ("cartpole_swingup", "pendulum_swingup"):
        for number in range(2):
            video = rng.integers(0, 256, (20, 64, 64, 3), np.uint8)
            write_npz(tmp_path / "data" / "dmc" / task / "expert" / f"{number}.npz", video)
    length = 8 if agent == "dreamer" else 0
    assignments = (*SMALL, f"policy_node.agent={agent}", f"policy_node.batch_length={length}")
    plan = small_plan(tmp_path, None, assignments, reward, steps=60)
    run_to_the_end(plan)
    steps = replayed(plan, "env_0")
    assert np.unique(steps["reward"]).size > 10
    assert ((steps["reward"] >= -2) & (steps["reward"] <= 1)).all()
    compared = read_config(plan.run)["expert_videos"]
    assert compared["tasks"] == ["cartpole_swingup", *(["pendulum_swingup"] if reward == "amp_multi_task" else [])]
    updates = read_tensors(plan.run / "checkpoint.safetensors")[1]["reward"]["updates"]
    assert updates > 0

    run_to_the_end(small_plan(tmp_path, None, assignments, reward, steps=100))
    assert read_tensors(plan.run / "checkpoint.safetensors")[1]["reward"]["updates"] > updates
    # Of the episodes that ended after an update: on a busy machine that may be none.
    assert all(0 < r["discriminator_loss"] < 10 for r in read_metrics(plan.run) if "discriminator_loss" in r)

    write_npz(tmp_path / "data" / "dmc" / "cartpole_swingup" / "expert" / "2.npz", video)
    nodes, policy = make_nodes(plan)
    assert all(node.start() for node in nodes)
    spin_until(nodes, policy.done.done)
    assert policy.done.result() == 1


class Witness(Listener):
    """Sees what really happens in one environment."""

    def __init__(self) -> None:
        super().__init__({"env_0/image_raw": Image, "env_0/action": Action}, RELIABLE)

    def time_steps(self) -> list[tuple[bytes, bytes]]:
        """Frame and action of each time step that was answered, in order."""
        frames = {nanoseconds(m.header.stamp): m.data.tobytes() for m in self.heard["env_0/image_raw"]}
        actions = {nanoseconds(m.header.stamp): m.values.tobytes() for m in self.heard["env_0/action"]}
        return [(frames[stamp], actions[stamp]) for stamp in sorted(frames) if stamp in actions]


@pytest.mark.usefixtures("ros")
@pytest.mark.parametrize(("victim", "losses"), [(RewardNode, 0), (SimNode, 2), (PolicyNode, 2)])
def test_the_loop_stalls_without_a_node_and_goes_on_when_it_is_back(
    victim: type[ViperNode], losses: int, tmp_path: Path, model_folder: Path
) -> None:
    plan = small_plan(tmp_path, model_folder, steps=60)
    nodes, policy = make_nodes(plan)
    witness = Witness()
    assert all(node.start() for node in nodes)
    spin_until([*nodes, witness], lambda: policy.trainer is not None and policy.trainer.collected >= 10)
    (dead,) = [node for node in nodes if isinstance(node, victim)]
    dead.stop()
    others = [node for node in nodes if node is not dead]
    ticks = iter(range(20))
    seen = len(witness.time_steps())
    spin_until([*others, witness], lambda: next(ticks, None) is None)
    assert len(witness.time_steps()) <= seen + 2
    assert dead.start()
    spin_until([*nodes, witness], policy.done.done, 120)
    assert policy.done.result() == 0
    for node in nodes:
        node.stop()

    steps = replayed(plan, "env_0")
    model = VideoModel.load(model_folder)
    form = chosen_form(model, "auto", "cartpole_swingup")
    scaled = model.calibration["cartpole_swingup"].reward(form, steps["log_likelihood"])
    np.testing.assert_allclose(steps["reward"], scaled, rtol=1e-4)
    # What is in replay happened, in this order, with these actions. What happened and is not in replay is the two
    # evaluation episodes of 21 time steps, and at most what was under way in the node that was stopped. The run ends
    # before the witness hears of its last action.
    happened = witness.time_steps()
    position = 0
    for image, action in zip(steps["image"], steps["action"], strict=True):
        position = happened.index((image.tobytes(), action.tobytes()), position) + 1
    assert -1 <= len(happened) - len(steps["image"]) - 2 * 21 <= losses


SETTINGS = Settings(
    reward="viper",
    agent="dreamer",
    size="tiny",
    image_size=16,
    exploration_weight=0.1,
    steps=60,
    prefill=10,
    batch_size=2,
    batch_length=4,
    replay_ratio=1.0,
    replay_capacity=1000,
    evaluate_every=1000,
    evaluation_episodes=1,
    end_evaluation_episodes=1,
    seed=0,
    device="cpu",
)


def lived_through(directory: Path, task_reward: float, settings: Settings) -> dict[str, torch.Tensor]:
    """The weights after the same frames and likelihoods, with a task reward of one's choosing."""
    environment = Description("dmc", "some_task", ActionSpace("continuous", 2), (16, 16), 0.1, (0.0, 1000.0), {})
    run = RunDirectory(directory, example_config())
    trainer = Trainer(settings, run, environment, ["env_0"])
    rng = np.random.default_rng(0)
    stamp = 0
    while not trainer.done:
        index = stamp % 11
        image = rng.integers(0, 256, (16, 16, 3), np.uint8)
        stamp += 1
        trainer.observe("env_0", ReplayStep(stamp, image, index == 0, index == 10, False, task_reward))
        trainer.reward("env_0", stamp, float(rng.normal()), -5.0)
        assert trainer.answers()
        while trainer.learner._owed():  # In step with acting, so that two runs can be compared.
            trainer.learner.update()
    trainer.close()
    return read_tensors(directory / "checkpoint.safetensors")[0]


def test_a_time_step_that_replay_has_is_answered_as_before_and_not_stored_again(tmp_path: Path) -> None:
    environment = Description("dmc", "some_task", ActionSpace("continuous", 2), (16, 16), 0.1, (0.0, 1000.0), {})
    picture = np.zeros((16, 16, 3), np.uint8)

    def live(trainer: Trainer, stamp: int, first: bool = False, last: bool = False) -> np.ndarray:
        trainer.observe("env_0", ReplayStep(stamp, picture, first, last, False, 0.0))
        trainer.reward("env_0", stamp, 1.0, -5.0)
        ((_, answered, action),) = trainer.answers()
        assert answered == stamp
        return action

    trainer = Trainer(SETTINGS, RunDirectory(tmp_path, example_config()), environment, ["env_0"])
    trainer.schedule.evaluated = 0
    live(trainer, 1, first=True)
    before = live(trainer, 2)
    trainer.close()  # As if killed after writing, before the action was sent.

    trainer = Trainer(SETTINGS, RunDirectory(tmp_path, example_config()), environment, ["env_0"])
    np.testing.assert_array_equal(trainer.last_answer("env_0", 2), before)
    trainer.observe("env_0", ReplayStep(2, picture, False, False, False, 0.0))
    assert not trainer.answers()
    live(trainer, 3)
    assert trainer.collected == 3
    trainer.close()


@pytest.mark.parametrize("evaluated", [-1, 0])
def test_the_return_of_an_episode_that_is_cut_counts_nowhere(tmp_path: Path, evaluated: int) -> None:
    environment = Description("dmc", "some_task", ActionSpace("continuous", 2), (16, 16), 0.1, (0.0, 1000.0), {})
    trainer = Trainer(SETTINGS, RunDirectory(tmp_path, example_config()), environment, ["env_0"])
    trainer.schedule.evaluated = evaluated
    picture, stamp = np.zeros((16, 16, 3), np.uint8), 0
    for length, whole in ((7, False), (5, True)):  # The node that makes them dies in the first.
        for index in range(length):
            stamp += 1
            is_last = whole and index == length - 1
            trainer.observe("env_0", ReplayStep(stamp, picture, index == 0, is_last, False, 1.0))
            trainer.reward("env_0", stamp, 1.0, -5.0)
            assert trainer.answers()
    (record,) = read_metrics(tmp_path)
    assert record["train_return" if evaluated == 0 else "evaluation_return"] == 5
    if evaluated == 0:
        assert trainer.collected == 12  # what was lived through is learned from all the same
    else:
        assert trainer.schedule.evaluated == 0
    trainer.close()


def test_the_rest_of_an_episode_has_no_return_and_is_learned_from(tmp_path: Path) -> None:
    trainer, live = lone_environment(tmp_path)
    trainer.schedule.evaluated = 0
    live(3, from_its_first=False)
    live(5)
    (record,) = read_metrics(tmp_path)
    assert record["train_return"] == 5
    assert trainer.collected == 8
    trainer.close()


def test_a_round_of_evaluation_that_was_cut_short_and_gone_through_again_counts_once(tmp_path: Path) -> None:
    for episodes in (2, 3):  # of three, and the run goes on
        trainer, live = lone_environment(tmp_path, end_evaluation_episodes=3)
        for _ in range(episodes):
            live(5)
        trainer.close()
    assert [record["evaluation_return"] for record in read_metrics(tmp_path)] == [5, 5, 5]
    trainer, live = lone_environment(tmp_path, end_evaluation_episodes=3)
    trainer.schedule.evaluated = -1  # as the checkpoint of a killed run has it
    for length in (7, 7, 7):
        live(length)
    trainer.close()
    assert evaluations(read_metrics(tmp_path)) == {0: [7, 7, 7]}


def lone_environment(tmp_path: Path, **settings: object) -> tuple[Trainer, Callable[..., None]]:
    """A trainer, and what lets its only environment live through an episode of so many steps, each worth 1."""
    environment = Description("dmc", "some_task", ActionSpace("continuous", 2), (16, 16), 0.1, (0.0, 1000.0), {})
    trainer = Trainer(
        dataclasses.replace(SETTINGS, **settings), RunDirectory(tmp_path, example_config()), environment, ["env_0"]
    )
    picture = np.zeros((16, 16, 3), np.uint8)
    stamps = itertools.count(time.time_ns())

    def live(length: int, from_its_first: bool = True) -> None:
        for index in range(length):
            stamp = next(stamps)
            is_first = from_its_first and index == 0
            trainer.observe("env_0", ReplayStep(stamp, picture, is_first, index == length - 1, False, 1.0))
            trainer.reward("env_0", stamp, 1.0, -5.0)
            assert trainer.answers()

    return trainer, live


def test_the_rest_of_an_episode_is_no_evaluation(tmp_path: Path) -> None:
    trainer, live = lone_environment(tmp_path)
    live(3, from_its_first=False)  # The run goes on where it is nearly over.
    live(5)
    (record,) = read_metrics(tmp_path)
    assert record["evaluation_return"] == 5
    assert trainer.schedule.evaluated == 0
    assert trainer.collected == 0
    trainer.close()


def test_a_time_step_that_never_gets_its_reward_does_not_hold_the_environment_up(tmp_path: Path) -> None:
    environment = Description("dmc", "some_task", ActionSpace("continuous", 2), (16, 16), 0.1, (0.0, 1000.0), {})
    trainer = Trainer(SETTINGS, RunDirectory(tmp_path, example_config()), environment, ["env_0"])
    trainer.schedule.evaluated = 0
    picture = np.zeros((16, 16, 3), np.uint8)

    def show(stamp: int) -> bool:
        trainer.observe("env_0", ReplayStep(stamp, picture, stamp == 1, False, False, 0.0))
        return bool(trainer.answers())

    for stamp in (1, 2):
        assert show(stamp)
        trainer.reward("env_0", stamp, 1.0, -5.0)
    assert show(10**18)  # From elsewhere: nobody scores it.
    assert show(3)
    assert not show(4)
    trainer.reward("env_0", 3, 1.0, -5.0)
    assert trainer.collected == 2
    assert not trainer.answers()
    trainer.reward("env_0", 3, 1.0, -5.0)  # Shown and scored again.
    assert trainer.answers()
    assert trainer.collected == 3
    assert trainer.lost == 1
    assert trainer.replay.newest("env_0")[0] == 3
    trainer.close()
    with np.load(next((tmp_path / "replay").glob("*.npz"))) as chunk:
        assert chunk["is_first"].tolist() == [True, False, True]


@pytest.mark.usefixtures("ros")
def test_what_is_shown_again_is_answered_once_the_learner_has_caught_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever became of the timer that looks for that: an environment that waits does not wait for ever."""
    monkeypatch.setattr("viper_ros.nodes.policy_node.RETRY_SECONDS", 3600.0)
    plan = small_plan(tmp_path, None, steps=30)
    plan.settings["policy_node"]["replay_ratio"] = 64.0  # four updates a step: acting has to wait for each
    run_to_the_end(plan)
    assert len(replayed(plan, "env_0")["image"]) >= 30


def test_training_never_sees_the_task_reward(tmp_path: Path) -> None:
    one = lived_through(tmp_path / "one", 0.0, SETTINGS)
    other = lived_through(tmp_path / "other", 1e6, SETTINGS)
    assert all(torch.equal(one[name], other[name]) for name in one)
    for path in (tmp_path / "other" / "replay").glob("*.npz"):
        with np.load(path) as chunk:
            assert not any((np.abs(chunk[name].astype(float)) >= 1e6).any() for name in chunk.files if name != "stream")


def test_the_task_oracle_does_see_it(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, reward="task")
    one = lived_through(tmp_path / "one", 0.0, settings)
    other = lived_through(tmp_path / "other", 1.0, settings)
    assert any(not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.usefixtures("ros")
def test_a_second_graph_on_the_same_topics_is_refused(tmp_path: Path, model_folder: Path) -> None:
    first, _ = make_nodes(small_plan(tmp_path, model_folder, steps=10_000))
    started, stop = Event(), Future()
    noticed: list[ViperNode] = []

    def run() -> None:  # An environment is used by the thread that made it.
        if start_alone(first):
            executor = make_executor()
            for node in first:
                executor.add_node(node)
            started.set()
            executor.spin_until_future_complete(stop, 60)
        noticed.extend(node for node in first if node.done.done())
        for node in first:
            node.stop()

    running = Thread(target=run)
    running.start()
    assert started.wait(30)
    second, _ = make_nodes(small_plan(tmp_path / "second", model_folder))
    aside, _ = make_nodes(small_plan(tmp_path / "aside", model_folder, namespace="aside"))
    try:
        assert not start_alone(second)
        assert start_alone(aside)
    finally:
        stop.set_result(None)
        running.join()
    assert not noticed, "the first graph was disturbed"
    for node in (*second, *aside):
        node.stop()
