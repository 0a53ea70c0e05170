"""Each format, from files that its own writer made, to the frames that a model sees."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import CompressionMode, StoragePlugin

from tests.viper_model.videos.writers import (
    CAMERA,
    numbered,
    numbers,
    write_bag,
    write_lerobot_2,
    write_lerobot_3,
    write_mp4,
    write_npz,
)
from viper_model.errors import ModelError
from viper_model.videos.dataset import EXPERT, load_dataset, read_recording
from viper_model.videos.find import FORMATS, find_videos, format_of
from viper_model.videos.survey import survey

LENGTHS = (20, 23, 17, 31)


def mp4_videos(root: Path) -> None:
    for index, length in enumerate(LENGTHS):
        write_mp4(root / "push" / f"{index}.mp4", numbered(length, first=index), 25)


def public_npz_videos(root: Path) -> None:
    for index, length in enumerate(LENGTHS):
        split = "test" if index == 1 else "train"
        write_npz(root / "push" / split / f"{index}.npz", numbered(length, 64, 64, first=index), key="arr_0")


def sqlite_bags(root: Path) -> None:
    for index, length in enumerate(LENGTHS):
        write_bag(
            root / "push" / EXPERT / f"{index}",
            numbered(length, first=index),
            25,
            storage=StoragePlugin.SQLITE3,
            compression=CompressionMode.MESSAGE if index else CompressionMode.FILE,
            padding=5,
        )


def mcap_bags(root: Path) -> None:
    for index, length in enumerate(LENGTHS):
        topics = ("/camera/image_raw/compressed", "/camera/image_raw")[: 1 + index % 2]
        write_bag(root / "push" / f"{index}", numbered(length, first=index), 25, topics=topics)


def bag_of_episodes(root: Path) -> None:
    frames = np.concatenate([numbered(length, first=index) for index, length in enumerate(LENGTHS)])
    firsts = (np.cumsum(LENGTHS) - LENGTHS).tolist()
    write_bag(root, frames, 25, firsts=firsts)


def lerobot_episodes() -> list[tuple[str, np.ndarray]]:
    return [("Push!", numbered(length, first=index)) for index, length in enumerate(LENGTHS)]


def lerobot_2(root: Path) -> None:
    write_lerobot_2(root, lerobot_episodes(), 25)


def lerobot_3(root: Path) -> None:
    write_lerobot_3(root, lerobot_episodes(), 25)


@pytest.mark.parametrize(
    "write", [mp4_videos, public_npz_videos, sqlite_bags, mcap_bags, bag_of_episodes, lerobot_2, lerobot_3]
)
def test_every_frame_of_every_video_comes_in_order(write: Callable[[Path], None], tmp_path: Path) -> None:
    root = tmp_path / "push"
    write(root)
    dataset = load_dataset(root, 32)
    assert dataset.tasks == ("push",)
    assert dataset.skipped == {}
    assert len(dataset.select(EXPERT)) == 1
    videos = sorted(dataset.videos, key=lambda video: numbers(video.frames)[0])
    assert [numbers(video.frames) for video in videos] == [
        list(range(index, index + length)) for index, length in enumerate(LENGTHS)
    ]
    assert all(video.frames.shape[1:] == (32, 32, 3) for video in videos)
    if write is public_npz_videos:
        assert videos[1].held_out
    found = find_videos(root, None)
    facts = [FORMATS[video.source.format].look(video.source) for video in found.videos]
    assert sorted(each.frames for each in facts if each.frames) == sorted(LENGTHS)
    for each in facts:
        assert (each.height, each.width) == ((64, 64) if write is public_npz_videos else (48, 64))
        assert each.rate is None if write is public_npz_videos else each.rate == pytest.approx(25, rel=0.01)


def test_a_lerobot_dataset_of_several_tasks_names_them_by_its_sentences(tmp_path: Path) -> None:
    episodes = [(("Pick up the cube.", "Put it/down")[index % 2], numbered(20)) for index in range(6)]
    write_lerobot_3(tmp_path / "2", episodes, 10)
    write_lerobot_2(tmp_path / "3", episodes, 10)
    assert load_dataset(tmp_path / "2", 16).tasks == ("pick_up_the_cube", "put_it_down")
    dataset = load_dataset(tmp_path, 16, ["put_it_down"])  # both, as one data folder
    assert len(dataset.videos) == 6
    assert dataset.tasks == ("put_it_down",)


@pytest.mark.parametrize("experts", ["", EXPERT])
def test_lerobot_datasets_of_a_task_s_behaviours_are_of_its_folder_s_task(experts: str, tmp_path: Path) -> None:
    write_lerobot_2(tmp_path / "push" / experts / "a", [("Push the cube.", numbered(16))] * 2, 10)
    write_lerobot_2(tmp_path / "push" / "background" / "b", [("Move around.", numbered(16))] * 2, 10)
    for root in (tmp_path, tmp_path / "push"):
        found = find_videos(root, None).videos
        assert {(video.task, video.behaviour) for video in found} == {("push", EXPERT), ("push", "background")}


def test_one_of_several_cameras_is_chosen_in_videos_yaml(tmp_path: Path) -> None:
    bags, lerobot = tmp_path / "bags", tmp_path / "lerobot"
    for index in range(2):
        write_bag(bags / "push" / str(index), numbered(20), 10, topics=("/left/image", "/right/compressed"))
    write_lerobot_2(lerobot, [("push", numbered(20))] * 2, 10, cameras=("observation.images.top", CAMERA))
    for root, choices in ((bags, "/left/image, /right/compressed"), (lerobot, f"{CAMERA}, observation.images.top")):
        with pytest.raises(ModelError, match=f"set `camera` in videos.yaml to one of {choices}"):
            load_dataset(root, 16)
        decoded: set[Path] = set()
        for camera in choices.split(", "):
            (root / "videos.yaml").write_text(f"camera: {camera}")
            of_camera = {video.frames_file for video in load_dataset(root, 16).videos}
            assert len(of_camera) == 2
            assert not of_camera & decoded
            decoded |= of_camera
        (root / "videos.yaml").write_text("camera: /nowhere")
        with pytest.raises(ModelError, match="no camera '/nowhere'"):
            load_dataset(root, 16)


def test_depth_beside_a_camera_of_a_lerobot_dataset_is_no_second_camera(tmp_path: Path) -> None:
    write_lerobot_2(tmp_path, [("push", numbered(20))] * 2, 10, cameras=("observation.images.depth", CAMERA))
    info = tmp_path / "meta" / "info.json"
    document = json.loads(info.read_text())
    document["features"]["observation.images.depth"]["info"] = {"video.is_depth_map": True}
    info.write_text(json.dumps(document))
    for camera, chosen in ((None, CAMERA), ("observation.images.depth", "observation.images.depth")):
        assert all(chosen in str(video.source.files[0]) for video in find_videos(tmp_path, camera).videos)


@pytest.mark.parametrize(
    ("matrix", "displayed"),
    [
        ((0, 1, -1, 0), lambda stored: np.rot90(stored, -1)),
        ((0, -1, 1, 0), lambda stored: np.rot90(stored)),
        ((-1, 0, 0, -1), lambda stored: np.rot90(stored, 2)),
        ((-1, 0, 0, 1), np.fliplr),
        ((0, 1, 1, 0), lambda stored: stored.swapaxes(0, 1)),
    ],
    ids=["clockwise", "counter-clockwise", "upside down", "mirrored", "mirrored and turned"],
)
def test_a_telephones_video_stands_upright(
    matrix: tuple[int, ...], displayed: Callable[[np.ndarray], np.ndarray], tmp_path: Path
) -> None:
    """Telephones store frames lying, or a mirror image, and say in the track's header how to display them."""
    levels = np.array([[30, 90], [150, 210]], np.uint8)
    stored = levels.repeat(32, 0).repeat(48, 1)[..., None].repeat(3, -1)
    path = tmp_path / "push" / "0.mp4"
    write_mp4(path, np.broadcast_to(stored, (20, *stored.shape)), 30)
    content = bytearray(path.read_bytes())
    header = content.index(b"tkhd") + 4 + 40  # ISO/IEC 14496-12: version 0 has 40 bytes before the matrix
    one = 1 << 16
    xx, xy, yx, yy = (one * number for number in matrix)
    for index, value in enumerate((xx, xy, 0, yx, yy, 0, 0, 0, 1 << 30)):
        content[header + 4 * index : header + 4 * index + 4] = value.to_bytes(4, "big", signed=True)
    path.write_bytes(content)
    frame = read_recording(path).frames[0]
    expected = displayed(stored)
    assert frame.shape == expected.shape
    assert np.median(np.abs(frame.astype(int) - expected)) < 8


