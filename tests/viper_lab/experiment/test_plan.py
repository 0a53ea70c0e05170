"""What is worked out from a few choices before anything runs."""

from pathlib import Path

import pytest
from rich.console import Console

from sim import SIMS, SimError
from sim.options import parse_options
from viper_lab.errors import UserError
from viper_lab.experiment.plan import make_plan
from viper_lab.experiment.preparation import prepare
from viper_lab.experiment.sections import SECTIONS
from viper_lab.experiment.untrained import untrained_model


def test_an_arm_has_videos_a_model_and_a_run_of_its_own() -> None:
    plan = make_plan("robosuite", task="lift", arm="sawyer", directory=Path("here"))
    assert plan.task == "lift"
    assert plan.sim_parameters("env_0")["arm"] == "sawyer"
    assert plan.data == Path("here/data/robosuite/sawyer")
    assert plan.model == Path("here/models/robosuite/sawyer/lift")
    assert plan.run == Path("here/runs/sawyer_lift")
    assert make_plan("robosuite", task="lift").data == Path("data/robosuite/panda")


def test_where_there_is_one_robot_no_folder_is_called_after_it() -> None:
    plan = make_plan("dmc", task="cartpole_balance", reward="task")
    assert plan.data == Path("data/dmc")
    assert plan.run.name == "cartpole_balance_oracle"


def test_another_seed_is_another_run_with_environments_of_its_own() -> None:
    plans = [make_plan("dmc", task="cartpole_balance", seed=seed, environments=3) for seed in (0, 1, 2)]
    assert [plan.run.name for plan in plans] == ["cartpole_balance", "cartpole_balance_seed1", "cartpole_balance_seed2"]
    assert [plan.settings["policy_node"]["seed"] for plan in plans] == [0, 1, 2]
    assert len({plan.sim_parameters(name)["seed"] for plan in plans for name in plan.environments}) == 9
    assert {plan.model for plan in plans} == {Path("models/dmc/cartpole_balance")}
    assert make_plan("dmc", task="cartpole_balance", seed=2, name="mine").run == Path("runs/mine")
    assert make_plan("dmc", assignments=["policy_node.seed=7"]).settings["policy_node"]["seed"] == 7


def test_a_model_is_asked_for_the_task_whatever_the_arm(tmp_path: Path) -> None:
    untrained_model(tmp_path / "new", "lift")
    for arm in ("panda", "sawyer"):
        make_plan("robosuite", task="lift", arm=arm, reward_model=str(tmp_path / "new"))
    untrained_model(tmp_path / "old", "panda_lift")
    old = {"task": "lift", "arm": "panda", "reward_model": str(tmp_path / "old")}
    with pytest.raises(UserError, match=r"knows no task 'lift', but panda_lift: add reward_task:=panda_lift$"):
        make_plan("robosuite", **old)
    make_plan("robosuite", **old, reward_task="panda_lift")
    with pytest.raises(UserError, match="knows no task 'stack', but panda_lift: choose one by reward_task:="):
        make_plan("robosuite", task="stack", reward_model=str(tmp_path / "old"))


def test_a_ratio_without_a_background_is_refused_before_anything_is_recorded(tmp_path: Path) -> None:
    chosen = {"likelihood": "ratio", "directory": tmp_path, "assignments": ["fit.background=none"]}
    with pytest.raises(UserError, match=r"compares with a background model: fit\.background none"):
        make_plan("dmc", task="cartpole_balance", **chosen)
    make_plan("dmc", task="cartpole_balance", **{**chosen, "likelihood": "conditional"})


def test_videos_that_an_older_version_called_after_the_arm_are_to_be_moved_and_not_made_again(tmp_path: Path) -> None:
    old, new = (tmp_path / "data" / "robosuite" / name for name in ("panda_lift", "panda/lift"))
    old.mkdir(parents=True)
    plan = make_plan("robosuite", task="lift", directory=tmp_path)
    with pytest.raises(UserError, match=f"mkdir -p {new.parent} && mv {old} {new}"):
        prepare(plan, Console())
    assert not new.exists()


