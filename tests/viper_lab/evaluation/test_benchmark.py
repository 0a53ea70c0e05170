"""What a benchmark still has to do, and what it makes of how its jobs end."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from sim.env import ActionSpace, Description
from tests.viper_lab.evaluation.examples import write_summary
from tests.viper_lab.evaluation.test_suite import BLOCK, write_suite
from tests.viper_lab.results.runs import write_run
from viper_lab.evaluation.benchmark import Benchmark
from viper_lab.evaluation.processes import LocalProcesses
from viper_lab.evaluation.runs import read_outcome
from viper_lab.evaluation.suite import Run, Suite, load_suite
from viper_lab.experiment.provenance import run_config
from viper_lab.experiment.untrained import untrained_model

SMALL = {**BLOCK, "tasks": {"cartpole_balance": 300}, "rewards": ["task"]}


def suite_of(folder: Path, *blocks: Any) -> Suite:
    return load_suite(write_suite(folder, *blocks), folder)


def carry_out(run: Run, directory: Path, steps: int = 0, report: bool = True) -> Path:
    """A run as `viper train` leaves it, made of the plan that it would have. steps: reached, all where 0."""
    plan = run.plan(directory)
    description = Description(
        "dmc",
        plan.task,
        ActionSpace("continuous", 1),
        (64, 64),
        0.04,
        (0.0, 1000.0),
        {"camera": 0, "fast_render": True},
    )
    policy = plan.policy_parameters()
    experiment = policy.pop("experiment")
    config = run_config(description, {**policy, "experiment": ""}, experiment)
    last = steps or run.steps
    write_run(plan.run, {0: [10.0], last: [100.0]}, **config)
    if report:
        write_summary(plan.run)
    return plan.run


def test_what_is_done_is_skipped_and_what_is_not_goes_on(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, {**SMALL, "seeds": [0, 1, 2, 3]})
    carry_out(suite.runs[0], tmp_path)
    carry_out(suite.runs[1], tmp_path, report=False)
    carry_out(suite.runs[2], tmp_path, steps=100)
    benchmark = Benchmark(suite, tmp_path)
    assert benchmark.finished == {suite.runs[0].name}
    assert benchmark.problems == {}
    assert [job.name for job in benchmark.jobs()] == [run.name for run in suite.runs[1:]]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["policy_node.replay_ratio=7"], "was started with policy_node.replay_ratio 128.0, not 7.0"),
        (["sim_node.action_repeat=8"], "was started with sim_node.action_repeat 4, not 8"),
        (["policy_node.evaluate_every=7"], ""),
        (["policy_node.device=cpu"], ""),
    ],
)
def test_a_run_whose_settings_have_changed_is_named_and_the_others_go_on(
    settings: list[str], words: str, tmp_path: Path
) -> None:
    carry_out(suite_of(tmp_path, SMALL).runs[0], tmp_path)
    suite = suite_of(tmp_path, {**SMALL, "settings": settings})
    benchmark = Benchmark(suite, tmp_path)
    assert words in benchmark.problems.get(suite.runs[0].name, "")
    assert bool(benchmark.problems) == bool(words)
    assert [job.name for job in benchmark.jobs()] == [suite.runs[1].name]


def test_a_run_by_hand_under_a_runs_name_is_named(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, SMALL)
    config = yaml.safe_load((carry_out(suite.runs[0], tmp_path) / "config.yaml").read_text())
    config["settings"]["policy_node"]["seed"] = 9
    (suite.runs[0].plan(tmp_path).run / "config.yaml").write_text(yaml.safe_dump(config))
    assert "policy_node.seed 9, not 0" in Benchmark(suite, tmp_path).problems[suite.runs[0].name]


def test_a_video_model_that_was_fitted_again_is_another(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, {**SMALL, "rewards": ["viper_ratio"]})
    untrained_model(tmp_path / "models" / "dmc" / "cartpole_balance", "cartpole_balance")
    carry_out(suite.runs[0], tmp_path)
    assert Benchmark(suite, tmp_path).finished == {suite.runs[0].name}
    model = tmp_path / "models" / "dmc" / "cartpole_balance"
    (model / "tasks.yaml").write_text((model / "tasks.yaml").read_text() + "# fitted again")
    assert "video_model.sha256" in Benchmark(suite, tmp_path).problems[suite.runs[0].name]
    (model / "tasks.yaml").write_text("{}")
    assert "tasks.yaml" in Benchmark(suite, tmp_path).problems[suite.runs[0].name]
    (model / "config.yaml").unlink()
    assert Benchmark(suite, tmp_path).finished == {suite.runs[0].name}, "a result stays one without its model"


def test_what_several_runs_need_is_prepared_once_before_them(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, {**BLOCK, "rewards": ["viper_conditional", "viper_ratio", "task"]})
    jobs = {job.name: job for job in Benchmark(suite, tmp_path).jobs()}
    preparations = [name for name in jobs if name.startswith("prepare")]
    assert preparations == ["prepare_pendulum_swingup", "prepare_cartpole_balance"]
    assert jobs["prepare_pendulum_swingup"].arguments[:3] == ("prepare", "sim:=dmc", "task:=pendulum_swingup")
    for run in suite.runs:
        assert jobs[run.name].needs == ({f"prepare_{run.task}"} if run.reward != "task" else set())
        assert jobs[run.name].arguments[0] == "train"
    assert len({job.log for job in jobs.values()}) == len(jobs)


def test_videos_are_recorded_as_the_runs_want_them_that_learn_from_them(tmp_path: Path) -> None:
    oracle = {**SMALL, "settings": ["sim_node.action_repeat=2"]}
    amp = {**SMALL, "rewards": ["amp"], "settings": ["record.episodes=7"]}
    first = Benchmark(suite_of(tmp_path, oracle, amp), tmp_path).jobs()[0]
    assert first.arguments[0] == "record"
    assert first.arguments[-2:] == ("--set", "record.episodes=7")
    assert "sim_node.action_repeat=2" not in first.arguments


def test_nothing_is_prepared_for_runs_that_are_done(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, {**BLOCK, "rewards": ["viper_ratio"], "seeds": [0]})
    for run in suite.runs:
        if run.task == "pendulum_swingup":
            carry_out(run, tmp_path)
    names = [job.name for job in Benchmark(suite, tmp_path).jobs()]
    assert names == ["prepare_cartpole_balance", "cartpole_balance_drqv2_viper_ratio_seed0"]


def test_one_run_that_fails_is_named_and_the_others_are_done(tmp_path: Path) -> None:
    """The `viper` command here is a program that fails one run, as it would say so, and carries out the others."""
    suite = suite_of(tmp_path, {**SMALL, "seeds": [0, 1, 2]})
    command = tmp_path / "viper.py"
    command.write_text(
        "import sys\n"
        "if any(each.endswith('seed1') for each in sys.argv):\n"
        "    print('viper: no room on the disk'); sys.exit(1)\n"
    )
    output = io.StringIO()
    benchmark = Benchmark(suite, tmp_path)
    benchmark.carry_out(LocalProcesses((sys.executable, str(command)), 2), 2, Console(file=output, width=300))
    bad = suite.runs[1].name
    assert benchmark.problems == {bad: "viper: no room on the disk"}
    assert benchmark.finished == {run.name for run in suite.runs} - {bad}
    assert f"failed: {bad}: viper: no room on the disk" in output.getvalue()
    document = json.loads((tmp_path / "runs" / "mine" / "benchmark.json").read_text())
    assert [run["problem"] for run in document["runs"]] == ["", "viper: no room on the disk", ""]
    carry_out(suite.runs[0], tmp_path)
    outcome = read_outcome(benchmark.folder)
    assert {each.name: each.why for each in outcome.missing} == {
        bad: "viper: no room on the disk",
        suite.runs[2].name: "it has not been started",
    }
