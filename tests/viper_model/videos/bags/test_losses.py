"""What of a recording is lost or damaged is told, and the rest is read."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from pathlib import Path

import cv2
import pytest
from rosbags.rosbag2 import StoragePlugin

from tests.viper_model.videos.bags.test_bag import FRAMES, change, edit, packed_file, renamed_file, split_files
from tests.viper_model.videos.writers import numbered, numbers, write_bag, write_camera
from viper_model.errors import ModelError
from viper_model.videos.dataset import read_recording
from viper_model.videos.find import find_videos
from viper_model.videos.survey import survey


@pytest.mark.parametrize(
    ("storage", "zeros"), [(StoragePlugin.MCAP, 0), (StoragePlugin.MCAP, 5000), (StoragePlugin.SQLITE3, 0)]
)
def test_what_a_recorder_wrote_before_it_was_killed_is_read_and_the_loss_told(
    storage: StoragePlugin, zeros: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frames = numbered(FRAMES, 128, 256)  # a chunk holds ten
    write_camera(tmp_path / "bag", frames, storage=storage)
    (tmp_path / "bag" / "metadata.yaml").unlink()
    (file,) = (tmp_path / "bag").iterdir()
    content = file.read_bytes()
    file.write_bytes(content[: int(0.8 * len(content))] + bytes(zeros))
    with caplog.at_level(logging.WARNING):
        seen = numbers(read_recording(tmp_path / "bag").frames)
    assert seen == list(range(len(seen)))
    assert FRAMES // 2 < len(seen) < FRAMES
    assert f"{file.name} breaks off" in caplog.text


def test_a_file_that_was_not_copied_with_the_others_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_camera(tmp_path / "bag", numbered(FRAMES))
    edit(tmp_path / "bag" / "metadata.yaml", b"- bag.mcap\n", b"- bag.mcap\n  - bag_1.mcap\n")
    with caplog.at_level(logging.WARNING):
        assert len(read_recording(tmp_path / "bag").frames) == FRAMES
    assert "bag_1.mcap is missing, which metadata.yaml lists" in caplog.text


def test_a_file_that_is_not_listed_is_told_but_a_copy_of_a_listed_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    split_files(tmp_path / "bag")
    (tmp_path / "bag" / "metadata.yaml").write_text(
        f"rosbag2_bagfile_information: {{relative_file_paths: [{', '.join(f'bag_{part}.mcap' for part in range(11))}]}}"
    )
    (tmp_path / "bag" / "bag_0.mcap.zstd").write_bytes(b"packed")
    with caplog.at_level(logging.WARNING):
        assert len(read_recording(tmp_path / "bag").frames) == FRAMES - 3
    assert "bag_11.mcap is not listed in metadata.yaml: left out" in caplog.text
    assert "zstd" not in caplog.text


@pytest.mark.parametrize("content", [b"", b"\x89MCAP0\r\n"])
def test_a_last_file_that_holds_nothing_yet_leaves_the_others(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A recorder that splits its files was killed when it had just begun one."""
    split_files(tmp_path / "bag")
    (tmp_path / "bag" / "bag_12.mcap").write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert numbers(read_recording(tmp_path / "bag").frames) == list(range(FRAMES))
    assert "bag_12.mcap " in caplog.text
    assert "the other files are used" in caplog.text


@pytest.mark.parametrize("make", [renamed_file, packed_file])
def test_a_file_under_another_name_than_the_listed_one_is_not_missing(
    make: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(tmp_path / "bag")
    (tmp_path / "bag" / "metadata.yaml").write_text("rosbag2_bagfile_information: {relative_file_paths: [bag.mcap]}")
    with caplog.at_level(logging.WARNING):
        assert len(read_recording(tmp_path / "bag").frames) == FRAMES
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("old.bag", b"#ROSBAG V2.0\n", "a bag of ROS 1: `rosbags-convert --src "),
        ("video.mcap", b"", "video.mcap is empty"),
        ("video.mcap", b"\x89MCAP0\r\n", "before its first message"),
        ("video.mcap", b"something else", "is not MCAP"),
        ("video.db3", b"something else" * 100, "file is not a database"),
    ],
)
def test_a_file_that_holds_nothing_is_told_in_one_line(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "push").mkdir()
    (tmp_path / "push" / name).write_bytes(content)
    (why,) = find_videos(tmp_path, None).broken.values()
    assert said in why
    assert "\n" not in why
    assert said in survey(tmp_path).problems[f"push/{name}"]


def jpeg_bag(path: Path, damaged: Collection[int]) -> None:
    """JPEG pictures alone, some of which break off."""
    jpeg = [cv2.imencode(".jpg", frame)[1].tobytes() for frame in numbered(FRAMES)]
    spoilt = [data[: len(data) // 2] if index in damaged else data for index, data in enumerate(jpeg)]
    write_camera(path, numbered(FRAMES), storage=StoragePlugin.SQLITE3, more={"/front/compressed": ("jpeg", spoilt)})
    change(path / f"{path.name}.db3", "DELETE FROM messages WHERE topic_id = 1", "DELETE FROM topics WHERE id = 1")


def test_a_few_damaged_pictures_are_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    jpeg_bag(tmp_path / "few", damaged=[0, 7, 35])
    with caplog.at_level(logging.WARNING):
        assert numbers(read_recording(tmp_path / "few").frames) == [n for n in range(FRAMES) if n not in (0, 7, 35)]
    told = "3 pictures can't be read: left out, the first since /front/compressed: a compressed image of format 'jpeg'"
    assert told in caplog.text
    jpeg_bag(tmp_path / "many", damaged=[0, 7, 9, 35])
    with pytest.raises(ModelError, match="/front/compressed: a compressed image of format 'jpeg' is damaged"):
        read_recording(tmp_path / "many")


def test_messages_of_topics_that_a_database_does_not_name_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_camera(tmp_path / "bag", numbered(FRAMES), storage=StoragePlugin.SQLITE3, metadata=True)
    change(tmp_path / "bag" / "bag.db3", "DELETE FROM topics WHERE name = '/cam/metadata'")
    with caplog.at_level(logging.WARNING):
        assert len(read_recording(tmp_path / "bag").frames) == FRAMES
    assert "bag.db3 has messages of topics that it doesn't name: left out" in caplog.text
    change(tmp_path / "bag" / "bag.db3", "DELETE FROM topics")
    with pytest.raises(ModelError, match=r"but nothing; bag\.db3 has messages of topics that it doesn't name"):
        read_recording(tmp_path / "bag")


def test_pictures_before_the_first_episode_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_bag(tmp_path / "bag", numbered(30), 10, firsts=[6])
    with caplog.at_level(logging.WARNING):
        assert numbers(read_recording(tmp_path / "bag").frames) == list(range(6, 30))
    assert "/camera/image_raw has 6 pictures that belong to no step of an episode: left out" in caplog.text
