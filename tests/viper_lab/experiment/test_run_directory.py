from pathlib import Path

import numpy as np
import pytest

from viper_lab.errors import UserError
from viper_lab.experiment.run_directory import Run, read_metrics
from viper_model.errors import ModelError

IDENTITY = {"task": "cartpole_swingup", "environments": ["env_0"]}


def test_two_runs_cannot_share_a_directory(tmp_path: Path) -> None:
    first = Run(tmp_path, IDENTITY)
    with pytest.raises(UserError, match="in use by another run"):
        Run(tmp_path, IDENTITY)
    first.close()
    Run(tmp_path, IDENTITY).close()


def test_a_run_cannot_go_on_as_another(tmp_path: Path) -> None:
    Run(tmp_path, IDENTITY).close()
    with pytest.raises(UserError, match="started with task 'cartpole_swingup', not 'walker_walk'"):
        Run(tmp_path, {**IDENTITY, "task": "walker_walk"})


def test_the_half_line_of_a_killed_process_is_dropped(tmp_path: Path) -> None:
    run = Run(tmp_path, IDENTITY)
    run.log(1, loss=0.5)
    run.close()
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 2, "lo')
    assert read_metrics(tmp_path) == [{"step": 1, "loss": 0.5}]
    run = Run(tmp_path, IDENTITY)
    run.log(3, loss=0.25)
    run.close()
    assert [record["step"] for record in read_metrics(tmp_path)] == [1, 3]


def test_a_full_disk_is_told_in_one_line_and_loses_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path, IDENTITY)
    (tmp_path / "episodes").mkdir()
    (tmp_path / "episodes" / "e.npz.part").symlink_to("/dev/full")
    with pytest.raises(ModelError, match="the disk is full"):
        run.save_episode("e", {"image": np.zeros((4, 8, 8, 3), np.uint8)})
    assert not list((tmp_path / "episodes").glob("*.npz"))
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(UserError, match="No space left on device"):
        run.log(1, loss=0.0)


def test_a_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="can't write"):
        Run(tmp_path / "file" / "run", IDENTITY)


@pytest.mark.parametrize("content", ["[1, 2", "- a list", "\x00"])
def test_a_foreign_config_is_told_in_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(UserError, match="choose another name"):
        Run(tmp_path, IDENTITY)
