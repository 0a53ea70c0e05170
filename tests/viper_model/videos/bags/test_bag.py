"""Bags as recorders leave them: every frame is read, or one line says what really helps."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from backports import zstd
from rosbags.rosbag2 import CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from tests.viper_model.videos.writers import METADATA, numbered, numbers, write_bag, write_camera
from viper_model.errors import ModelError
from viper_model.videos.bags.bag import opened
from viper_model.videos.bags.storage import Topic
from viper_model.videos.dataset import load_dataset, read_recording
from viper_model.videos.find import find_videos, read
from viper_model.videos.rosbag import stamp_of
from viper_model.videos.survey import survey

FRAMES = 36
TIMES = [10**18 + index * 10**8 for index in range(FRAMES)]


def edit(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


def change(path: Path, *statements: str) -> None:
    database = sqlite3.connect(path)
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()


def humble_mcap(bag: Path) -> None:
    write_camera(bag, numbered(FRAMES), metadata=True)
    edit(bag / "metadata.yaml", b"type_description_hash:", b"custom:")


def humble_sqlite(bag: Path) -> None:
    write_camera(bag, numbered(FRAMES), storage=StoragePlugin.SQLITE3, metadata=True)
    change(bag / "bag.db3", "DROP TABLE message_definitions", "ALTER TABLE topics DROP COLUMN type_description_hash")


def foxy_sqlite(bag: Path) -> None:
    humble_sqlite(bag)
    change(bag / "bag.db3", "DROP TABLE schema", "ALTER TABLE topics DROP COLUMN offered_qos_profiles")


def unknown_type_in_mcap(bag: Path) -> None:
    write_camera(bag, numbered(FRAMES), metadata=True)
    schema = len(METADATA).to_bytes(4, "little") + METADATA.encode() + (7).to_bytes(4, "little")
    edit(bag / "bag.mcap", schema + b"ros2msg", schema + b"unknown")


def unknown_type_in_sqlite(bag: Path) -> None:
    write_camera(bag, numbered(FRAMES), storage=StoragePlugin.SQLITE3, metadata=True)
    blank = f"UPDATE message_definitions SET encoding='', encoded_message_definition='' WHERE topic_type='{METADATA}'"
    change(bag / "bag.db3", blank)


def another_hash(bag: Path) -> None:
    write_camera(bag, numbered(FRAMES), storage=StoragePlugin.SQLITE3)
    change(bag / "bag.db3", "UPDATE message_definitions SET type_description_hash='RIHS01_00'")


def no_storage_identifier(bag: Path) -> None:
    write_camera(bag, numbered(FRAMES))
    edit(bag / "metadata.yaml", b"storage_identifier: mcap", b"storage_identifier: ''")


def newer_version(bag: Path) -> None:
    write_camera(bag, numbered(FRAMES))
    edit(bag / "metadata.yaml", b"version: 9", b"version: 10")


def no_metadata(bag: Path) -> None:
    write_camera(bag, numbered(FRAMES))
    (bag / "metadata.yaml").unlink()


def empty_metadata(bag: Path) -> None:
    write_camera(bag, numbered(FRAMES), storage=StoragePlugin.SQLITE3)
    (bag / "metadata.yaml").write_text("")


def renamed_file(bag: Path) -> None:
    write_camera(bag, numbered(FRAMES))
    (bag / "bag.mcap").rename(bag / "good one.mcap")


def packed_messages(bag: Path) -> None:
    write_camera(bag, numbered(FRAMES), storage=StoragePlugin.SQLITE3, compression=CompressionMode.MESSAGE)
    (bag / "metadata.yaml").unlink()


def packed_file(bag: Path) -> None:
    write_camera(bag, numbered(FRAMES), compression=CompressionMode.FILE)
    (bag / "metadata.yaml").unlink()
    assert (bag / "bag.mcap.zstd").exists()


def packed_chunks(bag: Path) -> None:
    write_camera(bag, numbered(FRAMES), compression=CompressionMode.STORAGE)


def split_files(bag: Path) -> None:
    """Twelve files of three frames, as a recorder that was killed leaves them."""
    bag.mkdir()
    frames = numbered(FRAMES)
    for part in range(12):
        few = slice(3 * part, 3 * part + 3)
        write_camera(bag / "part", frames[few], received=TIMES[few])
        (bag / "part" / "part.mcap").rename(bag / f"bag_{part}.mcap")
        shutil.rmtree(bag / "part")


def out_of_order(bag: Path) -> None:
    """As `ros2 bag record --use-sim-time` writes them where the simulator's clock is behind for a moment."""
    write_camera(bag, numbered(FRAMES), TIMES, received=[10**18 + (index ^ 1) * 10**6 for index in range(FRAMES)])


