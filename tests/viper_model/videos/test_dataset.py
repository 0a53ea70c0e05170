from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from viper_model.errors import ModelError
from viper_model.videos.dataset import EXPERT, load_dataset
from viper_model.videos.preparation import Crop, resize
from viper_model.videos.settings import VideoSettings
from viper_model.videos.video_io import write_video


def save_video(path: Path, time: int = 20, size: int = 32, fill: int = 0, **arrays: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{"image": np.full((time, size, size, 3), fill, np.uint8), **arrays})


def encrypted(archive: bytes) -> bytes:
    """A zip archive whose files claim to be encrypted."""
    marked = bytearray(archive)
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for found in re.finditer(re.escape(mark), archive):
            marked[found.start() + flags] |= 1
    return bytes(marked)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for video in range(10):
        save_video(tmp_path / "walk" / EXPERT / f"{video}.npz", fill=video, task_reward=np.full(20, video))
    for video in range(3):
        save_video(tmp_path / "walk" / "random" / f"{video}.npz")
        save_video(tmp_path / "jump" / EXPERT / f"{video}.npz", fill=100)
    return tmp_path


def test_videos_are_split_by_episode_and_always_alike(root: Path) -> None:
    dataset = load_dataset(root, 32)
    trained, held_out = dataset.select(EXPERT, task="walk", held_out=False), dataset.select(EXPERT, task="walk")
    assert (len(trained), len(held_out)) == (8, 2)
    assert not {video.name for video in trained} & {video.name for video in held_out}
    assert dataset.tasks == ("jump", "walk")
    (root / "walk" / EXPERT / "broken.npz").touch()
    again = load_dataset(root, 16, tasks=["walk"])
    assert again.tasks == ("walk",)
    assert [video.name for video in again.select(EXPERT)] == [video.name for video in held_out]


@pytest.fixture
def arms(tmp_path: Path) -> Path:
    """Videos of two arms at two tasks, one of them the Panda's alone."""
    for number, pair in enumerate(("panda/lift", "panda/stack", "sawyer/lift")):
        for video in range(10):
            save_video(tmp_path / pair / EXPERT / f"{video}.npz", fill=number)
        save_video(tmp_path / pair / "random" / "0.npz")
    return tmp_path


def test_arms_share_the_labels_of_their_tasks(arms: Path) -> None:
    dataset = load_dataset(arms, 32)
    assert dataset.tasks == ("lift", "stack")
    assert {video.pair for video in dataset.select(EXPERT, task="lift")} == {"panda/lift", "sawyer/lift"}
    for pair, fill in (("panda/lift", 0), ("panda/stack", 1), ("sawyer/lift", 2)):
        videos = dataset.select(EXPERT, task=pair, held_out=False)
        assert len(videos) == 8
        assert {int(video.frames[0, 0, 0, 0]) for video in videos} == {fill}
        assert len(dataset.select("random", task=pair)) == 1


def test_an_arms_folder_is_a_data_folder_of_which_the_same_videos_are_held_out(arms: Path) -> None:
    of_all = {video.name for video in load_dataset(arms, 32).select(EXPERT, task="panda/lift")}
    alone = load_dataset(arms / "panda", 32)
    assert alone.tasks == ("lift", "stack")
    assert {f"panda/{video.name}" for video in alone.select(EXPERT, task="lift")} == of_all


def test_videos_of_a_pair_that_was_not_asked_for_are_not_loaded(arms: Path) -> None:
    dataset = load_dataset(arms, 32, tasks=["panda/stack", "sawyer/lift"])
    assert {video.pair for video in dataset.videos} == {"panda/stack", "sawyer/lift"}
    assert {video.pair for video in load_dataset(arms, 32, tasks=["lift"]).videos} == {"panda/lift", "sawyer/lift"}
    with pytest.raises(ModelError, match=r"'sawyer/stack' into .*/sawyer/stack/expert: it has videos of panda/lift, "):
        load_dataset(arms, 32, tasks=["sawyer/stack"])


def test_a_task_s_own_folder_is_a_data_folder_of_that_task(root: Path) -> None:
    save_video(root / "walk" / "background" / "0.npz")
    save_video(root / "walk" / "random" / "monday" / "0.npz")
    of_all = load_dataset(root, 32, tasks=["walk"])
    alone = load_dataset(root / "walk", 32)
    assert alone.tasks == ("walk",)
    assert {(f"walk/{each.name}", each.behaviour, each.held_out) for each in alone.videos} == {
        (each.name, each.behaviour, each.held_out) for each in of_all.videos
    }
    assert set(alone.skipped) == {"random/monday"}


