import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.viper_lab.examples import example_config
from tests.viper_model.videos.writers import write_npz
from tests.viper_ros.conftest import random_frames
from viper_lab.experiment.run_directory import RunDirectory
from viper_model.videos.dataset import load_dataset
from viper_ros.cli.main import main


def viper(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "argv", ["viper", *arguments])
    return main()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """With a video of each of four rounds of evaluation, their returns 0, 10, 20 and 30."""
    run = RunDirectory(tmp_path / "runs" / "mine", example_config(image_size=32))
    for steps in range(4):
        rewards = np.full(20, steps / 2)
        run.save_episode(
            f"evaluation_{1000 * steps:08d}", {"image": random_frames(20, 32, steps), "task_reward": rewards}
        )
    run.close()
    return run.directory


def test_the_middle_of_training_becomes_videos_with_their_returns(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "01":
        write_npz(tmp_path / "data" / "dmc" / "cartpole_swingup" / "expert" / f"{name}.npz", random_frames(20, 32, 0))
    for _ in range(2):  # again changes nothing
        assert viper(monkeypatch, "half-trained", str(run), f"directory:={tmp_path}") == 0
        assert "return 10.00" in capsys.readouterr().out
        data = load_dataset(tmp_path / "data" / "dmc", image_size=32)
        videos = data.select("half_trained", task="cartpole_swingup")
        videos += data.select("half_trained", task="cartpole_swingup", held_out=False)
        assert sorted(float(video.task_reward.sum()) for video in videos if video.task_reward is not None) == [10, 20]
    folder = tmp_path / "data" / "dmc" / "cartpole_swingup" / "half_trained"
    origin = yaml.safe_load((folder / "mine_00002000.yaml").read_text())
    assert (origin["run"], origin["steps"], origin["task_return"]) == ("mine", 2000, 20)


def test_what_is_no_run_or_has_no_middle_is_told_in_one_line(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refusal(folder: Path) -> str:
        assert viper(monkeypatch, "half-trained", str(folder), f"directory:={tmp_path}") == 1
        error = capsys.readouterr().err.strip()
        assert "\n" not in error
        return error

    videos = sorted((run / "episodes").iterdir())
    videos[1].write_bytes(videos[1].read_bytes()[:200])
    assert videos[1].name in refusal(run)
    for video in videos[1:3]:
        video.unlink()
    assert "evaluate_every" in refusal(run)
    (run / "config.yaml").write_text("[]")
    assert "no run in" in refusal(run)
    assert "no run in" in refusal(tmp_path)
