from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.viper_model.videos.writers import numbered, numbers, write_mp4, write_npz
from viper_model.errors import ModelError
from viper_model.videos.dataset import load_dataset
from viper_model.videos.preparation import Clock, Crop, Preparation
from viper_model.videos.settings import VideoSettings
from viper_model.videos.source import Chunk


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 50), st.floats(0, 0.05))
def test_a_clock_keeps_evenly_spaced_frames_however_they_come(
    rate: int, recorded: int, length: int, jitter: float
) -> None:
    noise = np.random.default_rng(length).uniform(-jitter, jitter, length)
    seconds = 5 + (np.arange(length) + noise) / recorded
    clock = Clock(rate)
    whole = clock.ticks(seconds)
    again = Clock(rate)
    pieces = np.concatenate([again.ticks(part) for part in np.array_split(seconds, min(length, 7)) if len(part)])
    assert np.array_equal(whole, pieces)
    assert whole[0]
    if recorded % rate == 0:
        assert np.array_equal(np.flatnonzero(whole), np.arange(0, length, recorded // rate))
    gaps = np.diff(seconds[whole])
    # A frame may be early by a quarter of an interval, and the next is never later than it has to be.
    assert len(gaps) == 0 or gaps.max() <= 1.25 / rate + 1.1 / recorded + 1e-9


def test_a_gap_in_a_recording_repeats_no_frame() -> None:
    seconds = np.array([0, 0.1, 0.2, 1.7, 1.8, 1.9])
    assert Clock(5).ticks(seconds).tolist() == [True, False, True, True, True, False]


def test_a_video_that_ends_between_two_frames_of_a_low_rate_is_not_slow() -> None:
    for frames, rate in ((90, 3), (3, 10), (1, 10)):
        clock = Clock(rate)
        clock.ticks(np.arange(frames) / 30)
        clock.check()
    slow = Clock(3)
    slow.ticks(np.arange(25) / 2.5)
    with pytest.raises(ModelError, match=r"it has 2\.5 frames a second, less than the `rate` of 3"):
        slow.check()


def test_videos_of_any_rate_are_brought_to_the_chosen_one(tmp_path: Path) -> None:
    for index, rate in enumerate((30, 60, 29.97)):
        write_mp4(tmp_path / "push" / f"{index}.mp4", numbered(int(2 * rate), 32, 32), rate)
    write_npz(tmp_path / "push" / "3.npz", numbered(40, 32, 32), task_reward=np.arange(40.0))
    write_mp4(tmp_path / "push" / "slow.mp4", numbered(40, 32, 32), 7)
    (tmp_path / "videos.yaml").write_text("rate: 10\nrecorded_rate: 20\n")
    dataset = load_dataset(tmp_path, 16)
    videos = {video.name: video for video in dataset.videos}
    assert {name: len(video.frames) for name, video in videos.items()} == {
        "push/0.mp4": 20, "push/1.mp4": 20, "push/2.mp4": 20, "push/3.npz": 20,
    }  # fmt: skip
    assert numbers(videos["push/0.mp4"].frames)[:6] == [0, 3, 6, 9, 12, 15]
    reward = videos["push/3.npz"].task_reward
    assert reward is not None
    assert reward.tolist() == [0.0, *(float(i - 1 + i) for i in range(2, 40, 2))]  # of both frames since the one before
    assert "7 frames a second" in dataset.skipped["push/slow.mp4"]
    (tmp_path / "videos.yaml").write_text("rate: 10")
    assert "recorded_rate" in load_dataset(tmp_path, 16).skipped["push/3.npz"]


def test_rewards_add_up_whatever_the_chunks() -> None:
    rng = np.random.default_rng(0)
    reward = rng.normal(size=101)
    frames = np.zeros((101, 4, 4, 3), np.uint8)
    cuts = [0, 1, 2, 40, 41, 99, 101]
    chunks = (Chunk(frames[a:b], np.arange(a, b) / 20, reward[a:b]) for a, b in itertools.pairwise(cuts))
    seen = [chunk.task_reward for chunk in Preparation(rate=5).video(chunks, 4)]
    sums = [reward[0], *(reward[i - 3 : i + 1].sum() for i in range(4, 101, 4))]
    np.testing.assert_allclose(np.concatenate([each for each in seen if each is not None]), sums, atol=1e-12)


def test_the_mask_blackens_before_the_crop_cuts() -> None:
    frames = np.random.default_rng(0).integers(1, 256, (3, 20, 30, 3), np.uint8)
    mask = np.ones((20, 30), bool)
    mask[4:8, 10:16] = False
    seen = Preparation(crop=Crop(top=4, left=10, height=8, width=8), mask=mask).frames(frames, 8)
    assert (seen[:, :4, :6] == 0).all()
    assert np.array_equal(seen[:, 4:], frames[:, 8:12, 10:18])
    assert np.array_equal(seen[:, :4, 6:], frames[:, 4:8, 16:18])
    with pytest.raises(ModelError, match="30×20 pixels and the video 30×21"):
        Preparation(mask=mask).frames(np.zeros((1, 21, 30, 3), np.uint8), 8)
    with pytest.raises(ModelError, match="beyond"):
        Preparation(crop=Crop(0, 0, 20, 31)).frames(frames, 8)


def test_a_crop_is_not_cut_from_frames_of_another_size() -> None:
    preparation = Preparation(crop=Crop(4, 10, 8, 8, of=(30, 20)))
    frames = np.random.default_rng(0).integers(0, 256, (1, 20, 30, 3), np.uint8)
    assert np.array_equal(preparation.frames(frames, 8), frames[:, 4:12, 10:18])
    for height, width in ((40, 60), (30, 20)):
        with pytest.raises(ModelError, match=f"of frames of 30×20 pixels, and these have {width}×{height}"):
            preparation.frames(np.zeros((1, height, width, 3), np.uint8), 8)


def test_settings_are_kept_with_the_model(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    grey = np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8)
    cv2.imwrite(str(tmp_path / "masks" / "m.png"), grey)
    (tmp_path / "videos.yaml").write_text(
        "rate: 10\nrecorded_rate: 50\ncamera: /c\ncrop: {top: 1, left: 2, height: 3, width: 4, of: [30, 20]}\n"
        "masks: {push: masks/m.png, other: masks/m.png}\n"
    )
    settings = VideoSettings.load(tmp_path)
    settings.save(tmp_path / "model", ("push", "pull"))
    kept = VideoSettings.load(tmp_path / "model")
    assert (kept.rate, kept.recorded_rate, kept.camera, kept.crop) == (10, 50, "/c", Crop(1, 2, 3, 4, of=(30, 20)))
    assert set(kept.masks) == {"push"}
    assert np.array_equal(kept.masks["push"], grey >= 128)
    assert kept.of("push").key() == settings.of("push").key()
    assert kept.of("push").key() != kept.of("pull").key()
    VideoSettings().save(tmp_path / "plain", ("push",))
    assert VideoSettings.load(tmp_path / "plain").of("push").key() == VideoSettings().of("push").key()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("rat: 10", "unknown key 'rat'"),
        ("rate: fast", "above 0"),
        ("rate: -1", "above 0"),
        ("rate: .nan", "above 0"),
        ("rate: true", "above 0"),
        ("crop: [0, 0, 4, 4]", "top, left, height, width"),
        ("crop: {top: 0, left: 0, height: 0, width: 4}", "whole pixels"),
        ("crop: {top: 0, left: 0, height: 4, width: 4, of: [30]}", r"\[width, height\] in whole pixels, not \[30\]"),
        ("crop: {top: 0, left: 0, height: 4, width: 4, of: 30x20}", "not '30x20'"),
        ("camera: [a]", "camera"),
        ("masks: mask.png", "for each task"),
        ("masks: {push: nowhere.png}", "no image"),
        ("- rate", "no keys"),
        ("rate: [", "cannot read"),
        ("rate: 2026-13-45", "cannot read"),
        ("rate: 10\nrate: 25", "cannot read.*twice"),
        ("!!python/object/apply:os.system ['false']", "cannot read"),
    ],
)
def test_a_mistake_in_videos_yaml_is_told_in_one_line(
    text: str, word: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "videos.yaml").write_text(text)
    with pytest.raises(ModelError, match=word) as raised:
        VideoSettings.load(tmp_path)
    assert "videos.yaml" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("video", ["0.npz", "push/0.npz", "push/random/0.npz", "panda/push/random/0.npz", "bag"])
