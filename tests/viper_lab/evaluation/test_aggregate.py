"""Runs compared: figures that are worked out by hand, on the page and in the CSV files."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.viper_lab.evaluation.examples import write_benchmark, write_result
from tests.viper_lab.results.test_report import text_of
from viper_lab.errors import UserError
from viper_lab.evaluation.aggregate import write_aggregate
from viper_lab.evaluation.comparison import SHARES, compare
from viper_lab.evaluation.runs import Method, read_outcome
from viper_lab.evaluation.statistics import METRICS

ORACLE, RATIO = Method("drqv2", "task"), Method("drqv2", "viper_ratio")


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with open(folder / "aggregate" / f"{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def fill(folder: Path) -> Path:
    """Two tasks: the oracle with two seeds of one and three of the other, the ratio with one seed of one."""
    for task, returns in (("walker_walk", (300.0, 500.0)), ("walker_run", (100.0, 200.0, 600.0))):
        for seed, last in enumerate(returns):
            write_result(folder, task, seed=seed, last=last)
    write_result(folder, "walker_walk", "viper", likelihood="ratio", last=[380, 420], steps=800)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fill(tmp_path)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The page of such a folder, and what it says in lines."""
    return write_aggregate(fill(tmp_path_factory.mktemp("runs")))


def test_a_method_is_compared_with_as_many_seeds_as_each_task_has(folder: Path) -> None:
    (comparison,) = compare(read_outcome(folder))
    assert comparison.methods == (RATIO, ORACLE)
    oracle = next(row for row in comparison.rows if row.method == ORACLE)
    assert (oracle.seeds, set(oracle.tasks)) == (2, {"walker_walk", "walker_run"})
    scores = comparison.scores(ORACLE, ("walker_walk", "walker_run"))
    assert scores.tolist() == [[0.3, 0.1], [0.5, 0.2]]
    assert oracle.metrics["mean"].value == pytest.approx((0.4 + 0.15) / 2)
    assert oracle.metrics["IQM"].value == pytest.approx((0.2 + 0.3) / 2)
    assert comparison.cell(ORACLE, "walker_run").mean == pytest.approx(0.3)
    assert comparison.cell(ORACLE, "walker_run").standard_error == pytest.approx(
        np.std([0.1, 0.2, 0.6], ddof=1) / 3**0.5
    )
    assert comparison.cell(RATIO, "walker_walk").standard_error is None


def test_methods_are_compared_on_the_tasks_that_both_have(folder: Path) -> None:
    (comparison,) = compare(read_outcome(folder))
    (improvement,) = comparison.improvements
    assert improvement.tasks == 1
    assert improvement.probability.value == 0.5
    write_result(folder, "walker_walk", "viper", 1, likelihood="ratio", last=600, steps=800)
    (comparison,) = compare(read_outcome(folder))
    (improvement,) = comparison.improvements
    assert (improvement.better, improvement.worse) == (RATIO, ORACLE)
    assert improvement.probability.value == 0.75


def test_curves_run_over_the_share_of_each_tasks_steps(tmp_path: Path) -> None:
    write_result(tmp_path, "walker_walk", first=0, last=800, steps=400)
    write_result(tmp_path, "walker_run", first=200, last=400, steps=2000)
    (comparison,) = compare(read_outcome(tmp_path))
    curves = comparison.curves(ORACLE, ("walker_walk", "walker_run"))
    assert curves.shape == (1, 2, len(SHARES))
    assert curves[0, 0].tolist() == pytest.approx((0.8 * SHARES).tolist())
    assert curves[0, 1].tolist() == pytest.approx((0.2 + 0.2 * SHARES).tolist())
    steps, estimate = comparison.learning(ORACLE, "walker_run")
    assert steps[-1] == 2000
    assert estimate.value[-1] == pytest.approx(0.4)


def test_the_page_tells_each_task_and_what_its_errors_are_over(compared: tuple[Path, list[str]]) -> None:
    page, lines = compared
    text = text_of(page)
    assert "6 of 6 runs have been carried out." in text
    assert "walker_walk 0.40 1 seed 0.40 ± 0.10 2 seeds" in text
    assert "walker_run not in this comparison 0.30 ± 0.15 3 seeds" in text
    assert "Mean score ± standard error over seeds" in text
    assert "One seed has no interval and no standard error: drqv2 viper_ratio." in text
    assert "1 of 2 tasks, 1 seed" in text
    assert "2 of 2 tasks, 2 seeds" in text
    assert "Missing runs" not in text
    assert page.read_text().count("data:image/png;base64,") == 4
    assert "nan" not in text
    assert any(
        line.startswith("dmc, drqv2 viper_ratio: IQM of return / 1000 0.40 over 1 of 2 tasks, 1 seed") for line in lines
    )
    assert re.search(
        r"drqv2 task: IQM of return / 1000 0\.25 \[0\.\d\d, 0\.\d\d\] over 2 of 2 tasks, 2 seeds", lines[1]
    )


