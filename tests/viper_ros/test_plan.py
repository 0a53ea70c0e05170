"""What is worked out from a few choices before anything runs."""

from pathlib import Path

from viper_ros.plan import make_plan


def test_an_arm_has_films_a_model_and_a_run_of_its_own() -> None:
    plan = make_plan("robosuite", task="lift", arm="sawyer", directory=Path("here"))
    assert plan.task == "lift"
    assert plan.sim_parameters("env_0")["arm"] == "sawyer"
    assert plan.label == plan.model.name == plan.run.name == "sawyer_lift"
    assert make_plan("robosuite", task="lift").label == "panda_lift"


def test_where_there_is_one_body_the_label_is_the_task() -> None:
    plan = make_plan("dmc", task="cartpole_balance", reward="task")
    assert plan.label == plan.task == "cartpole_balance"
    assert plan.run.name == "cartpole_balance_oracle"