@pytest.mark.parametrize(
    "make",
    [
        humble_mcap,
        humble_sqlite,
        foxy_sqlite,
        unknown_type_in_mcap,
        unknown_type_in_sqlite,
        another_hash,
        no_storage_identifier,
        newer_version,
        no_metadata,
        empty_metadata,
        renamed_file,
        packed_messages,
        packed_file,
        packed_chunks,
        split_files,
        out_of_order,
    ],
)
def test_every_frame_is_read(make: Callable[[Path], None], tmp_path: Path) -> None:
    bag = tmp_path / "bag"
    make(bag)
    assert numbers(read_recording(bag).frames) == list(range(FRAMES))


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_a_file_without_its_folder_is_a_video_and_several_are_several(storage: StoragePlugin, tmp_path: Path) -> None:
    ending = "mcap" if storage == StoragePlugin.MCAP else "db3"
    (tmp_path / "videos" / "push").mkdir(parents=True)
    for take in range(3):
        write_camera(tmp_path / "bag", numbered(20, first=take), storage=storage)
        (tmp_path / "bag" / f"bag.{ending}").rename(tmp_path / "videos" / "push" / f"take_{take}.{ending}")
        shutil.rmtree(tmp_path / "bag")
    found = find_videos(tmp_path / "videos", None)
    assert [(video.task, video.name) for video in found.videos] == [
        ("push", f"push/take_{n}.{ending}") for n in range(3)
    ]
    for take, video in enumerate(found.videos):
        assert numbers(read_recording(video.source.path).frames) == list(range(take, take + 20))


def test_a_recording_alone_that_is_too_short_is_told_by_its_name(tmp_path: Path) -> None:
    write_camera(tmp_path / "push", numbered(7))
    (said,) = survey(tmp_path / "push").problems.items()
    assert said[0] == "push"
    assert said[1].startswith("it has 7 frames; 16 are needed; 0 usable expert videos")