def test_scores_that_are_not_at_equal_steps_are_told(compared: tuple[Path, list[str]]) -> None:
    page, lines = compared
    assert "are not at equal steps: walker_walk 400 to 800." in text_of(page)
    assert lines[2:] == ["dmc, walker_walk: trained for 400 to 800 steps: scores at the end are not at equal steps"]


def test_missing_runs_are_named_and_never_zero(folder: Path) -> None:
    wanted = [
        {"name": f"{task}_drqv2_task_seed{seed}", "task": task, "seed": seed}
        for task in ("walker_walk", "walker_run")
        for seed in range(3)
    ]
    ratio = {"agent": "drqv2", "reward": "viper_ratio", "steps": 800}
    wanted += [
        {"name": "walker_walk_drqv2_viper_seed0", "task": "walker_walk", **ratio},
        {"name": "walker_run_drqv2_viper_seed0", "task": "walker_run", "problem": "viper: <b>diverged</b>", **ratio},
        {"name": "never", "task": "walker_walk", "agent": "dreamer"},
    ]
    write_benchmark(folder, wanted)
    page, lines = write_aggregate(folder)
    text = text_of(page)
    assert "6 of 9 runs have been carried out; the others count nowhere, and are listed below ." in text
    assert "walker_run not in this comparison 1 missing 0.30 ± 0.15 3 seeds" in text
    assert "walker_run_drqv2_viper_seed0 viper: <b>diverged</b>" in text
    assert "never it has not been started" in text
    assert "missing: walker_walk_drqv2_task_seed2: it has not been started" in lines
    metrics = {(row["reward"], row["agent"], row["metric"]): row for row in rows(folder, "metrics")}
    assert float(metrics["viper_ratio", "drqv2", "mean"]["value"]) == pytest.approx(0.4)
    assert metrics["viper_ratio", "drqv2", "mean"]["low"] == ""
    assert not [key for key in metrics if "dreamer" in key]


def test_the_csv_files_hold_what_the_page_shows(compared: tuple[Path, list[str]]) -> None:
    folder = compared[0].parent
    runs = rows(folder, "runs")
    assert len(runs) == 6
    by_name = {row["name"]: row for row in runs}
    assert by_name["walker_walk_drqv2_viper_seed0"]["ground_truth_return"] == "400.0"
    assert by_name["walker_walk_drqv2_viper_seed0"]["score"] == "0.4"
    assert by_name["walker_walk_drqv2_viper_seed0"]["episodes"] == "2"
    metrics = rows(folder, "metrics")
    assert [row["metric"] for row in metrics] == [*METRICS] * 2
    assert {(row["reward"], row["tasks"], row["tasks_of_all"]) for row in metrics} == {
        ("viper_ratio", "1", "2"),
        ("task", "2", "2"),
    }
    profiles = [row for row in rows(folder, "profiles") if row["reward"] == "task"]
    assert float(profiles[0]["value"]) == 1.0
    assert float(profiles[-1]["value"]) == 0.0
    curves = rows(folder, "curves")
    assert {row["metric"] for row in curves if not row["task"]} == {"IQM"}
    (end,) = [
        row for row in curves if (row["task"], row["reward"], row["steps"]) == ("walker_walk", "viper_ratio", "800.0")
    ]
    assert float(end["value"]) == pytest.approx(0.4)
    assert [row["value"] for row in rows(folder, "improvements")] == ["0.5"]


def test_simulators_are_told_apart_with_experts_and_what_normalises_games(tmp_path: Path) -> None:
    report = write_result(tmp_path, "walker_walk", last=400) / "report.json"
    document = json.loads(report.read_text())
    document["returns"]["expert"] = {"mean": 900}
    report.write_text(json.dumps(document))
    write_result(tmp_path, "boxing", sim="atari", return_range=[0.1, 12.1], last=18.1)
    write_result(tmp_path, "panda_lift", sim="robosuite", return_range=[0, 1], last=[0, 1, 1, 1])
    text = text_of(write_aggregate(tmp_path)[0])
    assert "walker_walk 0.40 1 seed 0.90" in text
    assert "atari scores: human-normalised score" in text
    assert "boxing 1.50 1 seed" in text
    assert "boxing 0.1 and 12.1." in text
    assert "Wang et al. 2016" in text
    assert "robosuite scores: success" in text
    assert "panda_lift 0.75 1 seed" in text


def test_an_empty_folder_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has been carried out yet"):
        write_aggregate(tmp_path)
    assert list(tmp_path.iterdir()) == []
