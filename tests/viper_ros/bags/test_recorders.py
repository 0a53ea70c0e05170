"""Bags of other people's recorders and cameras, scored."""

from __future__ import annotations

import logging
import resource
import struct
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin

from tests.viper_model.videos.bags.test_bag import change, humble_mcap, humble_sqlite, unknown_type_in_mcap
from tests.viper_model.videos.bags.test_losses import jpeg_bag
from tests.viper_model.videos.writers import METADATA, numbered, write_bag, write_camera
from tests.viper_ros.bags.test_bags import TASK, messages
from tests.viper_ros.conftest import random_frames
from viper_lab.errors import UserError
from viper_model.errors import ModelError
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
        VideoSettings().save(model_folder, ())
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


def test_a_damaged_picture_has_no_reward_and_the_next_one_takes_its_place(
    model_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where an episode begins with it: the video before is forgotten all the same."""
    frames = random_frames(40)
    write_bag(tmp_path / "bag", frames, 10, storage=StoragePlugin.SQLITE3, firsts=[0, 20])
    for stamp in (5, 20):
        time = struct.pack("<iI", 10**9 + stamp // 10, stamp % 10 * 10**8)
        change(
            tmp_path / "bag" / "bag.db3",
            f"UPDATE messages SET data = substr(data, 1, 2000) WHERE length(data) > 2000 "
            f"AND hex(substr(data, 5, 8)) = '{time.hex().upper()}'",
        )
    with caplog.at_level(logging.WARNING):
        scored = score_bag_to_folder(tmp_path / "bag", model_folder, TASK, tmp_path)
    whole = expected(model_folder, np.delete(frames[:20], 5, 0), frames[21:])
    np.testing.assert_allclose([r.log_likelihood for r in messages(scored, "/camera/reward")], whole, rtol=1e-4)
    assert "2 pictures can't be read: left out, the first since " in caplog.text


def test_a_camera_whose_pictures_are_all_damaged_is_refused_at_a_low_rate_too(
    model_folder: Path, tmp_path: Path
) -> None:
    """Of which so few are looked at that they are few of all."""
    jpeg_bag(tmp_path / "bag", damaged=range(36))
    VideoSettings(rate=0.5).save(model_folder, ())
    try:
        with pytest.raises(ModelError, match="/front/compressed: a compressed image of format 'jpeg' is damaged"):
            score_bag_to_folder(tmp_path / "bag", model_folder, TASK, tmp_path)
    finally:
        VideoSettings().save(model_folder, ())
    assert not (tmp_path / "bag_scored").exists()


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
