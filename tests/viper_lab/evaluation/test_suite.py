"""What a suite stands for, and what is refused before anything runs."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from viper_lab.config import config_directory
from viper_lab.errors import USER_ERRORS
from viper_lab.evaluation.rewards import REWARDS, reward_name
from viper_lab.evaluation.suite import load_suite

BLOCK: dict[str, Any] = {
    "sim": "dmc",
    "tasks": {"pendulum_swingup": 300, "cartpole_balance": 200},
    "agents": ["drqv2"],
    "rewards": ["viper_ratio", "task"],
    "seeds": [0, 3],
}


def write_suite(folder: Path, *blocks: Any, name: str = "mine") -> str:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"description": "Mine.", "blocks": list(blocks)}, sort_keys=False))
    return str(path)


def test_a_block_is_all_its_combinations_the_first_seeds_first(tmp_path: Path) -> None:
    suite = load_suite(write_suite(tmp_path, BLOCK, {**BLOCK, "agents": ["dreamer"], "seeds": [1]}), tmp_path)
    assert suite.name == "mine"
    assert suite.directory(tmp_path) == tmp_path / "runs" / "mine"
    assert [run.seed for run in suite.runs] == [0] * 4 + [1] * 4 + [3] * 4
    assert [run.name for run in suite.runs][:4] == [
        "pendulum_swingup_drqv2_viper_ratio_seed0",
        "pendulum_swingup_drqv2_task_seed0",
        "cartpole_balance_drqv2_viper_ratio_seed0",
        "cartpole_balance_drqv2_task_seed0",
    ]
    plan = suite.runs[-1].plan(tmp_path)
    assert (plan.task, plan.run) == (
        "cartpole_balance",
        tmp_path / "runs" / "mine" / "cartpole_balance_drqv2_task_seed3",
    )
    policy = plan.settings["policy_node"]
    assert (policy["steps"], policy["seed"], policy["reward"], policy["agent"]) == (200, 3, "task", "drqv2")
    seeds = {run.plan(tmp_path).settings["sim_node"]["seed"] for run in suite.runs}
    assert len(seeds) == 3
    assert len({run.plan(tmp_path).namespace for run in suite.runs}) == len(suite.runs)


def test_the_namespace_of_a_run_is_a_name_that_ros_takes(tmp_path: Path) -> None:
    suite = load_suite(write_suite(tmp_path, BLOCK, name="2nd__mine-2.1"), tmp_path)
    for run in suite.runs:
        assert run.plan(tmp_path).namespace.isidentifier()
        assert "__" not in run.plan(tmp_path).namespace


@pytest.mark.parametrize("name", REWARDS)
def test_every_reward_is_told_by_the_settings_that_it_makes(name: str, tmp_path: Path) -> None:
    (run,) = load_suite(
        write_suite(tmp_path, {**BLOCK, "tasks": {"cartpole_balance": 1}, "rewards": [name], "seeds": [0]}), tmp_path
    ).runs
    assert reward_name(run.plan(tmp_path).settings) == name


def test_a_reward_that_is_not_compared_has_the_name_of_its_source() -> None:
    settings = {"policy_node": {"reward": "viper"}, "reward_node": {"likelihood": "joint"}}
    assert reward_name(settings) == "viper"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"tasks": {"cartpole_blance": 100}},
            "no task of the suite .* 'cartpole_blance': did you mean cartpole_balance",
        ),
        ({"agents": ["dreamr"]}, "no agent of the suite .* 'dreamr': did you mean dreamer"),
        ({"rewards": ["viper_rato"]}, "no reward of .* 'viper_rato': did you mean viper_ratio"),
        ({"rewards": [["task"]]}, r"no reward of .* '\['task'\]': did you mean task"),
        ({"sim": "dcm"}, "no simulator 'dcm': did you mean dmc"),
        ({"settings": ["policy_node.sead=3"]}, "did you mean seed"),
        ({"arm": "panda"}, "dmc has no arms to choose from, so leave out arm: panda"),
        ({"sim": "robosuite", "tasks": {"lift": 1}, "arm": "pnda"}, "no arm of .* 'pnda': did you mean panda"),
        ({"settings": ["policy_node.seed=3"]}, "policy_node.seed=3 is said by the block's 'seeds'"),
        ({"settings": ["policy_node.size=huge"]}, "policy_node.size is 'huge'"),
        ({"settings": ["policy_node.image_size=48"], "agents": ["dreamer"]}, "cannot see images of 48"),
        ({"task": 3}, "no key of .* 'task': did you mean tasks"),
        ({"seeds": []}, "block 1: 'seeds' is missing"),
        ({"tasks": ["cartpole_balance"]}, "must be a mapping of tasks to environment steps"),
        ({"tasks": {"cartpole_balance": "many"}}, "steps by task must be whole numbers from 1 on, not 'many'"),
        ({"tasks": {"cartpole_balance": 0}}, "steps by task must be whole numbers from 1 on, not 0"),
        ({"seeds": [-1]}, "seeds must be whole numbers from 0 on, not -1"),
    ],
)
def test_what_can_not_be_run_is_told_in_one_line(changed: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(USER_ERRORS, match=words) as raised:
        load_suite(write_suite(tmp_path, {**BLOCK, **changed}), tmp_path)
    assert "\n" not in str(raised.value)
    assert sorted(tmp_path.iterdir()) == [tmp_path / "mine.yaml"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- 1",
        "blocks: 3",
        "blocks: [3]",
        "{",
        "blocks: []",
        "description: 2026-02-30",
        "blocks: []\n" + yaml.safe_dump({"blocks": [BLOCK]}),
    ],
)
def test_a_file_that_is_no_suite_is_told_in_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(USER_ERRORS, match=r"mine\.yaml") as raised:
        load_suite(str(path))
    assert "\n" not in str(raised.value)


def test_an_unknown_suite_is_told_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(USER_ERRORS, match="no suite 'quik': did you mean quick"):
        load_suite("quik")
    with pytest.raises(USER_ERRORS, match="can't be read"):
        load_suite(str(tmp_path / "none.yaml"))


def test_the_same_run_in_two_blocks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(USER_ERRORS, match="has the run cartpole_balance_drqv2_task_seed0 in two blocks"):
        load_suite(write_suite(tmp_path, BLOCK, {**BLOCK, "settings": ["policy_node.prefill=7"]}), tmp_path)


def test_an_arm_that_a_block_leaves_to_the_configuration_is_in_the_names_of_its_runs(tmp_path: Path) -> None:
    block = {**BLOCK, "sim": "robosuite", "tasks": {"lift": 300}, "rewards": ["task"], "seeds": [0]}
    (run,) = load_suite(write_suite(tmp_path, block), tmp_path).runs
    assert run.label == "panda_lift"
    assert run.name == run.plan(tmp_path).run.name == "panda_lift_drqv2_task_seed0"
    with pytest.raises(USER_ERRORS, match="has the run panda_lift_drqv2_task_seed0 in two blocks"):
        load_suite(write_suite(tmp_path, block, {**block, "arm": "panda"}), tmp_path)


def test_runs_that_share_a_video_model_want_the_same_one(tmp_path: Path) -> None:
    other = {**BLOCK, "agents": ["dreamer"]}
    load_suite(write_suite(tmp_path, BLOCK, {**other, "settings": ["policy_node.prefill=7"]}), tmp_path)
    for setting in ("fit.size=tiny64", "record.episodes=7", "sim_node.action_repeat=2"):
        with pytest.raises(USER_ERRORS, match=f"{setting.partition('=')[0]} must be the same in both"):
            load_suite(write_suite(tmp_path, BLOCK, {**other, "settings": [setting]}), tmp_path)


@pytest.mark.parametrize("path", sorted((config_directory() / "suites").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_suites_that_are_there_can_be_run(path: Path, tmp_path: Path) -> None:
    assert load_suite(path.stem, tmp_path).runs


def test_quick_and_paper_are_what_the_documentation_says(tmp_path: Path) -> None:
    quick, paper = load_suite("quick", tmp_path).runs, load_suite("paper", tmp_path).runs
    assert len({run.task for run in quick}) >= 3
    assert {run.reward for run in quick if run.agent == "drqv2"} == set(REWARDS)
    for reward, seeds in (("viper_ratio", {0, 1, 2}), ("task", {0, 1, 2}), ("amp", {0})):
        assert {run.seed for run in quick if (run.agent, run.reward) == ("drqv2", reward)} == seeds
    assert {sim: len({run.task for run in paper if run.sim == sim}) for sim in ("dmc", "atari", "robosuite")} == {
        "dmc": 15,
        "atari": 7,
        "robosuite": 6,
    }
    assert {run.agent for run in paper if run.sim == "dmc"} == {"dreamer", "drqv2"}