def test_how_a_video_was_recorded_is_told_by_the_folder_that_it_lies_in(
    video: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    VideoSettings(rate=10, recorded_rate=50, camera="/left").save(tmp_path / "model", ())
    (tmp_path / "data" / video).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "data" / "videos.yaml").write_text("{rate: 5, recorded_rate: 20}")
    expected = VideoSettings(rate=10, recorded_rate=20, camera="/left")
    assert VideoSettings.of_video(tmp_path / "data" / video, tmp_path / "model") == expected
    monkeypatch.chdir((tmp_path / "data" / video).parent)
    assert VideoSettings.of_video(Path(Path(video).name), tmp_path / "model") == expected


def test_what_lies_above_a_data_folder_is_not_looked_at(tmp_path: Path) -> None:
    VideoSettings(recorded_rate=50).save(tmp_path / "model", ())
    (tmp_path / "videos.yaml").write_text("recorded_rate: 20")
    video = tmp_path / "data" / "panda" / "push" / "random" / "0.npz"
    assert VideoSettings.of_video(video, tmp_path / "model").recorded_rate == 50


def test_a_bag_may_have_its_own_settings_in_it(tmp_path: Path) -> None:
    VideoSettings(camera="/left").save(tmp_path / "model", ())
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "videos.yaml").write_text("camera: /right")
    (tmp_path / "videos.yaml").write_text("camera: /top")
    assert VideoSettings.of_video(tmp_path / "bag", tmp_path / "model").camera == "/right"
    (tmp_path / "bag" / "videos.yaml").rename(tmp_path / "bag" / "videos.yml")
    with pytest.raises(ModelError, match=r"bag/videos\.yml is not read: call it videos\.yaml"):
        VideoSettings.of_video(tmp_path / "bag", tmp_path / "model")