def test_the_newest_codec_of_lerobot_can_be_decoded(tmp_path: Path) -> None:
    # Not libsvtav1: where root runs it, it gives the whole process real-time priority, and later tests starve.
    write_mp4(tmp_path / "video.mp4", numbered(20, 64, 64), 30, codec="libaom-av1")
    assert numbers(read_recording(tmp_path / "video.mp4").frames) == list(range(20))


def test_a_video_of_a_recording_of_several_is_read_by_number(tmp_path: Path) -> None:
    write_bag(tmp_path / "bag", numbered(40), 10, firsts=[0, 18])
    assert numbers(read_recording(tmp_path / "bag", episode=1).frames) == list(range(18, 40))
    for episode in (None, 2):
        with pytest.raises(ModelError, match=r"bag: it holds 2 videos"):
            read_recording(tmp_path / "bag", episode=episode)


@pytest.mark.parametrize("dtype", [bool, np.float32])
def test_a_chunk_of_replay_is_a_video_an_episode(dtype: type, tmp_path: Path) -> None:
    """Chunks begin and end anywhere: the first frame need not be an episode's first."""
    for index in range(2):
        is_first = np.isin(np.arange(80), [17, 40])
        path = tmp_path / "walker" / f"{index}.npz"
        reward = np.arange(80.0)
        write_npz(path, numbered(80), is_first=is_first.astype(dtype), task_reward=reward)
    dataset = load_dataset(tmp_path, 32)
    assert [video.name for video in dataset.videos[:3]] == [f"walker/0.npz/episode_{n:05}" for n in range(3)]
    parts = [range(17), range(17, 40), range(40, 80)]
    assert [numbers(video.frames) for video in dataset.videos[:3]] == [[n % 44 for n in part] for part in parts]
    for video, part in zip(dataset.videos, parts, strict=False):
        assert video.task_reward is not None
        assert video.task_reward.tolist() == list(part)
    assert sum(len(group.videos) for group in survey(tmp_path).groups) == 6
    assert numbers(read_recording(path, episode=1).frames) == list(range(17, 40))
    write_npz(path, numbered(80), is_first=np.arange(80) == 0)
    assert len(read_recording(path).frames) == 80