def test_a_simulators_own_options_are_passed_on_as_written() -> None:
    plan = make_plan("atari", task="pong", assignments=["sim_node.options={life_loss: true, noops: 30}"])
    assert parse_options("", "", plan.settings["sim_node"]["options"]) == {"life_loss": True, "noops": 30}
    assert parse_options("1", "panda", "") == {"camera": 1, "arm": "panda"}


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("record.episods=3", "did you mean episodes"),
        ("record.episodes=many", "of type int"),
        ("record.episodes=0", "from 1 to"),
        ("fit.size=tinny", "one of: tiny"),
        ("fit.likelihood=masked", "no parameter 'likelihood'"),
        ("sim_node.action_repeat=0", "from 1 to 100"),
        ("reward_node.precison=bfloat16", "did you mean precision"),
        ("policy_node.replay_ratio=-1", "from 0.01 to"),
        ("policy_node.steps=2.5", "of type int"),
        ("policy_node.steps=2026-02-30", "can't be read as a value: line 1: '2026-02-30' is no date"),
    ],
)
def test_the_settings_of_every_section_are_checked(assignment: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        make_plan("dmc", assignments=[assignment])


def parameter_file(folder: Path, **nodes: str) -> Path:
    """nodes: YAML by key."""
    path = folder / "mine.yaml"
    path.write_text("".join(f"{key}:\n  ros__parameters: {{{values}}}\n" for key, values in nodes.items()))
    return path


def test_what_a_parameter_file_says_counts_above_all_else(tmp_path: Path) -> None:
    said = {
        "/**": "use_sim_time: true",
        "/**/policy_node": "reward: task, steps: 30, replay_ratio: 2",
        "/left/*/sim_node": "action_repeat: 8, seed: 5",
        "record": "episodes: 7",
        "/left/move_group": "steps: 9",
    }
    plan = make_plan(
        "dmc",
        reward="viper",
        steps=500,
        namespace="left",
        environments=2,
        assignments=["policy_node.steps=40"],
        params_file=parameter_file(tmp_path, **said),
    )
    assert not plan.learns_from_videos
    assert plan.run.name == f"{plan.task}_oracle"
    assert plan.policy_parameters()["steps"] == 30
    assert repr(plan.policy_parameters()["replay_ratio"]) == "2.0"
    assert plan.policy_parameters()["use_sim_time"] is True
    assert [plan.sim_parameters(name)["seed"] for name in plan.environments] == [5, 6]
    assert '"action_repeat": 8' in plan.policy_parameters()["experiment"]
    assert plan.settings["record"]["episodes"] == 7


@pytest.mark.parametrize(
    ("reward", "assignments", "weight"),
    [("viper", [], 0.5), ("amp", [], 0.5), ("task", [], 0.0), ("task", ["policy_node.exploration_weight=0.5"], 0.5)],
)
def test_a_task_s_own_reward_has_no_bonus_beside_it_unless_asked_for(
    reward: str, assignments: list[str], weight: float
) -> None:
    plan = make_plan("robosuite", reward=reward, assignments=assignments)
    assert plan.settings["policy_node"]["exploration_weight"] == weight


@pytest.mark.parametrize(
    ("key", "values", "words"),
    [
        ("/**/policy_node", "stepps: 30", "did you mean steps"),
        ("/**/policy_node", "steps: many", "of type int"),
        ("/**", "likelihood: joint", "sim_node has no parameter 'likelihood'"),
        ("policy_node", "steps: 30", r"write /\*\*/policy_node"),
        ("/right/policy_node", "steps: 30", r"write /\*\*/policy_node"),
        ("/left/env_1/sim_node", "seed: 3", r"env_0/sim_node and /left/env_1/sim_node: write /\*\*/sim_node"),
        ("/**/policy_node", "steps", "steps"),
        ("/**/policy_node", "steps: 30, steps: 40", "mine.yaml is not .*: line 2: 'steps' is there twice"),
    ],
)
def test_a_parameter_file_that_cannot_be_followed_is_refused(key: str, values: str, words: str, tmp_path: Path) -> None:
    file = parameter_file(tmp_path, **{key: values})
    with pytest.raises(UserError, match=words):
        make_plan("dmc", namespace="/left/", environments=2, params_file=file)


def test_every_setting_has_a_value() -> None:
    chosen = make_plan("dmc", steps=7, assignments=["policy_node.replay_ratio=3", "sim_node.camera=1"]).settings
    assert {section: set(values) for section, values in chosen.items()} == {
        section: {each.name for each in parameters} for section, parameters in SECTIONS.items()
    }
    assert chosen["policy_node"]["steps"] == 7
    assert chosen["policy_node"]["prefill"] == 1000  # config/dmc.yaml
    assert chosen["policy_node"]["replay_capacity"] == 1_000_000  # the parameter's default
    assert repr(chosen["policy_node"]["replay_ratio"]) == "3.0"
    assert chosen["sim_node"]["camera"] == "1"


@pytest.mark.parametrize("sim", SIMS)
def test_every_parameter_file_holds_what_there_is(sim: str) -> None:
    assert make_plan(sim).settings["sim_node"]["sim"] == sim


def test_a_given_model_is_the_reward_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no video model in nowhere"):
        make_plan("dmc", reward_model="nowhere", directory=tmp_path)
    untrained_model(tmp_path / "model", "cartpole_balance")
    plan = make_plan(
        "dmc",
        task="cartpole_swingup",
        reward_model=str(tmp_path / "model"),
        reward_task="cartpole_balance",
        directory=tmp_path / "here",
    )
    assert plan.reward_parameters()["model"] == str(tmp_path / "model")
    assert plan.reward_parameters()["reward_task"] == "cartpole_balance"
    prepare(plan, Console())
    assert not (tmp_path / "here").exists()


def test_a_reward_task_that_the_model_to_be_fitted_would_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="reward_model:="):
        make_plan("dmc", reward_task="cartpole_balance", directory=tmp_path)
    make_plan("dmc", task="cartpole_swingup", reward_task="cartpole_swingup", directory=tmp_path)
    with pytest.raises(UserError, match="is said of a video model, and reward:=task has none"):
        make_plan("dmc", reward="task", reward_task="cartpole_balance", directory=tmp_path)


