import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.viper_lab.examples import DESCRIPTION, example_config
from viper_lab.errors import UserError
from viper_lab.experiment.provenance import experiment_text, run_config
from viper_lab.experiment.run_directory import RunDirectory
from viper_lab.results.run_files import read_config, read_metrics
from viper_model.errors import ModelError
from viper_model.reward.likelihood import Calibration

CONFIG = example_config()
POLICY = CONFIG["settings"]["policy_node"]


def test_two_runs_cannot_share_a_directory(tmp_path: Path) -> None:
    first = RunDirectory(tmp_path, CONFIG)
    with pytest.raises(UserError, match="in use by another run"):
        RunDirectory(tmp_path, CONFIG)
    first.close()
    RunDirectory(tmp_path, CONFIG).close()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"seed": 1}, "started with policy_node.seed 0, not 1"),
        ({"exploration_weight": 0.5}, "policy_node.exploration_weight None, not 0.5"),
        ({"replay_ratio": 32.0}, "policy_node.replay_ratio None, not 32.0"),
    ],
)
def test_a_run_goes_on_only_with_what_makes_it_the_same(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    RunDirectory(tmp_path, CONFIG).close()
    with pytest.raises(UserError, match=words):
        RunDirectory(tmp_path, example_config(**changed))


def test_another_task_or_reward_is_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for name in ("config.yaml", "tasks.yaml", "model.safetensors"):
        (model / name).write_text("as it was")
    experiment = experiment_text({"reward_node": {"likelihood": "ratio"}}, tmp_path, model)
    RunDirectory(tmp_path / "run", run_config(DESCRIPTION, POLICY, experiment)).close()
    other = dataclasses.replace(DESCRIPTION, task="walker_walk")
    with pytest.raises(UserError, match="started with task 'cartpole_swingup', not 'walker_walk'"):
        RunDirectory(tmp_path / "run", run_config(other, POLICY, experiment))
    with monkeypatch.context() as later:
        later.setattr(Calibration, "REWARD_VERSION", Calibration.REWARD_VERSION + 1)
        with pytest.raises(UserError, match=r"started with video_model.reward_version"):
            RunDirectory(tmp_path / "run", run_config(DESCRIPTION, POLICY, experiment))
    (model / "model.safetensors").write_text("trained again")
    with pytest.raises(UserError, match=r"started with video_model.sha256"):
        RunDirectory(tmp_path / "run", run_config(DESCRIPTION, POLICY, experiment))


def test_a_run_may_go_on_for_longer_and_on_another_device(tmp_path: Path) -> None:
    RunDirectory(tmp_path, example_config(steps=1000, device="cpu")).close()
    RunDirectory(tmp_path, example_config(steps=2000, device="cuda")).close()
    assert read_config(tmp_path)["settings"]["policy_node"]["steps"] == 2000


def test_the_half_line_of_a_killed_process_is_dropped(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path, CONFIG)
    run.log(1, loss=0.5)
    run.close()
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 2, "lo')
    assert read_metrics(tmp_path) == [{"step": 1, "loss": 0.5}]
    run = RunDirectory(tmp_path, CONFIG)
    run.log(3, loss=0.25)
    run.close()
    assert [record["step"] for record in read_metrics(tmp_path)] == [1, 3]


def test_a_full_disk_is_told_in_one_line_and_loses_nothing(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path, CONFIG)
    (tmp_path / "episodes").mkdir()
    (tmp_path / "episodes" / ".e.npz.part").symlink_to("/dev/full")
    with pytest.raises(ModelError, match="the disk is full"):
        run.save_episode("e", {"image": np.zeros((4, 8, 8, 3), np.uint8)})
    assert not list((tmp_path / "episodes").glob("*.npz"))
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(ModelError, match="the disk is full"):
        run.log(1, loss=0.0)


def test_a_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="can't write"):
        RunDirectory(tmp_path / "file" / "run", CONFIG)


@pytest.mark.parametrize("content", ["[1, 2", "- a list", "\x00"])
def test_a_foreign_config_is_told_in_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(UserError, match="choose another name"):
        RunDirectory(tmp_path, CONFIG)