def test_settings_are_still_read_under_their_earlier_name(tmp_path: Path) -> None:
    (tmp_path / "films.yaml").write_text("rate: 5\ncamera: front")
    assert VideoSettings.load(tmp_path) == VideoSettings(rate=5, camera="front")
    (tmp_path / "films.yaml").write_text("speed: 5")
    with pytest.raises(ModelError, match=r"films\.yaml has an unknown key 'speed'"):
        VideoSettings.load(tmp_path)
    (tmp_path / "videos.yaml").write_text("rate: 7")
    assert VideoSettings.load(tmp_path).rate == 7


@pytest.mark.parametrize("folder", ["videos", "model"])
def test_settings_behind_a_link_to_nowhere_are_missed(folder: str, tmp_path: Path) -> None:
    (tmp_path / "videos.yaml").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"cannot read .*videos\.yaml"):
        {"videos": VideoSettings.load, "model": VideoSettings.of_model}[folder](tmp_path)


def test_a_model_without_settings_is_no_whole_model(tmp_path: Path) -> None:
    assert VideoSettings.load(tmp_path) == VideoSettings()
    with pytest.raises(ModelError, match=r"videos\.yaml is missing: copy the model's whole folder"):
        VideoSettings.of_model(tmp_path)
    VideoSettings().save(tmp_path, ())
    assert VideoSettings.of_model(tmp_path) == VideoSettings()