def test_a_task_s_folder_may_have_its_experts_videos_beside_its_background(tmp_path: Path) -> None:
    for video in range(4):
        save_video(tmp_path / "push" / f"{video}.npz")
        save_video(tmp_path / "push" / "background" / f"{video}.npz")
    data = load_dataset(tmp_path / "push", 32)
    assert data.tasks == ("push",)
    assert sum(video.behaviour == "background" for video in data.videos) == 4


def test_folders_of_splits_are_no_tasks(tmp_path: Path) -> None:
    for video in range(4):
        save_video(tmp_path / "push" / ("test" if video == 3 else "train") / f"{video}.npz")
    data = load_dataset(tmp_path / "push", 32)
    assert data.tasks == ("push",)
    assert [video.name for video in data.videos if video.held_out] == ["test/3.npz"]


def test_background_beside_the_tasks_is_no_task(root: Path) -> None:
    save_video(root / "background" / "0.npz")
    data = load_dataset(root, 32)
    assert data.tasks == ("jump", "walk")
    assert "put it into a task's folder" in data.skipped["background"]


def test_what_a_score_leaves_beside_a_video_is_no_video(root: Path) -> None:
    write_video(root / "walk" / EXPERT / "0_likelihood_map.mp4", np.zeros((20, 32, 64, 3), np.uint8), rate=20)
    videos = load_dataset(root, 32, tasks=["walk"]).videos
    assert sum(video.behaviour == EXPERT for video in videos) == 10


def test_settings_that_would_not_be_read_are_told(root: Path) -> None:
    (root / "walk" / "videos.yaml").write_text("rate: 10")
    assert "it is read in" in load_dataset(root, 32).skipped["walk/videos.yaml"]
    (root / "videos.yml").write_text("rate: 10")
    with pytest.raises(ModelError, match=r"videos\.yml is not read: call it videos\.yaml"):
        load_dataset(root, 32)


def test_folders_that_lie_too_deep_are_named(arms: Path) -> None:
    save_video(arms / "panda" / "lift" / EXPERT / "monday" / "0.npz")
    save_video(arms / "jump" / EXPERT / "0.npz")
    save_video(arms / "jump" / "random" / "monday" / "0.npz")
    skipped = load_dataset(arms, 32, tasks=["lift"]).skipped
    assert set(skipped) == {"panda/lift/expert/monday", "jump/random/monday"}


def test_only_expert_videos_are_trained_on(root: Path) -> None:
    dataset = load_dataset(root, 32)
    assert {video.behaviour for video in dataset.videos if not video.held_out} == {EXPERT}
    assert len(dataset.select("random")) == 3


def test_a_video_keeps_its_pixels_and_reward(root: Path) -> None:
    for video in load_dataset(root, 32).select(EXPERT, task="walk", held_out=False):
        number = int(Path(video.name).stem)
        assert np.array_equal(video.frames, np.full((20, 32, 32, 3), number))
        assert video.task_reward is not None
        assert video.task_reward.sum() == 20 * number


def test_broken_videos_are_skipped_and_named(root: Path) -> None:
    folder = root / "walk" / EXPERT
    (folder / "empty.npz").touch()
    (folder / "text.npz").write_text("no video")
    (folder / "cut.npz").write_bytes((folder / "0.npz").read_bytes()[:3000])
    (folder / "notes.txt").write_text("not looked at")
    np.save(folder / "pickle", np.array([{"a": 1}]), allow_pickle=True)
    (folder / "pickle.npy").rename(folder / "pickle.npz")
    np.savez(folder / "nameless.npz", frames=np.zeros((20, 8, 8, 3), np.uint8))
    np.savez(folder / "float.npz", image=np.zeros((20, 8, 8, 3)))
    save_video(folder / "short.npz", time=3)
    save_video(folder / "reward.npz", task_reward=np.full(20, np.nan))
    whole = (folder / "0.npz").read_bytes()
    (folder / "header.npz").write_bytes(whole.replace(b"'shape': (", b"'shape': ["))
    (folder / "encrypted.npz").write_bytes(encrypted(whole))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (10**9, 999, 999, 3)}
    )
    with zipfile.ZipFile(folder / "huge.npz", "w") as archive:
        archive.writestr("image.npy", header.getvalue())
    dataset = load_dataset(root, 32)
    assert {Path(name).stem for name in dataset.skipped} == {
        "empty", "text", "cut", "pickle", "nameless", "float", "short", "reward", "header", "encrypted", "huge",
    }  # fmt: skip
    assert all("\n" not in why for why in dataset.skipped.values())
    assert "image" in dataset.skipped["walk/expert/nameless.npz"]
    assert len(dataset.videos) == 16