def test_files_come_in_the_order_that_is_listed(tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    frames = numbered(FRAMES)
    for name, few in (("z", slice(0, 18)), ("a", slice(18, FRAMES))):
        write_camera(tmp_path / name, frames[few], received=TIMES[few])
        (tmp_path / name / f"{name}.mcap").rename(tmp_path / "bag" / f"{name}.mcap")
    (tmp_path / "bag" / "metadata.yaml").write_text(
        "rosbag2_bagfile_information: {relative_file_paths: [z.mcap, a.mcap]}"
    )
    assert numbers(read_recording(tmp_path / "bag").frames) == list(range(FRAMES))


@pytest.mark.parametrize("knows", [0, 1])
def test_a_type_is_defined_by_whichever_file_of_a_recording_knows_it(knows: int, tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    for part in range(2):
        file = tmp_path / "bag" / f"bag_{part}.db3"
        write_bag(tmp_path / "part", numbered(20), 10, storage=StoragePlugin.SQLITE3, firsts=[0])
        (tmp_path / "part" / "part.db3").rename(file)
        shutil.rmtree(tmp_path / "part")
        if part == knows:
            continue
        change(file, "UPDATE message_definitions SET encoding='unknown', encoded_message_definition=''")
    assert [video.name for video in find_videos(tmp_path, None).videos] == ["bag/episode_00000"]


def test_an_episode_has_its_own_pictures_where_an_earlier_one_had_the_same_stamps(tmp_path: Path) -> None:
    """A simulator was reset between two recordings: the second goes on a minute later, with an earlier time."""
    (tmp_path / "bag").mkdir()
    for part, first in enumerate((0, 5)):
        file = tmp_path / "bag" / f"bag_{part}.db3"
        frames = numbered(20, first=20 * part)
        write_bag(tmp_path / "part", frames, 10, storage=StoragePlugin.SQLITE3, firsts=[first])
        (tmp_path / "part" / "part.db3").rename(file)
        shutil.rmtree(tmp_path / "part")
        change(file, f"UPDATE messages SET timestamp = timestamp + {60 * part} * 1000000000")
    episodes = [numbers(read_recording(tmp_path / "bag", episode=episode).frames) for episode in range(2)]
    assert episodes == [list(range(20)), list(range(25, 40))]


def test_an_episode_is_chosen_by_its_own_number_where_another_has_no_pictures(tmp_path: Path) -> None:
    write_bag(tmp_path / "bag", numbered(40), 10, firsts=[0, 12, 24], storage=StoragePlugin.SQLITE3)
    pictures = "SELECT messages.id FROM messages JOIN topics ON topics.id = topic_id WHERE type LIKE '%Image'"
    change(
        tmp_path / "bag" / "bag.db3",
        f"DELETE FROM messages WHERE id IN ({pictures} ORDER BY timestamp LIMIT 12 OFFSET 12)",
    )
    assert [video.source.part for video in find_videos(tmp_path / "bag", None).videos][1] == "episode_00002"
    assert numbers(read_recording(tmp_path / "bag", episode=2).frames) == list(range(24, 40))
    with pytest.raises(ModelError, match="there is no episode 1; there are 0, 2"):
        read_recording(tmp_path / "bag", episode=1)


RANGE_BEFORE_JAZZY = """std_msgs/Header header
uint8 ULTRASOUND=0
uint8 INFRARED=1
uint8 radiation_type
float32 field_of_view
float32 min_range
float32 max_range
float32 range
"""


def test_a_type_that_changed_between_releases_is_read_as_the_recording_defines_it(tmp_path: Path) -> None:
    """Jazzy gave sensor_msgs/Range a variance."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    name = "sensor_msgs/msg/Range"
    store.register(get_types_from_msg(RANGE_BEFORE_JAZZY, name))
    kinds = store.types
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        header = kinds["std_msgs/msg/Header"](kinds["builtin_interfaces/msg/Time"](1, 0), "sonar")
        data = store.serialize_cdr(kinds[name](header, 0, 0.5, 0.1, 4.0, 1.25), name)
        writer.write(writer.add_connection("/sonar", name, typestore=store), 10**9, data)
    with opened(tmp_path / "bag") as bag:
        ((topic, _, message),) = bag.messages(bag.topics)
        assert bag.deserialize(topic, message).range == 1.25


def test_files_that_are_not_all_called_after_their_folder_are_a_video_each(tmp_path: Path) -> None:
    for name in ("push_0", "other"):
        write_camera(tmp_path / name, numbered(20))
        (tmp_path / "push").mkdir(exist_ok=True)
        (tmp_path / name / f"{name}.mcap").rename(tmp_path / "push" / f"{name}.mcap")
        shutil.rmtree(tmp_path / name)
    assert [video.name for video in find_videos(tmp_path, None).videos] == ["push/other.mcap", "push/push_0.mcap"]


@pytest.mark.parametrize(("apart", "said"), [(10**9, "stamps whole seconds"), (2 * 10**8, "stamps different pictures")])
def test_pictures_that_are_stamped_alike_are_all_used(
    apart: int, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_camera(tmp_path / "bag", numbered(FRAMES), [time // apart * apart for time in TIMES])
    with caplog.at_level(logging.WARNING):
        assert numbers(read_recording(tmp_path / "bag").frames) == list(range(FRAMES))
    assert said in caplog.text
    assert "when they were received counts instead" in caplog.text


@pytest.mark.parametrize(("order", "byte"), [("<", 1), (">", 0)])
def test_stamps_are_read_in_either_order_of_bytes(order: str, byte: int) -> None:
    data = bytes([0, byte, 0, 0]) + struct.pack(f"{order}iI", 17, 5)
    assert stamp_of(Topic("/cam", "sensor_msgs/msg/Image"), data) == 17 * 10**9 + 5


def test_a_cameras_other_transports_are_no_second_camera(tmp_path: Path) -> None:
    frames = numbered(20)
    jpeg = [cv2.imencode(".jpg", frame[..., ::-1])[1].tobytes() for frame in frames]
    packed = [zstd.compress(frame.tobytes()) for frame in frames]
    more = {f"/cam/image_raw/{name}": ("zstd", packed) for name in ("zstd", "compressedDepth", "newest")}
    more["/cam/image_raw/compressed"] = ("jpeg", jpeg)
    write_camera(tmp_path / "bag", frames, more=more)
    assert numbers(read_recording(tmp_path / "bag").frames) == list(range(20))
    for camera in ("/cam/image_raw", "/cam/image_raw/compressed"):
        (chosen,) = find_videos(tmp_path / "bag", camera).videos
        assert [numbers(chunk.frames) for chunk in read(chosen.source)] == [list(range(20))]


def compressed_bag(path: Path, topics: Sequence[str], *, silent_raw: bool = False) -> None:
    """JPEG pictures on `topics`. silent_raw: beside them /cam/image_raw, on which nothing came."""
    frames = numbered(20)
    jpeg = [cv2.imencode(".jpg", frame[..., ::-1])[1].tobytes() for frame in frames]
    write_camera(path, frames, storage=StoragePlugin.SQLITE3, more=dict.fromkeys(topics, ("jpeg", jpeg)))
    change(path / f"{path.name}.db3", "DELETE FROM messages WHERE topic_id = 1")
    if not silent_raw:
        change(path / f"{path.name}.db3", "DELETE FROM topics WHERE id = 1")


def test_compressed_images_side_by_side_are_several_cameras(tmp_path: Path) -> None:
    compressed_bag(tmp_path / "bag", ["/cameras/front", "/cameras/wrist"])
    with pytest.raises(ModelError, match=r"several cameras: set `camera` in .* to one of /cameras/front, /cameras/wri"):
        read_recording(tmp_path / "bag")
    compressed_bag(tmp_path / "one", ["/cam/compressed", "/cam/theora"])
    assert numbers(read_recording(tmp_path / "one").frames) == list(range(20))


def test_where_nothing_came_on_the_raw_topic_the_compressed_one_is_read(tmp_path: Path) -> None:
    compressed_bag(tmp_path / "bag", ["/cam/image_raw/compressed"], silent_raw=True)
    assert numbers(read_recording(tmp_path / "bag").frames) == list(range(20))


def test_depth_and_silent_topics_beside_a_camera_are_no_second_camera(tmp_path: Path) -> None:
    frames = numbered(20)
    depth = [cv2.imencode(".png", np.full((48, 64), 900, np.uint16))[1].tobytes()] * 20
    write_camera(tmp_path / "bag", frames, more={"/cam/depth/compressed": ("16UC1; png compressed ", depth)})
    assert numbers(read_recording(tmp_path / "bag").frames) == list(range(20))
    write_camera(tmp_path / "sql", frames, storage=StoragePlugin.SQLITE3)
    change(
        tmp_path / "sql" / "sql.db3",
        "INSERT INTO topics SELECT 99, '/rear/image_raw', type, serialization_format, offered_qos_profiles, "
        "type_description_hash FROM topics LIMIT 1",
    )
    assert numbers(read_recording(tmp_path / "sql").frames) == list(range(20))
    jpeg = [cv2.imencode(".jpg", frame)[1].tobytes() for frame in frames]
    write_camera(tmp_path / "two", frames, more={"/rear/image_raw/compressed": ("jpeg", jpeg)})
    with pytest.raises(ModelError, match="several cameras"):
        read_recording(tmp_path / "two")


def test_what_a_score_makes_of_a_bag_beside_it_is_no_video(tmp_path: Path) -> None:
    for name in ("take", "take_scored", "file_scored", "lone_scored"):
        write_camera(tmp_path / "push" / name, numbered(20))
    shutil.copy(tmp_path / "push" / "take" / "take.mcap", tmp_path / "push" / "file.mcap")
    found = find_videos(tmp_path, None)
    assert [video.name for video in found.videos] == ["push/file.mcap", "push/lone_scored", "push/take"]


def test_a_simulator_that_was_reset_makes_two_videos_at_any_rate(tmp_path: Path) -> None:
    stamps = [2 * 10**9 + index % 40 * 10**8 for index in range(80)]
    for bag in range(2):
        write_camera(tmp_path / "push" / str(bag), numbered(80)[:, :24, :24], stamps)
    (tmp_path / "videos.yaml").write_text("rate: 5")
    dataset = load_dataset(tmp_path, 16)
    assert [video.name for video in dataset.videos] == [
        f"push/{bag}/episode_0000{part}" for bag in range(2) for part in range(2)
    ]
    every_second = [np.arange(0, 40, 2) % 44, np.arange(40, 80, 2) % 44]
    for video, expected in zip(dataset.videos, every_second * 2, strict=True):
        assert numbers(video.frames) == expected.tolist()
