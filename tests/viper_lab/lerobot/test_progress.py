from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from tests.viper_model.examples import save_model
from tests.viper_model.videos.writers import CAMERA, numbered, write_lerobot_2, write_lerobot_3
from viper_lab.errors import USER_ERRORS, UserError
from viper_lab.lerobot.progress import write_progress
from viper_model.errors import ModelError
from viper_model.reward.scorer import score_video
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.dataset import read_recording
from viper_model.videos.settings import VideoSettings

LENGTHS = (20, 23, 17)
EPISODES = [("Cartpole balance.", numbered(length, first=7 * index)) for index, length in enumerate(LENGTHS)]
TASK = "cartpole_balance"


@pytest.mark.parametrize("rate", [None, 5])
def test_progress_is_the_scaled_sum_of_rewards(rate: int | None, tmp_path: Path) -> None:
    """The file's columns are those that LeRobot 0.6 reads (`lerobot.rewards.sarm.rabc`)."""
    dataset, folder = tmp_path / "set", tmp_path / "model"
    write_lerobot_3(dataset, EPISODES, 10)
    save_model(folder, background=True)
    (folder / "videos.yaml").write_text(f"rate: {rate}" if rate else "")
    table = pyarrow.parquet.read_table(write_progress(dataset, folder)).to_pydict()
    model, settings = VideoModel.load(folder), VideoSettings.load(folder)
    sums = []
    for episode in range(3):
        seen = read_recording(dataset, TASK, episode=episode, settings=settings, image_size=model.image_size).frames
        sums.append(np.cumsum(score_video(model, seen, TASK, "ratio").reward))
    low, high = min(map(min, sums)), max(map(max, sums))
    for episode, expected in enumerate(sums):
        mine = [i for i, number in enumerate(table["episode_index"]) if number == episode]
        assert [table["index"][i] for i in mine] == list(range(sum(LENGTHS[:episode]), sum(LENGTHS[: episode + 1])))
        assert [table["frame_index"][i] for i in mine] == list(range(LENGTHS[episode]))
        found = [table["progress_sparse"][i] for i in mine][:: 2 if rate else 1]
        np.testing.assert_allclose(found, (expected - low) / (high - low), atol=1e-4)


def test_what_has_no_progress_is_told_in_one_line(tmp_path: Path) -> None:
    save_model(tmp_path / "model")
    write_lerobot_2(tmp_path / "set", [("Push.", numbered(20))] * 2, 10)
    (tmp_path / "none").mkdir()
    for dataset, said in (("set", "no task 'push'"), ("none", "no LeRobot dataset")):
        with pytest.raises(USER_ERRORS, match=said) as raised:
            write_progress(tmp_path / dataset, tmp_path / "model")
        assert "\n" not in str(raised.value)
    assert not (tmp_path / "set" / "viper_progress.parquet").exists()
    assert write_progress(tmp_path / "set", tmp_path / "model", task=TASK).exists()


def test_the_camera_is_chosen_in_the_dataset_s_own_folder(tmp_path: Path, model_folder: Path) -> None:
    write_lerobot_2(tmp_path / "set", EPISODES[:2], 10, cameras=("observation.images.top", CAMERA))
    with pytest.raises(ModelError, match="several cameras: set `camera`"):
        write_progress(tmp_path / "set", model_folder)
    (tmp_path / "set" / "videos.yaml").write_text(f"camera: {CAMERA}")
    assert write_progress(tmp_path / "set", model_folder).exists()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"length": 0}, r"set/meta says that episode 1 has 0 frames"),
        ({"length": -3}, r"set/meta says that episode 1 has -3 frames"),
        ({"episode_index": 0}, r"set/meta has two episodes with episode_index 0"),
    ],
)
def test_episodes_without_rows_of_their_own_are_told_in_one_line(
    wrong: dict[str, int], said: str, tmp_path: Path, model_folder: Path
) -> None:
    write_lerobot_2(tmp_path / "set", [("Cartpole balance.", numbered(20))] * 2, 10)
    episodes = tmp_path / "set" / "meta" / "episodes.jsonl"
    first, second = map(json.loads, episodes.read_text().splitlines())
    episodes.write_text(f"{json.dumps(first)}\n{json.dumps({**second, **wrong})}\n")
    with pytest.raises(UserError, match=said):
        write_progress(tmp_path / "set", model_folder)
    assert not (tmp_path / "set" / "viper_progress.parquet").exists()


def test_a_full_disk_leaves_the_old_progress(tmp_path: Path, model_folder: Path) -> None:
    dataset = tmp_path / "set"
    write_lerobot_2(dataset, [("Cartpole balance.", numbered(20))], 10)
    (dataset / "viper_progress.parquet").write_bytes(b"old")
    (dataset / ".viper_progress.parquet.part").symlink_to("/dev/full")
    with pytest.raises(ModelError, match="the disk is full"):
        write_progress(dataset, model_folder)
    assert (dataset / "viper_progress.parquet").read_bytes() == b"old"
    assert not (dataset / ".viper_progress.parquet.part").is_symlink()
