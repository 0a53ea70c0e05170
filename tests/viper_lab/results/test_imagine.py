from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from tests.viper_model.examples import with_settings
from tests.viper_model.videos.writers import write_mp4
from viper_lab.errors import UserError
from viper_lab.results.imagine import imagine_videos
from viper_model.errors import ModelError
from viper_model.videos.settings import VideoSettings
from viper_model.videos.video_io import read_video


def video(path: Path, frames: int = 20) -> Path:
    """A bright square slides over a dark ground."""
    pictures = np.full((frames, 48, 64, 3), 30, np.uint8)
    for t in range(frames):
        pictures[t, 16:28, t : t + 12] = 220
    path.parent.mkdir(exist_ok=True)
    write_mp4(path, pictures, 20)
    return path


def test_videos_of_tasks_by_beginnings_and_errors_by_step(tmp_path: Path, model_folder: Path) -> None:
    videos = [video(tmp_path / "a.mp4"), video(tmp_path / "other" / "a.mp4", 12)]
    out = tmp_path / "out"
    paths = imagine_videos(videos, model_folder, out, steps=6, given=2, samples=2)
    assert sorted(path.name for path in paths) == sorted(path.name for path in out.iterdir())
    assert {path.name for path in paths} == {
        "1_a_as_cartpole_balance.mp4",
        "1_a_as_cartpole_swingup.mp4",
        "2_a_as_cartpole_balance.mp4",
        "2_a_as_cartpole_swingup.mp4",
        "grid.mp4",
        "errors.csv",
        "errors.png",
    }
    # Given frames and imagined ones; truth, two samples; 32 pixels each, a line between them, enlarged 8 times.
    assert read_video(out / "1_a_as_cartpole_balance.mp4").shape == (8, 32 * 8, (3 * 33 - 1) * 8, 3)
    assert read_video(out / "grid.mp4").shape[:3] == (8, (2 * 33 - 1) * 4, (3 * 33 - 1) * 4)

    with open(out / "errors.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    # The model counts every second frame: 2 of 10 and 2 of 6 are given; 6 and 4 are there to compare with.
    assert [(row["video"], int(row["step"])) for row in rows if row["task"] == "cartpole_balance"] == [
        *(("1_a", step) for step in range(1, 7)),
        *(("2_a", step) for step in range(1, 5)),
    ]
    for row in rows:
        assert float(row["psnr_db_mean"]) > 0
        assert float(row["psnr_db_std"]) >= 0
    still = [float(row["psnr_db_of_a_still_picture"]) for row in rows if row["video"] == "1_a"][:6]
    assert still[0] > still[-1]  # the square has moved on

    name = "1_a_as_cartpole_swingup.mp4"

    def rollouts(seed: int) -> np.ndarray:
        folder = tmp_path / f"seed_{seed}"
        imagine_videos(
            videos[:1], model_folder, folder, tasks=["cartpole_swingup"], steps=6, given=2, samples=2, seed=seed
        )
        return read_video(folder / name).astype(float)

    # Not byte by byte: kernels may round a pixel differently from call to call. Another sample changes whole patches.
    same, other = (np.abs(rollouts(seed) - read_video(out / name)).mean() for seed in (0, 1))
    assert same < other / 10


def test_a_video_s_own_videos_yaml_tells_how_it_was_recorded(tmp_path: Path, model_folder: Path) -> None:
    folder = with_settings(model_folder, tmp_path / "model", VideoSettings(rate=10))
    np.savez(tmp_path / "a.npz", image=np.zeros((40, 32, 32, 3), np.uint8))
    (tmp_path / "videos.yaml").write_text("recorded_rate: 20")
    imagine_videos([tmp_path / "a.npz"], folder, tmp_path / "out", tasks=["cartpole_swingup"], steps=2, samples=1)
    assert (tmp_path / "out" / "grid.mp4").exists()


def test_what_can_not_be_imagined_is_refused_in_one_line(tmp_path: Path, model_folder: Path) -> None:
    short = video(tmp_path / "short.mp4", 6)
    for arguments, options, word in (
        ([short], {"given": 3}, "6 frames: too few"),
        ([short], {"start": 6}, "begin at frame 6"),
        ([short], {"tasks": ["walking"]}, "no task 'walking'"),
        ([tmp_path / "missing.mp4"], {}, "missing.mp4"),
    ):
        with pytest.raises((ModelError, UserError), match=word) as raised:
            imagine_videos(arguments, model_folder, tmp_path / "out", **options)  # type: ignore[arg-type]
        assert "\n" not in str(raised.value)
