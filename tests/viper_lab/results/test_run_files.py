"""What a run's directory tells: its configuration, its records and the episodes that its reward thought best."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.viper_lab.results.runs import CONFIG, write_episode, write_run
from viper_lab.errors import UserError
from viper_lab.results.run_files import BEST_REWARDED, best_rewarded_videos, read_config, read_metrics


def test_a_run_s_configuration_is_what_was_written(tmp_path: Path) -> None:
    assert read_config(write_run(tmp_path / "run", {})) == CONFIG


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (yaml.safe_dump({"sim": "dmc", "task": "walker_walk", "environments": ["env_0"]}), "is of another version"),
        (yaml.safe_dump({**CONFIG, "version": 1}), "is of another version of viper_ros: train again, or read it with"),
        ("- a list", "no run in"),
        ("task: walker_walk", "no run in"),
        ("", "no run in"),
        ("a: [b: {", "no run in"),
        ("\x80", "no run in"),
        (None, "no run in"),
    ],
)
def test_another_configuration_is_refused_in_one_line(tmp_path: Path, content: str | None, said: str) -> None:
    """The first is what a run's config.yaml was before it had a version."""
    if content is not None:
        (tmp_path / "config.yaml").write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=said) as raised:
        read_config(tmp_path)
    assert "\n" not in str(raised.value)


def test_the_half_line_of_a_process_that_is_writing_is_left_out(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {0: [1.0], 10: [2.0]})
    with open(run / "metrics.jsonl", "a") as file:
        file.write('{"step": 20, "rou')
    assert [record["round"] for record in read_metrics(run)] == [0, 10]
    (run / "metrics.jsonl").write_text("")
    with pytest.raises(UserError, match="nothing has happened yet"):
        read_metrics(run)


def test_the_episodes_that_the_reward_thought_best_are_those_of_the_highest_sums(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {0: [1.0]})
    # The reward of an episode's first frame is nobody's doing.
    sums = {0: 3.0, 10: -5.0, 20: 9.0, 30: 1.0, 40: 7.0}
    for number, total in sums.items():
        image = np.full((5, 24, 24, 3), number, np.uint8)
        write_episode(run, number, image, np.array([100.0 - total, 0, 0, 0, total]), np.full(5, number))
    best = best_rewarded_videos(run, 16)
    assert len(best) == BEST_REWARDED
    assert {int(video.frames[0, 0, 0, 0]) for video in best} == {0, 20, 40}
    for video in best:
        assert video.frames.shape == (5, 16, 16, 3)
        assert video.task_reward is not None
        np.testing.assert_array_equal(video.task_reward, video.frames[:, 0, 0, 0])


def test_a_run_without_episodes_and_a_damaged_one_are_told_in_one_line(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {0: [1.0]})
    with pytest.raises(UserError, match="has kept no episodes"):
        best_rewarded_videos(run, 16)
    write_episode(run, 0, np.zeros((5, 24, 24, 3), np.uint8), np.zeros(5), np.zeros(5))
    (run / "episodes" / "evaluation_00000010.npz").write_bytes(b"PK\x03\x04 half")
    with pytest.raises(UserError, match=r"evaluation_00000010\.npz") as raised:
        best_rewarded_videos(run, 16)
    assert "\n" not in str(raised.value)
