"""A video's table, and what it must say of itself."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.viper_model.examples import save_model, with_settings
from viper_lab.errors import USER_ERRORS
from viper_lab.results.score import score_to_files
from viper_model.reward.likelihood import FORMS
from viper_model.reward.scorer import score_video
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.settings import VideoSettings

TASK = "cartpole_swingup"


@pytest.fixture
def video(tmp_path: Path) -> Path:
    np.savez(tmp_path / "video.npz", image=np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), np.uint8))
    return tmp_path / "video.npz"


@pytest.mark.parametrize("form", ["auto", *FORMS])
def test_the_table_holds_the_scorer_s_numbers(video: Path, tmp_path: Path, form: str) -> None:
    save_model(tmp_path / "model", background=True)
    table, *_ = score_to_files(video, tmp_path / "model", TASK, tmp_path / "out", form=form)
    with open(table, newline="") as file:
        header, *rows = csv.reader(file)
    chosen = next((each for each in FORMS if each == form), "ratio")  # which suits the task
    assert header == ["frame", "conditional_nats", f"{chosen}_nats", "reward"]
    with np.load(video) as arrays:
        scores = score_video(VideoModel.load(tmp_path / "model"), arrays["image"], TASK, chosen)
    expected = np.stack([np.arange(20), scores.conditional, scores.log_likelihood, scores.reward], 1)
    np.testing.assert_allclose(np.array(rows, float), expected, rtol=1e-3, atol=1e-2)


def test_a_video_s_own_videos_yaml_tells_how_it_was_recorded(video: Path, model_folder: Path, tmp_path: Path) -> None:
    folder = with_settings(model_folder, tmp_path / "model", VideoSettings(rate=10))
    with pytest.raises(USER_ERRORS, match="set `recorded_rate`"):
        score_to_files(video, folder, TASK, tmp_path / "out")
    (video.parent / "videos.yaml").write_text("recorded_rate: 20")
    table, *_ = score_to_files(video, folder, TASK, tmp_path / "out")
    assert len(table.read_text().splitlines()) == 1 + 10


@pytest.mark.parametrize(
    ("task", "options", "said"),
    [
        (TASK, {"form": "ratio"}, "fit one with background:=auto, or choose the form conditional"),
        (TASK, {"form": "likely"}, "choose auto or one of conditional, joint, ratio"),
        ("walking", {}, "no task 'walking'"),
        (None, {}, "one of cartpole_balance, cartpole_swingup"),
    ],
)
def test_what_can_not_be_scored_is_refused_in_one_line(
    video: Path, model_folder: Path, tmp_path: Path, task: str | None, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(USER_ERRORS, match=said) as raised:
        score_to_files(video, model_folder, task, tmp_path / "out", **options)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()
