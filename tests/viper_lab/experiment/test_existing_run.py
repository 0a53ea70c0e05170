"""A run goes on only as it was begun, which is told before anything is prepared for it."""

from pathlib import Path

import pytest

from tests.viper_lab.evaluation.test_benchmark import SMALL, carry_out, suite_of
from viper_lab.errors import UserError
from viper_lab.experiment.existing_run import refuse_another
from viper_lab.experiment.plan import make_plan


def test_a_run_of_another_task_or_seed_is_refused_and_its_own_goes_on(tmp_path: Path) -> None:
    run = suite_of(tmp_path, SMALL).runs[0]
    carry_out(run, tmp_path)
    refuse_another(run.plan(tmp_path))
    chosen = {"reward": "task", "agent": "drqv2", "name": f"mine/{run.name}", "directory": tmp_path}
    with pytest.raises(UserError, match="was started with task 'cartpole_balance', not 'walker_walk': choose another"):
        refuse_another(make_plan("dmc", task="walker_walk", **chosen))
    with pytest.raises(UserError, match=r"was started with sim_node\.seed 0, not 100"):
        refuse_another(make_plan("dmc", task="cartpole_balance", seed=1, **chosen))
    refuse_another(make_plan("dmc", task="walker_walk", **{**chosen, "name": "another"}))
