"""A suite of real trainings by the `viper` command: interrupted, gone on with, compared."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.viper_lab.evaluation.children import children
from tests.viper_lab.evaluation.test_suite import BLOCK, write_suite
from tests.viper_ros.cli.test_cli import SMALL, Told, command, environment, here, updates_saved, wait_for
from viper_lab.evaluation.suite import load_suite
from viper_lab.experiment.plan import Plan
from viper_lab.results.run_files import read_metrics
from viper_ros import graph

__all__ = ["here"]
SETTINGS = [*(each for each in SMALL if "." in each), "policy_node.replay_ratio=2"]
STEPS = 800


@pytest.mark.parametrize("number", range(4))
def test_a_run_is_what_viper_train_makes_of_its_arguments(
    number: int, here: Callable[..., Told], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is trained by it is another test's: here the plan is caught on its way."""
    plans: list[Plan] = []
    monkeypatch.setattr(graph, "train", lambda plan, *_, **__: bool(plans.append(plan)) or 1)
    block = {**BLOCK, "seeds": [3], "settings": ["policy_node.prefill=7", "sim_node.options={fast_render: false}"]}
    run = load_suite(write_suite(tmp_path, block), tmp_path / "there").runs[number]
    assert here(*run.arguments(tmp_path / "there"))[0] == 1
    assert plans == [run.plan(tmp_path / "there")]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["benchmark", "suite:=quik"], "did you mean quick"),
        (["benchmark", "suite:=mine.yaml"], "no task of the suite mine.yaml 'cartpole_blance'"),
        (["benchmark", "suite:=fine.yaml", "cluster:=moon"], "cluster:=moon can't be used"),
        (["benchmark", "suite:=fine.yaml", "cluster_options:={slurm_partition: gpu}"], "add cluster:=slurm"),
        (["aggregate", "nowhere"], "no run in nowhere has been carried out yet"),
    ],
)
def test_a_mistake_is_told_in_one_line_before_anything_runs(
    arguments: list[str], word: str, here: Callable[..., Told], tmp_path: Path
) -> None:
    write_suite(tmp_path, {**BLOCK, "tasks": {"cartpole_blance": 5}})
    write_suite(tmp_path, BLOCK, name="fine")
    status, output, errors = here(*arguments)
    assert status == 1
    assert word in errors
    assert len(errors.splitlines()) == 1
    assert not output
    assert not (tmp_path / "data").exists()


Start = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`viper benchmark` of two tasks and the oracle."""
    block = {**BLOCK, "tasks": dict.fromkeys(("cartpole_balance", "pendulum_swingup"), STEPS), "rewards": ["task"]}
    write_suite(tmp_path, {**block, "seeds": [0], "settings": SETTINGS})
    started = []

    def start() -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                command("benchmark", "suite:=mine.yaml", "workers:=2"),
                cwd=tmp_path,
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_interrupted_and_a_worker_killed_it_goes_on_and_ends_with_a_page(start: Start, tmp_path: Path) -> None:
    runs = [
        tmp_path / "runs" / "mine" / f"{task}_drqv2_task_seed0" for task in ("cartpole_balance", "pendulum_swingup")
    ]
    saved = [run / "checkpoint.safetensors" for run in runs]

    process = start()
    wait_for(lambda: all(updates_saved(each) for each in saved), process)
    process.send_signal(signal.SIGINT)
    assert process.wait(150) == 130
    assert process.stdout
    assert process.stdout.read().splitlines()[-1] == "viper: interrupted; the same command goes on where it was"
    assert not (tmp_path / "runs" / "mine" / "aggregate.html").exists()
    updates = [updates_saved(each) for each in saved]

    process = start()
    logs = [tmp_path / "runs" / "mine" / "logs" / f"{run.name}.txt" for run in runs]
    wait_for(lambda: "goes on at step" in logs[0].read_text(), process)
    for pid, line in children(process.pid).items():
        if runs[0].name in line:
            os.kill(pid, signal.SIGKILL)
    assert process.wait(200) == 0
    said = process.stdout.read() if process.stdout else ""
    assert f"killed: {runs[0].name}; it goes on where it was" in said
    assert f"done: {runs[0].name}" in said
    assert "page: runs/mine/aggregate.html" in said
    for run, before in zip(runs, updates, strict=True):
        assert json.loads((run / "report.json").read_text())["steps"] == STEPS
        assert updates_saved(run / "checkpoint.safetensors") >= before
        rounds = [record["round"] for record in read_metrics(run) if "round" in record]
        assert rounds == [0, STEPS], "an evaluation was made twice or not at all"
