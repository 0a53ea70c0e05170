"""What counts as a result, and what is missing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.viper_lab.evaluation.examples import write_benchmark, write_result
from viper_lab.errors import UserError
from viper_lab.evaluation.aggregate import write_aggregate
from viper_lab.evaluation.runs import Method, read_outcome


def test_a_run_counts_with_the_mean_of_its_last_round(tmp_path: Path) -> None:
    write_result(tmp_path, "walker_walk", seed=2, first=10, last=[400, 600, 800])
    (result,) = read_outcome(tmp_path).results
    assert (result.sim, result.task, result.method, result.seed) == ("dmc", "walker_walk", Method("drqv2", "task"), 2)
    assert (result.task_return, result.score, result.episodes, result.steps) == (600, 0.6, 3, 400)
    assert result.curve == ((0, 0.01), (200, pytest.approx(0.305)), (400, 0.6))


def test_atari_is_normalised_between_a_random_player_and_a_human(tmp_path: Path) -> None:
    write_result(tmp_path, "boxing", sim="atari", return_range=[0.1, 12.1], last=18.1)
    (result,) = read_outcome(tmp_path).results
    assert result.score == pytest.approx(1.5)


def test_a_reward_is_told_with_the_form_of_its_likelihood(tmp_path: Path) -> None:
    write_result(tmp_path, "walker_walk", "viper", likelihood="ratio")
    write_result(tmp_path, "walker_walk", "viper", likelihood="conditional", name="other")
    assert {each.method.reward for each in read_outcome(tmp_path).results} == {"viper_ratio", "viper_conditional"}


def change_config(run: Path) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["settings"]["policy_node"]["replay_ratio"] = 64.0
    (run / "config.yaml").write_text(yaml.safe_dump(config))


def change(run: Path, **keys: Any) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump({**config, **keys}))


def change_report(run: Path, steps: Any = 400, **returns: Any) -> None:
    report = json.loads((run / "report.json").read_text())
    report["steps"] = steps
    report["returns"] |= returns
    (run / "report.json").write_text(json.dumps(report))


def go_on(run: Path) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["settings"]["policy_node"]["steps"] = 800
    (run / "config.yaml").write_text(yaml.safe_dump(config))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (change_config, "its configuration was changed after its report: policy_node.replay_ratio 64.0, not 32.0"),
        (go_on, "it has not reached its 800 steps"),
        (lambda run: (run / "report.json").unlink(), "it has not reached its 400 steps"),
        (lambda run: (run / "report.json").write_text("{"), "/report.json can't be read: `viper report"),
        (lambda run: (run / "report.json").write_text("[1]"), "/report.json can't be read"),
        (lambda run: change_report(run, policy={"episodes": {"1": 2}}), "/report.json can't be read"),
        (lambda run: change_report(run, policy={"episodes": "12"}), "/report.json can't be read"),
        (lambda run: change_report(run, policy={"episodes": [1.0, float("nan")]}), "/report.json can't be read"),
        (lambda run: change_report(run, policy={"episodes": [True]}), "/report.json can't be read"),
        (lambda run: change_report(run, policy={"episodes": []}), "/report.json can't be read"),
        (lambda run: change_report(run, expert="x"), "/report.json can't be read"),
        (lambda run: change_report(run, expert={"mean": "5"}), "/report.json can't be read"),
        (lambda run: change_report(run, steps="400"), "/report.json can't be read"),
        (lambda run: change(run, settings=None), "settings must be a mapping"),
        (lambda run: change(run, task=None), "task must be text"),
        (lambda run: (run / "metrics.jsonl").write_text("123\n"), "metrics.jsonl, line 1, is damaged"),
        (lambda run: (run / "metrics.jsonl").unlink(), "metrics.jsonl is missing"),
        (lambda run: (run / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n'), "kept no evaluation"),
        (lambda run: (run / "config.yaml").write_text("3"), "config.yaml says nothing"),
    ],
)
def test_a_run_that_is_no_result_is_missing_not_zero(spoil: Callable[[Path], None], why: str, tmp_path: Path) -> None:
    write_result(tmp_path, "walker_walk", seed=0)
    spoil(write_result(tmp_path, "walker_walk", seed=1))
    outcome = read_outcome(tmp_path)
    assert [result.seed for result in outcome.results] == [0]
    (missing,) = outcome.missing
    assert missing.name == "walker_walk_drqv2_task_seed1"
    assert why in missing.why
    assert "\n" not in missing.why


def test_a_simulator_of_ones_own_is_compared_by_itself(tmp_path: Path) -> None:
    write_result(tmp_path, "walker_walk", name="one")
    change(write_result(tmp_path, "walker_walk", name="other"), sim="my_robot")
    change_report(tmp_path / "other")
    outcome = read_outcome(tmp_path)
    assert sorted((result.name, result.sim) for result in outcome.results) == [("one", "dmc"), ("other", "my_robot")]
    page, _ = write_aggregate(tmp_path)
    assert "normalised score" in page.read_text()


def test_what_a_benchmark_wanted_and_has_not_is_missing(tmp_path: Path) -> None:
    write_result(tmp_path, "walker_walk", name="done")
    write_result(tmp_path, "walker_walk", seed=1, name="swapped")
    write_result(tmp_path, "walker_walk", seed=2, name="not_of_it")
    wanted = [
        {"name": "done", "task": "walker_walk"},
        {"name": "swapped", "task": "walker_walk", "reward": "viper_ratio", "seed": 1},
        {"name": "never", "task": "walker_run"},
        {"name": "broken", "task": "walker_run", "problem": "viper: out of luck", "seed": 4},
    ]
    write_benchmark(tmp_path, wanted)
    outcome = read_outcome(tmp_path)
    assert (outcome.title, outcome.description) == ("mine", "Mine.")
    assert [result.name for result in outcome.results] == ["done"]
    assert {each.name: each.why for each in outcome.missing} == {
        "swapped": "another run is in its place: its reward is task, not viper_ratio",
        "never": "it has not been started",
        "broken": "viper: out of luck",
    }
    assert outcome.missing[2].seed == 4


def test_a_run_that_was_made_otherwise_is_no_other_seed(tmp_path: Path) -> None:
    write_result(tmp_path, "walker_walk", seed=0)
    run = write_result(tmp_path, "walker_walk", seed=1)
    change_config(run)
    report = json.loads((run / "report.json").read_text())
    report["settings"]["policy_node"]["replay_ratio"] = 64.0
    (run / "report.json").write_text(json.dumps(report))
    write_result(tmp_path, "walker_walk", seed=2)
    outcome = read_outcome(tmp_path)
    assert [result.seed for result in outcome.results] == [0, 2]
    assert outcome.missing[0].why == (
        "it is no other seed of walker_walk_drqv2_task_seed0, which has policy_node.replay_ratio 32.0, not 64.0"
    )


def test_the_same_seed_again_or_for_longer_is_no_other_seed(tmp_path: Path) -> None:
    write_result(tmp_path, "walker_walk", seed=0)
    write_result(tmp_path, "walker_walk", seed=0, name="x_again")
    go_on(run := write_result(tmp_path, "walker_walk", seed=1, name="x_longer"))
    change_report(run, steps=800)
    outcome = read_outcome(tmp_path)
    assert [result.name for result in outcome.results] == ["walker_walk_drqv2_task_seed0"]
    assert {each.name: each.why for each in outcome.missing} == {
        "x_again": "it is the seed of walker_walk_drqv2_task_seed0 again: give it another by seed:=",
        "x_longer": "it is no other seed of walker_walk_drqv2_task_seed0: it has 800 steps, not 400",
    }


def test_another_video_model_is_another_experiment(tmp_path: Path) -> None:
    for seed, sha in enumerate(("1", "1", "2")):
        write_result(
            tmp_path, "walker_walk", "viper", seed, likelihood="ratio", video_model={"path": "gone", "sha256": sha}
        )
    outcome = read_outcome(tmp_path)
    assert [result.seed for result in outcome.results] == [0, 1]
    assert "video_model.sha256" in outcome.missing[0].why


@pytest.mark.parametrize("runs", [[], ["one"]])
def test_a_folder_without_results_is_refused_in_one_line(runs: list[str], tmp_path: Path) -> None:
    for name in runs:
        (write_result(tmp_path, "walker_walk", name=name) / "report.json").unlink()
    with pytest.raises(UserError, match=r"no run in .* has been carried out yet") as raised:
        read_outcome(tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"runs": [{}]}', '{"runs": 3}', '{"runs": [3]}', "[" * 3000])
def test_a_damaged_benchmark_is_told_in_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "benchmark.json").write_text(text)
    with pytest.raises(UserError, match=r"benchmark\.json can't be read"):
        read_outcome(tmp_path)


@pytest.mark.parametrize("changed", [{"steps": "many"}, {"seed": "0"}, {"problem": None}, {"name": 3}])
def test_a_benchmark_with_a_run_that_is_none_is_told_in_one_line(changed: dict[str, Any], tmp_path: Path) -> None:
    write_result(tmp_path, "walker_walk", name="done")
    write_benchmark(tmp_path, [{"name": "done", "task": "walker_walk"}, {"name": "x", "task": "y", **changed}])
    with pytest.raises(UserError, match=r"benchmark\.json can't be read: run the benchmark again") as raised:
        read_outcome(tmp_path)
    assert "\n" not in str(raised.value)
