"""What goes wrong with videos: told by name in one line, while the job goes on with the others."""

from __future__ import annotations

import json
import logging
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from rosbags.rosbag2 import StoragePlugin

from tests.viper_model.videos.writers import CAMERA, numbered, write_bag, write_lerobot_2, write_lerobot_3, write_mp4
from viper_model.errors import ModelError
from viper_model.videos.dataset import load_dataset, read_recording
from viper_model.videos.survey import survey


def cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def empty_mp4(folder: Path) -> None:
    (folder / "bad.mp4").touch()


def half_written_mp4(folder: Path) -> None:
    write_mp4(folder / "bad.mp4", numbered(40), 25)
    cut(folder / "bad.mp4", 0.5)


def interrupted_mp4(folder: Path) -> None:
    """Its index, at the front, announces more frames than there are."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 64, 64, 3), np.uint8)
    write_mp4(folder / "whole.mp4", noise, 25)
    content = (folder / "whole.mp4").read_bytes()
    (folder / "whole.mp4").unlink()
    begin = content.index(b"mdat") - 4
    end = begin + int.from_bytes(content[begin : begin + 4], "big")
    lost = bytearray(content)
    lost[begin + (end - begin) // 4 : end] = bytes(end - begin - (end - begin) // 4)
    (folder / "bad.mp4").write_bytes(lost)


def short_mp4(folder: Path) -> None:
    write_mp4(folder / "bad.mp4", numbered(7), 25)


def bag_without_images(folder: Path) -> None:
    write_bag(folder / "bad", numbered(20), 25, topics=(), firsts=None)


def bag_without_messages(folder: Path) -> None:
    write_bag(folder / "bad", numbered(0), 25)


def cut_mcap(folder: Path) -> None:
    write_bag(folder / "bad", numbered(20), 25)
    cut(folder / "bad" / "bad.mcap", 0.7)


def cut_sqlite(folder: Path) -> None:
    write_bag(folder / "bad", numbered(20), 25, storage=StoragePlugin.SQLITE3)
    cut(folder / "bad" / "bad.db3", 0.7)


def bag_that_is_none(folder: Path) -> None:
    (folder / "bad").mkdir()
    (folder / "bad" / "metadata.yaml").write_text("rosbag2_bagfile_information: 3")


def bag_of_damaged_pictures(folder: Path) -> None:
    write_bag(folder / "bad", numbered(20), 25, storage=StoragePlugin.SQLITE3, topics=("/camera/compressed",))
    path = folder / "bad" / "bad.db3"
    path.write_bytes(path.read_bytes().replace(b"\xff\xd8\xff\xe0", b"no\xff\xe0"))


BAD: dict[Callable[[Path], None], str] = {
    empty_mp4: "empty",
    half_written_mp4: "half-written",
    interrupted_mp4: "bad.mp4",
    short_mp4: "7 frames",
    bag_without_images: "no images",
    bag_without_messages: "no image",
    cut_mcap: "before its first message",
    cut_sqlite: "are needed",
    bag_that_is_none: "cannot be read as a bag",
    bag_of_damaged_pictures: "/camera/compressed: a compressed image of format",
}


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_a_broken_video_is_skipped_and_named(
    make: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "push" / "expert"
    for index in range(3):
        write_mp4(folder / f"{index}.mp4", numbered(20), 25)
    make(folder)
    with caplog.at_level(logging.WARNING):
        dataset = load_dataset(tmp_path, 16)
    assert len(dataset.videos) == 3
    ((name, why),) = dataset.skipped.items()
    assert name.startswith("push/expert/bad")
    assert BAD[make] in why
    assert "\n" not in why
    assert f"skipped {name}: {why}" in caplog.text
    assert "1 skipped" in caplog.text
    # Without decoding, damage in the middle of a file stays unseen.
    seen = survey(tmp_path)
    assert sum(len(group.videos) for group in seen.groups) == 3 + (make is interrupted_mp4)


def test_damage_to_one_episode_of_a_lerobot_dataset_spares_the_others(tmp_path: Path) -> None:
    write_lerobot_2(tmp_path, [("push", numbered(20))] * 4, 10)
    (tmp_path / "videos" / "chunk-000" / CAMERA / "episode_000001.mp4").unlink()
    cut(tmp_path / "videos" / "chunk-000" / CAMERA / "episode_000002.mp4", 0.5)
    dataset = load_dataset(tmp_path, 16)
    assert set(dataset.skipped) == {"episode_000001", "episode_000002"}
    assert len(dataset.videos) == 2


@pytest.mark.parametrize("damage", ["no info", "no json", "new version", "no episodes", "no cameras", "no parquet"])
def test_a_lerobot_dataset_that_is_none_is_told_in_one_line(damage: str, tmp_path: Path) -> None:
    root = tmp_path / "set"
    write_lerobot_3(root, [("push", numbered(20))] * 4, 10)
    info = root / "meta" / "info.json"
    document = json.loads(info.read_text())
    if damage == "no info":
        info.write_text("{}")
    elif damage == "no json":
        cut(info, 0.5)
    elif damage == "new version":
        info.write_text(json.dumps({**document, "codebase_version": "v4.0"}))
    elif damage == "no episodes":
        shutil.rmtree(root / "meta" / "episodes")
    elif damage == "no cameras":
        info.write_text(json.dumps({**document, "features": {}}))
    else:
        cut(root / "meta" / "episodes" / "chunk-000" / "file-000.parquet", 0.5)
    with pytest.raises(ModelError, match="skipped set: ") as raised:
        load_dataset(root, 16)
    assert "\n" not in str(raised.value)
    assert not survey(root).groups


@pytest.mark.parametrize(
    ("change", "why"), [({"fps": 0}, "fps is 0"), ({"fps": "nan"}, "fps is nan"), ({"chunks_size": 0}, "by zero")]
)
def test_a_lerobot_datasets_numbers_that_cannot_be_are_told(change: dict, why: str, tmp_path: Path) -> None:
    write_lerobot_2(tmp_path, [("push", numbered(20))] * 4, 10)
    info = tmp_path / "meta" / "info.json"
    info.write_text(json.dumps({**json.loads(info.read_text()), **change}))
    (told,) = survey(tmp_path).problems.values()
    assert "its meta/ folder is not that of a LeRobot dataset" in told
    assert why in told


@pytest.mark.parametrize("begin", [None, float("nan")])
def test_an_episode_that_begins_nowhere_is_told(begin: float | None, tmp_path: Path) -> None:
    write_lerobot_3(tmp_path, [("push", numbered(20))] * 4, 10)
    file = tmp_path / "meta" / "episodes" / "chunk-000" / "file-000.parquet"
    rows = pyarrow.parquet.read_table(file).to_pylist()
    rows[2][f"videos/{CAMERA}/from_timestamp"] = begin
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    (told,) = survey(tmp_path).problems.values()
    assert "its meta/ folder is not that of a LeRobot dataset" in told


def test_what_a_disk_does_not_give_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    """Or what belongs to another user, as what a container recorded does."""
    for index in range(3):
        write_mp4(tmp_path / f"{index}.mp4", numbered(20), 25)
    (tmp_path / "bag").mkdir()
    unread = ("3.mp4", "4.npz", "5.hdf5", "bag/metadata.yaml")
    for name in unread:
        (tmp_path / name).symlink_to("/proc/self/mem")  # Its first bytes can't be read, by nobody.
    seen = survey(tmp_path)
    assert seen.problems == dict.fromkeys([*unread[:3], "bag"], "it cannot be read: Input/output error")
    assert [len(group.videos) for group in seen.groups] == [3]
    dataset = load_dataset(tmp_path, 16)
    assert len(dataset.videos) == 3
    assert dataset.skipped == seen.problems
    with pytest.raises(ModelError, match="bag: it cannot be read: Input/output error"):
        read_recording(tmp_path / "bag")


def test_videos_shorter_than_the_models_context_are_skipped(tmp_path: Path) -> None:
    for index, length in enumerate((20, 40, 40)):
        write_mp4(tmp_path / "push" / f"{index}.mp4", numbered(length), 25)
    assert load_dataset(tmp_path, 16, shortest=32).skipped == {"push/0.mp4": "it has 20 frames; 32 are needed"}


def test_mixed_sizes_are_fine_but_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for index, width in enumerate((64, 64, 96)):
        write_mp4(tmp_path / "push" / f"{index}.mp4", numbered(20, 48, width), 25)
    with caplog.at_level(logging.WARNING):
        assert len(load_dataset(tmp_path, 16).videos) == 3
    assert "videos of several sizes: 2 of 64×48, 1 of 96×48" in caplog.text


@pytest.mark.parametrize(
    ("rates", "chosen", "told"), [((10, 30), 0, True), ((29.97, 30), 0, False), ((10, 30), 10, False)]
)
def test_videos_of_several_rates_are_told_unless_one_is_chosen(
    rates: tuple[float, float], chosen: int, told: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for index, rate in enumerate((*rates, rates[1])):
        write_mp4(tmp_path / "push" / f"{index}.mp4", numbered(60), rate)
    if chosen:
        (tmp_path / "videos.yaml").write_text(f"rate: {chosen}")
    said = f"its videos have {rates[0]} to {rates[1]} frames a second, so the same motion is faster in some"
    with caplog.at_level(logging.WARNING):
        assert len(load_dataset(tmp_path, 16).videos) == 3
    assert (said in caplog.text) == told
    assert any(problem.startswith(said) for problem in survey(tmp_path).problems.values()) == told


def test_masks_of_another_size_and_task_are_told(tmp_path: Path) -> None:
    for index, width in enumerate((64, 64, 96)):
        write_mp4(tmp_path / "push" / f"{index}.mp4", numbered(20, 48, width), 25)
    cv2.imwrite(str(tmp_path / "mask.png"), np.full((48, 64), 255, np.uint8))
    (tmp_path / "videos.yaml").write_text("masks: {push: mask.png}")
    why = load_dataset(tmp_path, 16).skipped["push/2.mp4"]
    assert "the mask is 64×48 pixels and the video 96×48" in why
    assert survey(tmp_path).problems == {"push/2.mp4": why}
    cv2.imwrite(str(tmp_path / "labels.png"), np.eye(48, 64, dtype=np.uint8))
    (tmp_path / "videos.yaml").write_text("masks: {push: labels.png}")
    with pytest.raises(ModelError, match=r"labels\.png, the mask of push, is dark everywhere"):
        load_dataset(tmp_path, 16)
    (tmp_path / "videos.yaml").write_text("masks: {pusch: mask.png}")
    with pytest.raises(ModelError, match="a mask for 'pusch'"):
        load_dataset(tmp_path, 16)
    assert "pusch" in survey(tmp_path).problems["videos.yaml"]


def test_a_task_without_videos_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    for task, videos in (("push", 3), ("pull", 1)):
        for index in range(videos):
            write_mp4(tmp_path / task / f"{index}.mp4", numbered(20), 25)
    with pytest.raises(ModelError, match=r"two expert videos or more of 'fly'.*: it has videos of pull, push"):
        load_dataset(tmp_path, 16, ["fly"])
    with pytest.raises(ModelError, match="'pull'"):
        load_dataset(tmp_path, 16)
    assert survey(tmp_path).problems["pull"].startswith("1 usable expert videos")
    assert load_dataset(tmp_path, 16, ["push"]).tasks == ("push",)


def test_a_git_lfs_pointer_is_told_for_what_it_is(tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
    write_lerobot_2(tmp_path / "set", [("push", numbered(20))] * 4, 10)
    (tmp_path / "set" / "videos" / "chunk-000" / CAMERA / "episode_000001.mp4").write_bytes(pointer)
    write_lerobot_3(tmp_path / "other", [("push", numbered(20))] * 4, 10)
    (tmp_path / "other" / "meta" / "episodes" / "chunk-000" / "file-000.parquet").write_bytes(pointer)
    write_bag(tmp_path / "bag", numbered(20), 10)
    (tmp_path / "bag" / "bag.mcap").write_bytes(pointer)
    for name in ("0.mp4", "1.npz"):
        (tmp_path / name).write_bytes(pointer)
    skipped = load_dataset(tmp_path, 16).skipped
    assert skipped.keys() == {"set/episode_000001", "other", "bag", "0.mp4", "1.npz"}
    assert all("is a Git LFS pointer" in why and "`git lfs pull`" in why for why in skipped.values())
    assert survey(tmp_path).problems == skipped


@pytest.mark.parametrize("bad", ['{"episode_index": 2', '{"episode_index": 2, "length": 20}', "[]", "null"])
def test_a_bad_line_of_a_lerobot_dataset_is_told_by_its_number(bad: str, tmp_path: Path) -> None:
    write_lerobot_2(tmp_path, [("push", numbered(20))] * 4, 10)
    file = tmp_path / "meta" / "episodes.jsonl"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:2], bad, *lines[3:]]))
    with pytest.raises(ModelError, match=r"meta/episodes\.jsonl, line 3 is not an episode") as raised:
        load_dataset(tmp_path, 16)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("arrays", "why"),
    [
        ({"images": numbered(20)}, "no array `image`; its arrays: images"),
        ({"arr_0": numbered(20), "arr_1": numbered(20)}, "has several videos: save each in a file of its own"),
        ({"image": numbered(20), "is_first": np.zeros(19, bool)}, "`is_first` is not one finite number a frame"),
    ],
)
def test_arrays_that_are_no_video_are_told(arrays: dict[str, np.ndarray], why: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ModelError, match=rf"bad\.npz.*{why}"):
        read_recording(tmp_path / "bad.npz")


def test_an_array_of_actions_behind_that_of_frames_is_no_second_video(tmp_path: Path) -> None:
    np.savez(tmp_path / "video.npz", numbered(20), np.zeros((20, 7)))
    assert len(read_recording(tmp_path / "video.npz").frames) == 20


def test_an_archive_of_something_else_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.npz", "w") as archive:
        archive.writestr("image", b"pixels")
    with pytest.raises(ModelError, match="no array `image`; its arrays: none"):
        read_recording(tmp_path / "bad.npz")
