"""How far runs are, and what is left."""

from pathlib import Path

import pytest

from viper_lab.evaluation.progress import Estimate, collected_steps, duration
from viper_lab.evaluation.suite import Run


def run(task: str, agent: str = "drqv2", steps: int = 1000) -> Run:
    return Run("mine", "dmc", "", task, agent, "task", 0, steps, ())


def reach(folder: Path, which: Run, steps: int) -> None:
    (folder / which.name).mkdir(exist_ok=True)
    with open(folder / which.name / "metrics.jsonl", "a") as file:
        file.write(f'{{"step": {steps}, "train_return": 1.0}}\n')


def test_the_last_whole_line_tells_how_far_a_run_is(tmp_path: Path) -> None:
    assert collected_steps(tmp_path / "none") == 0
    one = run("one")
    for steps in range(0, 1000, 2):
        reach(tmp_path, one, steps)
    with open(tmp_path / one.name / "metrics.jsonl", "a") as file:
        file.write('{"step": 12345, "tra')
    assert collected_steps(tmp_path / one.name) == 998


def test_what_is_left_is_estimated_by_kind_of_run(tmp_path: Path) -> None:
    quick, slow, later, much_later = run("one"), run("one", "dreamer"), run("two"), run("two", "dreamer", 2000)
    all_runs = [quick, slow, later, much_later]
    estimate = Estimate(tmp_path)
    assert estimate.remaining_seconds(all_runs, 2) is None
    estimate.update([quick, slow], now=100)
    assert estimate.remaining_seconds(all_runs, 2) is None
    reach(tmp_path, quick, 500)
    reach(tmp_path, slow, 100)
    estimate.update([quick, slow], now=200)
    # 0.2 s a step of drqv2, 1 s a step of dreamer.
    assert estimate.remaining_seconds(all_runs, 1) == pytest.approx(500 * 0.2 + 900 + 1000 * 0.2 + 2000)
    more = [*all_runs, run("three", "dreamer", 2000)]
    assert estimate.remaining_seconds(more, 2) == pytest.approx((500 * 0.2 + 900 + 1000 * 0.2 + 2000 + 2000) / 2)
    assert estimate.remaining_seconds(all_runs, 9) == pytest.approx(2000), "one run takes as long as it takes"
    assert estimate.remaining_seconds([], 2) == 0


def test_a_run_that_goes_on_is_measured_from_where_it_goes_on(tmp_path: Path) -> None:
    one = run("one")
    reach(tmp_path, one, 400)
    estimate = Estimate(tmp_path)
    estimate.update([one], now=0)
    reach(tmp_path, one, 500)
    estimate.update([one], now=10)
    assert estimate.remaining_seconds([one], 1) == pytest.approx(50)
    estimate.update([], now=1000)
    estimate.update([one], now=2000)
    reach(tmp_path, one, 600)
    estimate.update([one], now=2010)
    assert estimate.remaining_seconds([one], 1) == pytest.approx(40)


@pytest.mark.parametrize(
    ("seconds", "words"), [(3, "1 min"), (150, "2 min"), (3600, "1 h 0 min"), (9000, "2 h 30 min")]
)
def test_durations_are_told_as_people_do(seconds: float, words: str) -> None:
    assert duration(seconds) == words
