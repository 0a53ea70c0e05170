from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.viper_lab.results.runs import CONFIG, write_episode, write_run
from tests.viper_model.examples import with_settings
from tests.viper_model.videos.writers import write_npz
from viper_model.video_model.folder import model_hash
from viper_model.videos.preparation import Crop
from viper_model.videos.settings import VideoSettings
from viper_model.videos.video_io import read_video
from viper_ros.cli.main import main


def viper(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "argv", ["viper", *arguments])
    return main()


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Held out are one video of an expert and one of random behaviour, of one of the two tasks that the model knows."""
    for name in ("expert/0", "expert/1", "random/0"):
        frames = np.random.default_rng(len(name)).integers(0, 256, (20, 32, 32, 3), np.uint8)
        write_npz(tmp_path / "videos" / "cartpole_swingup" / f"{name}.npz", frames, task_reward=np.ones(20))
    return tmp_path / "videos"


def test_a_model_is_judged_and_fails_the_command_only_where_that_is_asked_for(
    videos: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model of random weights is no usable reward."""
    out = videos.parent / "judged"
    judge = ("check-reward", f"data:={videos}", f"model:={model_folder}", f"out:={out}", "device:=cpu")
    assert viper(monkeypatch, *judge) == 0
    said = capsys.readouterr().out
    assert "cartpole_swingup: Not usable." in said
    assert "no videos of them: cartpole_balance" in said
    kinds = ["expert", "frozen", "reversed", "shuffled", "random"]
    document = json.loads((out / "check.json").read_text())["tasks"]
    assert list(document["cartpole_swingup"]["kinds"]) == kinds
    reasons = document["cartpole_swingup"]["verdict"]["reasons"]
    assert len(reasons) > 1
    assert all(reason in said for reason in reasons)
    page = (out / "check.html").read_text()
    assert page.index("Not usable.") < page.index("<table>") < page.index("data:video/mp4;base64,")
    assert page.count("data:video/mp4;base64,") == len(kinds)
    assert not re.findall(r'(?:src|href)="(?!data:)', page)  # opens from disk, anywhere
    for kind in kinds:  # the video beside its likelihood map, enlarged
        assert read_video(out / "check" / f"cartpole_swingup_{kind}.mp4").shape == (20, 256, 512, 3)
    assert viper(monkeypatch, *judge, "--strict") == 1


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (None, ("no videos of 'cartpole_balance'", "it has videos of walking")),
        ("walking", ("knows no task 'walking'", "cartpole_swingup")),
        ("cartpole_swingup", ("no videos of 'cartpole_swingup'", "it has videos of walking")),
    ],
)
def test_videos_of_tasks_that_the_model_does_not_know_are_told_in_one_line(
    task: str | None,
    words: tuple[str, ...],
    videos: Path,
    model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (videos / "cartpole_swingup").rename(videos / "walking")
    arguments = ["check-reward", f"data:={videos}", f"model:={model_folder}"] + ([f"task:={task}"] if task else [])
    assert viper(monkeypatch, *arguments) == 1
    error = capsys.readouterr().err.strip()
    assert all(word in error for word in words)
    assert "\n" not in error


def test_data_without_a_video_to_hold_out_is_told_in_one_line(
    videos: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (videos / "cartpole_swingup" / "expert" / "1.npz").unlink()
    assert viper(monkeypatch, "check-reward", f"data:={videos}", f"model:={model_folder}") == 1
    error = capsys.readouterr().err.strip()
    assert "put two expert videos or more" in error
    assert "\n" not in error


def test_a_ratio_of_a_model_without_a_background_is_refused_in_one_line(
    videos: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert viper(monkeypatch, "check-reward", f"data:={videos}", f"model:={model_folder}", "likelihood:=ratio") == 1
    error = capsys.readouterr().err.strip()
    assert "fit one with background:=auto, or choose the form conditional" in error
    assert "\n" not in error


def test_a_run_s_best_rewarded_episodes_are_judged_as_hacks(
    videos: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, run = videos.parent / "judged", write_run(videos.parent / "runs" / "mine", {0: [1.0]})
    rng = np.random.default_rng(0)
    for number in range(5):
        frames = rng.integers(0, 256, (20, 48, 48, 3), np.uint8)
        write_episode(run, number, frames, np.full(20, number), np.zeros(20))
    judge = ("check-reward", f"data:={videos}", f"model:={model_folder}", f"out:={out}", "device:=cpu")
    assert viper(monkeypatch, *judge, f"run:={run}") == 0
    kinds = json.loads((out / "check.json").read_text())["tasks"]["cartpole_swingup"]["kinds"]
    assert kinds["policy"]["videos"] == 3
    assert kinds["policy"]["best_hack"] is not None
    assert "policy: reward" in (out / "check.html").read_text()
    # The videos are judged under the label that the reward node scored them under, whatever the environment's task.
    settings = {**CONFIG["settings"], "reward_node": {"reward_task": "cartpole_swingup"}}
    of_swingup = yaml.safe_dump({**CONFIG, "task": "walker_walk", "settings": settings})
    (run / "config.yaml").write_text(of_swingup)
    assert viper(monkeypatch, *judge, f"run:={run}") == 0
    assert "policy" in json.loads((out / "check.json").read_text())["tasks"]["cartpole_swingup"]["kinds"]
    capsys.readouterr()
    for config, said in (
        ("sim: dmc", "is of another version of viper_ros: train again"),
        (yaml.safe_dump({**CONFIG, "task": "walker_walk"}), "learned from the reward for 'walker_walk'"),
    ):
        (run / "config.yaml").write_text(config)
        assert viper(monkeypatch, *judge, f"run:={run}") == 1
        error = capsys.readouterr().err.strip()
        assert said in error
        assert "\n" not in error


def test_a_run_is_judged_beside_what_was_found_before_it(
    videos: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = videos.parent / "model"
    shutil.copytree(model_folder, model)
    judge = ("check-reward", f"data:={videos}", f"model:={model}", "device:=cpu")
    assert viper(monkeypatch, *judge) == 0
    before = (model / "check.json").read_bytes()
    of_model = {"path": str(model), "sha256": model_hash(model)}
    run = write_run(videos.parent / "run", {0: [1.0]}, video_model=of_model)
    write_episode(run, 0, np.zeros((20, 48, 48, 3), np.uint8), np.zeros(20), np.zeros(20))
    assert viper(monkeypatch, *judge, f"run:={run}") == 0
    assert (model / "check.json").read_bytes() == before
    assert "policy" in json.loads((run / "check.json").read_text())["tasks"]["cartpole_swingup"]["kinds"]
    assert "learned from another reward" not in caplog.text
    write_run(run, {0: [1.0]}, video_model={**of_model, "sha256": "of an earlier fit"})
    assert viper(monkeypatch, *judge, f"run:={run}") == 0
    assert "learned from another reward" in caplog.text


def test_a_run_whose_reward_saw_other_pictures_than_it_has_kept_is_not_judged(
    videos: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(videos.parent / "run", {0: [1.0]})
    write_episode(run, 0, np.zeros((20, 48, 48, 3), np.uint8), np.zeros(20), np.zeros(20))
    cropped = with_settings(model_folder, videos.parent / "cropped", VideoSettings(crop=Crop(0, 0, 10, 10)))
    judge = ("check-reward", f"data:={videos}", f"model:={cropped}", "device:=cpu", f"run:={run}")
    assert viper(monkeypatch, *judge) == 1
    error = capsys.readouterr().err.strip()
    assert "the model was shown cropped or masked ones" in error
    assert "\n" not in error
