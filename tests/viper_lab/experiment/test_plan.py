"""What is worked out from a few choices before anything runs."""

from pathlib import Path

import pytest

from sim import SimError
from sim.options import parse_options
from viper_lab.errors import UserError
from viper_lab.experiment.plan import make_plan


def test_an_arm_has_videos_a_model_and_a_run_of_its_own() -> None:
    plan = make_plan("robosuite", task="lift", arm="sawyer", directory=Path("here"))
    assert plan.task == "lift"
    assert plan.sim_parameters("env_0")["arm"] == "sawyer"
    assert plan.label == plan.model.name == plan.run.name == "sawyer_lift"
    assert make_plan("robosuite", task="lift").label == "panda_lift"


def test_where_there_is_one_body_the_label_is_the_task() -> None:
    plan = make_plan("dmc", task="cartpole_balance", reward="task")
    assert plan.label == plan.task == "cartpole_balance"
    assert plan.run.name == "cartpole_balance_oracle"


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
    ],
)
def test_settings_that_are_no_nodes_are_checked_too(assignment: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        make_plan("dmc", assignments=[assignment])


@pytest.mark.parametrize("text", ["life_loss", "{a: ", "[1, 2]", "{1: 2}"])
def test_options_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(SimError, match="YAML"):
        parse_options("", "", text)
