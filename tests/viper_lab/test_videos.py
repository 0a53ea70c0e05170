"""From videos of each format to a model that is fitted, checked and scores, through the same commands."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console
from rosbags.rosbag2 import StoragePlugin

from tests.viper_model.conftest import MICRO, PATCHES
from tests.viper_model.videos.writers import write_bag, write_lerobot_2, write_lerobot_3, write_mp4, write_npz
from viper_lab.results.check_reward import check_model
from viper_lab.results.data_table import print_survey
from viper_lab.results.score import score_to_files
from viper_model.video_model.fit import example_videos
from viper_model.video_model.fit.training import fit
from viper_model.video_model.sizes import SIZES, Size
from viper_ros.cli.console import console
from viper_ros.cli.main import main

VIDEOS = 3
FRAMES = 40


def video(number: int) -> np.ndarray:
    """A bright square slides over a dark ground, uint8 [time, 48, 64, 3]."""
    frames = np.full((FRAMES, 48, 64, 3), 30, np.uint8)
    for t in range(FRAMES):
        left = (3 * number + t) % 52
        frames[t, 16:28, left : left + 12] = 220
    return frames


def mp4(root: Path) -> Path:
    for number in range(VIDEOS):
        write_mp4(root / "push" / f"{number}.mp4", video(number), 20)
    return root / "push" / "0.mp4"


def npz(root: Path) -> Path:
    for number in range(VIDEOS):
        write_npz(root / "push" / "expert" / f"{number}.npz", video(number))
    return root / "push" / "expert" / "0.npz"


def bags(root: Path) -> Path:
    for number in range(VIDEOS):
        topic = "/camera/image" if number else "/camera/image/compressed"
        storage = StoragePlugin.SQLITE3 if number else StoragePlugin.MCAP
        write_bag(root / "push" / f"{number}", video(number), 20, storage=storage, topics=(topic,))
    return root / "push" / "0"


def lerobot_2(root: Path) -> Path:
    write_lerobot_2(root, [("Push", video(number)) for number in range(VIDEOS)], 20)
    return root


def lerobot_3(root: Path) -> Path:
    write_lerobot_3(root, [("Push", video(number)) for number in range(VIDEOS)], 20)
    return root


@pytest.mark.parametrize("write", [mp4, npz, bags, lerobot_2, lerobot_3])
def test_videos_of_each_format_are_fitted_checked_and_scored(
    write: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example_videos, "IMAGINED", 2)  # sampling takes longer than all the rest
    monkeypatch.setitem(SIZES, "tiny", Size({"patches": PATCHES}, MICRO.code_model, MICRO.frame_skip))
    data, model = tmp_path / "data", tmp_path / "model"
    data.mkdir()
    path = write(data)
    cv2.imwrite(str(data / "mask.png"), np.full((48, 64), 255, np.uint8))
    (data / "videos.yaml").write_text(
        "rate: 10\nrecorded_rate: 20\ncrop: {top: 0, left: 8, height: 48, width: 48}\nmasks: {push: mask.png}\n"
    )
    console = Console(record=True, width=120)
    assert print_survey(data, console)
    assert f"{VIDEOS * FRAMES}" in console.export_text()
    fit(data, model, "tiny", code_model_steps=1, background_steps=1)
    check_model(data, model, console, device="cpu")
    assert (model / "check.json").exists()
    episode = 0 if write in (bags, lerobot_2, lerobot_3) else None
    table, _, maps = score_to_files(path, model, None, tmp_path / "scores", episode=episode)
    assert len(table.read_text().splitlines()) == 1 + FRAMES // 2
    assert maps.exists()


@pytest.mark.parametrize("name", ["[red]x :car:", "a_{b}$x^$", "机器人", os.fsdecode(b"lat\xe9")])
def test_videos_and_tasks_of_any_name_are_fitted_checked_and_scored(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
) -> None:
    monkeypatch.setattr(example_videos, "IMAGINED", 2)
    monkeypatch.setitem(SIZES, "tiny", Size({"patches": PATCHES}, MICRO.code_model, MICRO.frame_skip))
    for number in range(VIDEOS):
        write_npz(tmp_path / name / "expert" / f"{number} {name}.npz", video(number))
        write_npz(tmp_path / name / name / f"{number}.npz", video(number))

    def viper(*arguments: str, width: int = 200) -> list[str]:
        monkeypatch.setattr(console, "width", width)
        monkeypatch.setattr("sys.argv", ["viper", *arguments])
        assert main() == 0
        return capfd.readouterr().out.splitlines()

    printed = name.encode(errors="backslashreplace").decode()
    data, model, out = f"data:={tmp_path}", f"model:={tmp_path}/.model", tmp_path / ".out[" / "x]"
    assert any(line.split("  ")[:2] == [f" {printed}", "expert"] for line in viper("data", str(tmp_path)))
    said = viper("fit", data, model, "code_model_steps:=1", "background_steps:=1", "device:=cpu")
    assert any(line.startswith(f"{printed}: ") for line in said)
    scored = tmp_path / name / "expert" / f"0 {name}.npz"
    lines = viper("score", str(scored), model, f"out:={out}", "device:=cpu", width=50)
    assert lines == [f"wrote {out}/0 {printed}_likelihood{end}" for end in (".csv", ".png", "_map.mp4")]
    assert sorted(path.name for path in out.iterdir()) == sorted(
        f"0 {name}_likelihood{end}" for end in (".csv", ".png", "_map.mp4")
    )
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]


def test_videos_that_were_moved_since_are_not_judged_by_where_they_were_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(example_videos, "IMAGINED", 2)
    monkeypatch.setitem(SIZES, "tiny", Size({"patches": PATCHES}, MICRO.code_model, MICRO.frame_skip))
    push, names = tmp_path / "videos" / "push", [f"take{number}.npz" for number in range(10)]
    for number, name in enumerate(names):
        write_npz(push / name, video(number))
    data, model = f"data:={tmp_path}/videos", f"model:={tmp_path}/model"

    def judged(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["viper", *arguments, "device:=cpu"])
        assert main() == 0
        check = json.loads((tmp_path / "model" / "check.json").read_text())
        number: int = check["tasks"]["push"]["kinds"]["expert"]["videos"]
        return number

    assert judged("fit", data, model, "code_model_steps:=1", "background_steps:=1") == 2
    (push / "expert").mkdir()
    for name in names:
        (push / name).rename(push / "expert" / name)
    assert not caplog.records
    # Of the two that their names choose there, one was trained on.
    assert judged("check-reward", data, model) == 1
    assert "held-out videos are not judged by, as the model was trained on them" in caplog.text


def test_the_table_names_what_is_wrong_and_says_where_nothing_is_usable(tmp_path: Path) -> None:
    console = Console(record=True, width=60, markup=False, soft_wrap=True)
    assert not print_survey(tmp_path, console)
    (tmp_path / "push").mkdir()
    (tmp_path / "push" / "[bold].mp4").touch()
    assert not print_survey(tmp_path, console)
    assert "push/[bold].mp4: [bold].mp4 is empty, 0 bytes long" in console.export_text()
    for number in range(3):
        write_npz(tmp_path / "push" / f"{number}.npz", video(number)[:, :, : 48 + 8 * (number == 2)])
        write_mp4(tmp_path / "pull" / "random" / f"{number}.mp4", video(number), 20)
        write_npz(tmp_path / "pick" / f"short_{number}.npz", video(number)[:3])
        write_npz(tmp_path / "pick" / f"{number}.npz", video(number))
    wide = Console(record=True, width=150, soft_wrap=True)
    assert print_survey(tmp_path, wide)
    said = wide.export_text()
    assert "2 of 48×48, 1 of 56×48" in said
    assert "20 Hz" in said
    assert "6 s" in said
    assert "pull: 0 usable expert videos" in said
    assert "pick/short_0.npz, pick/short_1.npz, pick/short_2.npz: it has 3 frames" in said