def test_without_videos_the_error_says_where_to_put_them(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no data folder"):
        load_dataset(tmp_path / "nowhere", 32)
    (tmp_path / "take.mcap").touch()
    with pytest.raises(ModelError, match=r"take\.mcap is a file: put it into a folder, and give that"):
        load_dataset(tmp_path / "take.mcap", 32)
    (tmp_path / "take.mcap").unlink()
    with pytest.raises(ModelError, match="expert"):
        load_dataset(tmp_path, 32)
    save_video(tmp_path / "walk" / EXPERT / "short.npz", time=3)
    with pytest.raises(ModelError, match=r"short\.npz.*3 frames") as raised:
        load_dataset(tmp_path, 32)
    assert "\n" not in str(raised.value)


def test_a_task_with_one_expert_video_cannot_be_split(tmp_path: Path) -> None:
    for task, videos in (("walk", 5), ("jump", 1)):
        for video in range(videos):
            save_video(tmp_path / task / EXPERT / f"{video}.npz")
    with pytest.raises(ModelError, match="jump"):
        load_dataset(tmp_path, 32)


def test_mp4_videos_are_videos(root: Path) -> None:
    write_video(root / "walk" / EXPERT / "video.mp4", np.full((20, 40, 40, 3), 77, np.uint8), rate=20)
    (video,) = [video for video in load_dataset(root, 32).videos if video.name.endswith(".mp4")]
    assert video.frames.shape == (20, 32, 32, 3)
    assert abs(int(video.frames.mean()) - 77) < 5  # lossy


def test_a_model_is_shown_videos_as_it_was_shown_its_own(tmp_path: Path) -> None:
    columns = np.broadcast_to(np.arange(40, dtype=np.uint8)[:, None], (40, 32, 40, 3))
    for video in range(3):
        save_video(tmp_path / "walk" / EXPERT / f"{video}.npz", image=columns)
    (tmp_path / "videos.yaml").write_text("{recorded_rate: 20, rate: 20, crop: {top: 0, left: 0, height: 8, width: 8}}")
    model = VideoSettings(rate=10.0, recorded_rate=50.0, crop=Crop(0, 4, 32, 32))
    seen = load_dataset(tmp_path, 32, of_model=model).videos[0].frames
    np.testing.assert_array_equal(seen, columns[:20, :, 4:36])  # every other frame: these videos are of 20 a second


def test_the_crop_of_videos_of_one_size_is_of_that_size_alone(tmp_path: Path) -> None:
    for video in range(3):
        save_video(tmp_path / "walk" / EXPERT / f"{video}.npz", size=40)
    (tmp_path / "videos.yaml").write_text("crop: {top: 0, left: 4, height: 32, width: 32}")
    settings = load_dataset(tmp_path, 32).settings
    assert settings.crop == Crop(0, 4, 32, 32, of=(40, 40))
    save_video(tmp_path / "walk" / EXPERT / "large.npz", size=80)
    assert load_dataset(tmp_path, 32).settings.crop == Crop(0, 4, 32, 32)
    skipped = load_dataset(tmp_path, 32, of_model=settings).skipped  # though it has been decoded
    assert skipped.keys() == {"walk/expert/large.npz"}
    assert "of frames of 40×40 pixels, and these have 80×80" in skipped["walk/expert/large.npz"]


def test_what_a_model_was_fitted_on_is_not_decoded_again_for_its_check(tmp_path: Path) -> None:
    for video in range(3):
        save_video(tmp_path / "walk" / EXPERT / f"{video}.npz", size=40)
    (tmp_path / "videos.yaml").write_text("crop: {top: 0, left: 4, height: 32, width: 32}")
    fitted = load_dataset(tmp_path, 32)
    checked = load_dataset(tmp_path, 32, of_model=fitted.settings)
    assert [video.frames_file for video in checked.videos] == [video.frames_file for video in fitted.videos]


def test_each_pixel_of_a_smaller_frame_is_the_mean_of_its_area() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (150, 24, 36, 3), np.uint8)
    small = resize(frames, 12)
    means = frames.reshape(150, 12, 2, 12, 3, 3).mean((2, 4))
    assert small.dtype == np.uint8
    assert np.abs(small - means).max() <= 0.5 + 1e-4
    assert resize(frames, 48).shape == (150, 48, 48, 3)