def test_episodes_of_an_array_may_be_told_by_their_ends_alone(tmp_path: Path) -> None:
    path = tmp_path / "replay.npz"
    write_npz(path, numbered(40), is_last=np.isin(np.arange(40), [16, 30, 39]))
    parts = [numbers(read_recording(path, episode=episode).frames) for episode in range(3)]
    assert parts == [list(range(17)), list(range(17, 31)), list(range(31, 40))]
    with pytest.raises(ModelError, match="holds 3 videos: there is no episode 3; there are 0 to 2"):
        read_recording(path, episode=3)


def test_many_episodes_with_gaps_are_named_in_few_words(tmp_path: Path) -> None:
    write_lerobot_2(tmp_path, [("push", numbered(16, 16, 16))] * 16, 10)
    episodes = tmp_path / "meta" / "episodes.jsonl"
    kept = [line for number, line in enumerate(episodes.read_text().splitlines()) if number not in range(1, 14, 2)]
    episodes.write_text("\n".join(kept))
    with pytest.raises(ModelError, match=r"it holds 9 videos: say which, episode:=0, 2, 4, 6, 8, …, 14 to 15$"):
        read_recording(tmp_path)
    assert len(read_recording(tmp_path, episode=14).frames) == 16


@pytest.mark.parametrize("episode", [None, 1])
def test_an_array_in_column_major_order_holds_the_same_video(episode: int | None, tmp_path: Path) -> None:
    """As MATLAB, and NumPy after a transposition, keep arrays."""
    frames = np.random.default_rng(0).integers(0, 256, (30, 5, 7, 3), np.uint8)
    episodes = {} if episode is None else {"is_first": np.arange(30) == 12}
    write_npz(tmp_path / "video.npz", np.asfortranarray(frames), **episodes)
    read = read_recording(tmp_path / "video.npz", episode=episode).frames
    np.testing.assert_array_equal(read, frames[0 if episode is None else 12 :])


def test_a_video_larger_than_memory_may_be_is_read_in_chunks(tmp_path: Path) -> None:
    write_npz(tmp_path / "video.npz", np.zeros((3000, 64, 96, 3), np.uint8))
    source = FORMATS["npz"].find(tmp_path / "video.npz", None)[0]
    chunks = list(FORMATS["npz"].read(source))
    assert len(chunks) > 2
    assert sum(len(chunk.frames) for chunk in chunks) == 3000
    assert max(chunk.frames.nbytes for chunk in chunks) <= 16 * 2**20


def test_what_is_no_video_is_left_alone(tmp_path: Path) -> None:
    for name in ("notes.txt", "videos.yaml", ".hidden.mp4"):
        (tmp_path / name).write_text("")
    (tmp_path / ".viper_cache" / "old").mkdir(parents=True)
    found = find_videos(tmp_path, None)
    assert found.videos == ()
    assert found.broken == {}
    assert format_of(tmp_path) is None
