"""A run's page: figures that are worked out by hand."""

import re
from html.parser import HTMLParser
from pathlib import Path

import yaml

from viper_lab.experiment.run_directory import Run
from viper_lab.results.report import write_report


class Words(HTMLParser):
    """The words of a page, without its marks."""

    def __init__(self) -> None:
        super().__init__()
        self._inside: list[str] = []

    def handle_data(self, data: str) -> None:
        self._inside.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self._inside))


def page_of(folder: Path, identity: dict[str, object], evaluations: dict[int, list[float]]) -> str:
    run = Run(folder / "runs" / "mine", identity)
    for step, returns in evaluations.items():
        for value in returns:
            run.log(step, round=step, evaluation_return=value)
    run.close()
    words = Words()
    words.feed(write_report(folder / "runs" / "mine").read_text())
    return words.text


def test_atari_is_told_in_human_normalised_scores(tmp_path: Path) -> None:
    identity = {"sim": "atari", "task": "boxing", "reward": "task", "return_range": [0.1, 12.1]}
    text = page_of(tmp_path, identity, {0: [-1.1], 500: [18.1, 18.1]})
    assert "human-normalised score before training -1 ± 0 1 episodes -10% policy 18 ± 0 2 episodes 150%" in text
    assert "0% is a ground-truth return of 0.1 (a random player), 100% one of 12.1 (a human)" in text


def test_control_is_told_as_part_of_the_most_that_can_be_had(tmp_path: Path) -> None:
    identity = {"sim": "dmc", "task": "cartpole_swingup", "reward": "task", "return_range": [0, 1000]}
    text = page_of(tmp_path, identity, {0: [10, 30], 500: [150, 250]})
    assert "normalised score before training 20 ± 10 2 episodes 2% policy 200 ± 50 2 episodes 20%" in text
    assert "human" not in text
    assert "a difference of 3.5 standard errors" in text
    assert yaml.safe_load((tmp_path / "runs" / "mine" / "config.yaml").read_text()) == identity