@pytest.mark.parametrize("reward", ["amp", "amp_multi_task"])
def test_a_discriminator_needs_experts_videos_and_no_model(reward: str, tmp_path: Path) -> None:
    plan = make_plan("dmc", task="cartpole_balance", reward=reward, directory=tmp_path)
    assert plan.learns_from_videos
    assert plan.needs_preparation
    assert plan.run.name == f"cartpole_balance_{reward}"
    assert plan.policy_parameters()["videos"] == str(tmp_path / "data" / "dmc")
    assert '"reward_model": null' in plan.policy_parameters()["experiment"]
    assert f'"data": "{tmp_path / "data" / "dmc"}"' in plan.policy_parameters()["experiment"]
    of_model = {"likelihood": "joint", "reward_task": "walker_walk", "reward_model": "models/mine"}
    for option, value in of_model.items():
        with pytest.raises(
            UserError, match=f"{option}:={value} is said of a video model, and reward:={reward} has none"
        ):
            make_plan("dmc", reward=reward, directory=tmp_path, **{option: value})


def test_videos_of_ones_own_are_compared_with_and_nothing_is_recorded(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    plan = make_plan("dmc", reward="amp", directory=tmp_path / "here", assignments=[f"policy_node.videos={mine}"])
    assert plan.policy_parameters()["videos"] == str(mine)
    prepare(plan, Console())
    assert not (tmp_path / "here").exists()


def test_a_discriminator_s_videos_are_recorded_and_no_others(tmp_path: Path) -> None:
    recording = ["record.episodes=1", "record.episode_steps=3", "record.disturbance_steps=0"]
    small = ["sim_node.image_size=16", "sim_node.action_repeat=50"]
    plan = make_plan("atari", task="pong", reward="amp", directory=tmp_path, assignments=[*recording, *small])
    prepare(plan, Console())
    files = [path.relative_to(tmp_path) for path in tmp_path.rglob("*.npz")]
    assert files == [Path("data/atari/pong/expert/00000.npz")]


@pytest.mark.parametrize("text", ["life_loss", "{a: ", "[1, 2]", "{1: 2}", "{a: 2026-02-30}", "[" * 3000])
def test_options_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(SimError, match="YAML"):
        parse_options("", "", text)


@pytest.mark.parametrize("namespace", ["arm-1", "a b", "prüfung", "1st", "a/b-c"])
def test_a_namespace_that_ros_has_not_is_refused(namespace: str) -> None:
    with pytest.raises(UserError, match="is no ROS namespace"):
        make_plan("dmc", reward="task", namespace=namespace)
    assert make_plan("dmc", reward="task", namespace="/lab/arm_1/").namespace == "lab/arm_1"
