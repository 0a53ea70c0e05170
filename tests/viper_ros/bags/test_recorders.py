"""Bags of other people's recorders and cameras, scored."""

from __future__ import annotations

import logging
import resource
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin

from tests.viper_model.videos.bags.test_bag import humble_mcap, humble_sqlite, unknown_type_in_mcap
from tests.viper_model.videos.writers import METADATA, numbered, write_camera
from tests.viper_ros.bags.test_bags import TASK, messages
from viper_lab.errors import UserError
from viper_model.reward.scorer import score_video
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.bags.bag import opened
from viper_model.videos.preparation import resize
from viper_model.videos.settings import VideoSettings
from viper_ros.bags.scoring import score_bag_to_folder


def expected(model_folder: Path, *videos: np.ndarray) -> np.ndarray:
    model = VideoModel.load(model_folder)
    scores = [score_video(model, resize(video, model.image_size), TASK, "conditional") for video in videos]
    return np.concatenate([each.conditional for each in scores])


def rewards(scored: Path) -> list[float]:
    return [reward.log_likelihood for reward in messages(scored, "/cam/reward")]


@pytest.mark.parametrize("make", [humble_mcap, humble_sqlite, unknown_type_in_mcap])
def test_a_topic_of_an_unknown_type_is_left_out_and_named(
    make: object, model_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bag = tmp_path / "bag"
    assert callable(make)
    make(bag)
    with caplog.at_level(logging.WARNING):
        scored = score_bag_to_folder(bag, model_folder, TASK, tmp_path)
    np.testing.assert_allclose(rewards(scored), expected(model_folder, numbered(36)), rtol=1e-4)
    with opened(scored) as copy:
        names = {topic.name for topic in copy.topics}
        hashes = {topic.type: topic.type_hash for topic in copy.topics}
    lost = make is not humble_mcap  # which brings the definition
    assert names == {"/cam/image_raw", "/cam/reward"} | (set() if lost else {"/cam/metadata"})
    assert (f"/cam/metadata ({METADATA})" in caplog.text) == lost
    assert hashes


def test_a_reset_in_the_middle_begins_another_video_and_no_frame_vanishes(model_folder: Path, tmp_path: Path) -> None:
    frames = numbered(40)
    write_camera(tmp_path / "bag", frames, [2 * 10**9 + index % 20 * 10**8 for index in range(40)])
    scored = score_bag_to_folder(tmp_path / "bag", model_folder, TASK, tmp_path)
    np.testing.assert_allclose(rewards(scored), expected(model_folder, frames[:20], frames[20:]), rtol=1e-4)
    VideoSettings(rate=5).save(model_folder, ())
    try:
        scored = score_bag_to_folder(tmp_path / "bag", model_folder, TASK, tmp_path / "slow")
    finally:
        (model_folder / "videos.yaml").unlink()
    halves = expected(model_folder, frames[:20:2], frames[20::2])
    np.testing.assert_allclose(rewards(scored), halves, rtol=1e-4)


@pytest.mark.parametrize("stamp", [0, 10**18])
def test_a_camera_that_stamps_nothing_is_scored_by_arrival(
    stamp: int, model_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frames = numbered(20)
    write_camera(tmp_path / "bag", frames, [stamp] * 20, storage=StoragePlugin.SQLITE3)
    with caplog.at_level(logging.WARNING):
        scored = score_bag_to_folder(tmp_path / "bag" / "bag.db3", model_folder, TASK, tmp_path)
    np.testing.assert_allclose(rewards(scored), expected(model_folder, frames), rtol=1e-4)
    assert "/cam/image_raw stamps" in caplog.text


def test_a_disk_that_is_full_is_not_told_as_a_damaged_bag(model_folder: Path, tmp_path: Path) -> None:
    write_camera(tmp_path / "bag", numbered(40, 128, 256))
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, usual[1]))  # as a full disk: a write fails half way
    try:
        with pytest.raises(UserError, match=r"can't write to .*bag_scored"):
            score_bag_to_folder(tmp_path / "bag", model_folder, TASK, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert not (tmp_path / "bag_scored").exists()
