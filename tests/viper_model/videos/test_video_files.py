"""Video files as telephones, camcorders, editors and browsers leave them: what is watched is what is read."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from tests.viper_model.videos.writers import numbered, numbers, write_mp4
from viper_model.errors import ModelError
from viper_model.videos.dataset import load_dataset, read_recording
from viper_model.videos.find import find_videos
from viper_model.videos.survey import survey
from viper_model.videos.video_io import decode, probe

PIXELS = {"gif": "gray", "mjpeg": "yuvj420p"}


def write(
    path: Path,
    frames: np.ndarray,
    codec: str = "libx264",
    *,
    container: str | None = None,
    options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
    times: Sequence[int] | None = None,
    cover: Disposition | None = None,
) -> None:
    """A video of 25 frames a second. times: of each frame, in milliseconds. cover: a picture is its first stream."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format=container, options=options or {}) as file:
        picture = file.add_stream("mjpeg", rate=1) if cover is not None else None
        stream = file.add_stream(codec, rate=25, options=codec_options or {})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = PIXELS.get(codec, "yuv420p")
        if picture is not None and cover is not None:
            picture.height, picture.width, picture.pix_fmt = 80, 80, "yuvj420p"
            picture.disposition = cover.value
            black = np.zeros((80, 80, 3), np.uint8)
            file.mux(picture.encode(av.VideoFrame.from_ndarray(black, format="rgb24")) + picture.encode())
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index, frame in enumerate(frames):
            encoded = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            if times is not None:
                encoded.pts, encoded.time_base = times[index], Fraction(1, 1000)
            file.mux(stream.encode(encoded))
        file.mux(stream.encode())


def show(path: Path, first: int, frames: int) -> None:
    """Make an mp4 of 25 frames a second show only so many frames from `first`, as a telephone's editor does: its edit
    list (ISO/IEC 14496-12, 8.6.6) changes, and all packets stay."""
    content = bytearray(path.read_bytes())
    entry = content.index(b"elst") + 12  # after version, flags and the number of entries
    with av.open(str(path)) as container:
        frame = round(1 / (container.streams.video[0].time_base * 25))
    media_time = int.from_bytes(content[entry + 4 : entry + 8], "big") + first * frame
    content[entry : entry + 8] = (frames * 40).to_bytes(4, "big") + media_time.to_bytes(4, "big")
    path.write_bytes(content)


@pytest.mark.parametrize(("first", "length"), [(0, 60), (17, 30), (43, 17), (0, 20)])
def test_an_edit_list_says_what_is_seen(first: int, length: int, tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    write(path, numbered(60, first=-20), codec_options={"g": "60"})  # a single key frame
    show(path, first, length)
    assert probe(path) == (length, 25, 48, 64)
    pictures, seconds = zip(*decode(path), strict=True)
    assert numbers(np.stack(pictures)) == [n % 44 for n in range(first - 20, first - 20 + length)]
    assert np.allclose(np.diff(seconds), 0.04)


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    write(tmp_path / "video.mkv", numbered(20), cover=Disposition.attached_pic)
    write(tmp_path / "video.mp4", numbered(20), cover=Disposition.attached_pic)
    write(tmp_path / "unsaid.mov", numbered(20), cover=Disposition.default)
    content = (tmp_path / "video.mp4").read_bytes()
    moov = content.index(b"moov") - 4
    boxes, begin = [], moov + 8
    while begin < len(content):
        end = begin + int.from_bytes(content[begin : begin + 4], "big")
        boxes.append(content[begin:end])
        begin = end
    boxes.sort(key=lambda box: {b"mvhd": 0, b"udta": 1}.get(box[4:8], 2))  # tags, with the cover, before the tracks
    (tmp_path / "video.mp4").write_bytes(content[: moov + 8] + b"".join(boxes))
    with av.open(str(tmp_path / "video.mp4")) as container:
        assert container.streams.video[0].disposition & Disposition.attached_pic
    for name in ("video.mp4", "video.mkv", "unsaid.mov"):
        assert probe(tmp_path / name)[1:] == (25, 48, 64)
        assert numbers(read_recording(tmp_path / name).frames) == list(range(20))


def test_of_several_videos_in_a_file_it_is_told_which_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A dashboard's camera, say, that looks forward and back."""
    with av.open(str(tmp_path / "two.mkv"), "w") as file:
        for height, width in ((32, 48), (48, 64)):
            stream = file.add_stream("libx264", rate=25)
            stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for stream in file.streams.video:
            for frame in numbered(20, stream.height, stream.width, first=stream.index):
                file.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
            file.mux(stream.encode())
    with caplog.at_level(logging.WARNING):
        assert probe(tmp_path / "two.mkv") == (20, 25, 32, 48)
        assert numbers(read_recording(tmp_path / "two.mkv").frames) == list(range(20))
    told = "two.mkv: it has 2 videos (stream 0 of 48×32, stream 1 of 64×48): stream 0 is read"
    assert caplog.text.count(told) == 1


def test_a_sound_with_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "song.mp4"), "w") as file:
        sound, picture = file.add_stream("aac", rate=8000), file.add_stream("mjpeg", rate=1)
        picture.height, picture.width, picture.pix_fmt = 80, 80, "yuvj420p"
        picture.disposition = Disposition.attached_pic.value
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        samples.sample_rate = 8000
        file.mux(sound.encode(samples) + sound.encode())
        black = np.zeros((80, 80, 3), np.uint8)
        file.mux(picture.encode(av.VideoFrame.from_ndarray(black, format="rgb24")) + picture.encode())
    with pytest.raises(ModelError, match=r"song\.mp4: it has no video but a cover picture"):
        read_recording(tmp_path / "song.mp4")


ENDINGS: dict[str, dict[str, str]] = {
    "a.MTS": {"container": "mpegts"},
    "a.ts": {},
    "a.m2ts": {},
    "a.3gp": {},
    "a.h264": {},
    "a.mpg": {"codec": "mpeg2video"},
    "a.wmv": {"codec": "wmv2"},
    "a.gif": {"codec": "gif"},
    "a.flv": {"codec": "flv1"},
    "a.mjpeg": {"codec": "mjpeg"},
    "a.m2v": {"codec": "mpeg2video"},
}


@pytest.mark.parametrize("name", ENDINGS)
def test_files_are_read_whatever_their_ending(name: str, tmp_path: Path) -> None:
    write(tmp_path / "push" / name, numbered(20), **ENDINGS[name])  # type: ignore[arg-type]
    (video,) = find_videos(tmp_path, None).videos
    assert probe(video.source.path) == (20, None if name == "a.mjpeg" else 25, 48, 64)
    assert numbers(read_recording(video.source.path).frames) == list(range(20))


def test_frames_without_times_need_a_recorded_rate(tmp_path: Path) -> None:
    for index in range(2):
        write(tmp_path / "push" / f"{index}.mjpeg", numbered(40), "mjpeg")
    (tmp_path / "videos.yaml").write_text("rate: 10")
    assert "set `recorded_rate`" in survey(tmp_path).problems["push/0.mjpeg"]
    (tmp_path / "videos.yaml").write_text("rate: 10\nrecorded_rate: 20")
    assert [numbers(video.frames) for video in load_dataset(tmp_path, 16).videos] == [list(range(0, 40, 2))] * 2


def test_a_video_of_unknown_length_is_counted(tmp_path: Path) -> None:
    """As browsers record: neither length nor rate is in the header, and frames come when they come."""
    times = [40 * index + 7 * (index % 3) for index in range(20)]
    write(tmp_path / "a.webm", numbered(20), "libvpx", options={"live": "1"}, times=times)
    frames, rate, _, _ = probe(tmp_path / "a.webm")
    assert frames == 20
    assert rate == pytest.approx(19 / (times[-1] - times[0]) * 1000)
    assert [round(1000 * second) for _, second in decode(tmp_path / "a.webm") if second is not None] == times


@pytest.mark.parametrize(("ending", "codec"), [(".mkv", "libx264"), (".webm", "libvpx"), (".flv", "flv1")])
def test_frames_that_come_when_they_come_are_counted_though_a_length_is_told(
    ending: str, codec: str, tmp_path: Path
) -> None:
    """As of screens: the header has a length and the highest rate."""
    times = np.cumsum(np.random.default_rng(0).choice([40, 40, 40, 40, 200], 60)).tolist()
    write(tmp_path / f"a{ending}", numbered(60), codec, times=times)
    frames, rate, _, _ = probe(tmp_path / f"a{ending}")
    assert frames == 60
    assert rate == pytest.approx(59 / (times[-1] - times[0]) * 1000)


def test_times_grow_where_the_files_do_not(tmp_path: Path) -> None:
    """Recordings that were joined begin again at 0, and editors begin below it."""
    write(tmp_path / "below.mkv", numbered(20), times=[40 * index - 200 for index in range(20)])
    write(tmp_path / "part.ts", numbered(20))
    (tmp_path / "joined.ts").write_bytes((tmp_path / "part.ts").read_bytes() * 2)
    for name, length in (("below.mkv", 20), ("joined.ts", 40)):
        pictures, seconds = zip(*decode(tmp_path / name), strict=True)
        assert numbers(np.stack(pictures)) == list(range(20)) * (length // 20)
        assert np.allclose(np.diff(seconds), 0.04, atol=0.02)


def test_a_recording_that_begins_between_key_frames_is_read_from_the_next(tmp_path: Path) -> None:
    write(tmp_path / "whole.ts", numbered(40), codec_options={"g": "10", "bf": "0", "sc_threshold": "0"})
    content = (tmp_path / "whole.ts").read_bytes()
    (tmp_path / "cut.ts").write_bytes(content[len(content) // 188 // 3 * 188 :])
    found = numbers(read_recording(tmp_path / "cut.ts").frames)
    assert 15 < len(found) < 35
    assert found == list(range(40 - len(found), 40))


def test_what_is_meant_as_a_video_and_is_not_read_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "push" / "expert"
    for index in range(2):
        write_mp4(folder / f"{index}.mp4", numbered(20), 25)
    np.save(folder / "frames.npy", numbered(20))
    (folder / "robot.svo2").write_bytes(b"SVO\0\1\2")
    write_mp4(folder / "monday" / "3.mp4", numbered(20), 25)
    (folder / "4").mkdir()
    for index in range(20):
        (folder / "4" / f"{index:05}.png").write_bytes(b"\x89PNG\0")
    for beside in ("notes.txt", "0.jpg", "0.srt", "returns.json"):
        (folder / beside).write_bytes(b"about the videos")
    seen = survey(tmp_path)
    assert {name: why.partition(":")[0] for name, why in seen.problems.items()} == {
        "push/expert/frames.npy": "it is of no format that is read",
        "push/expert/robot.svo2": "it is of no format that is read",
        "push/expert/monday": "its videos lie too deep",
        "push/expert/4": "it holds single pictures",
    }
    assert sum(len(group.videos) for group in seen.groups) == 2


@pytest.mark.parametrize("name", ["img ({}).jpg", "{}.color.png", "{}_left.ppm", "{}.EXR"])
def test_pictures_that_are_numbered_anyhow_are_named(name: str, tmp_path: Path) -> None:
    for folder in (tmp_path / "push" / "expert" / "0", tmp_path / "push" / "expert" / "1" / "rgb"):
        folder.mkdir(parents=True)
        for index in range(20):
            (folder / name.format(2 * index)).write_bytes(b"P\0")
    problems = survey(tmp_path).problems
    ending = Path(name).suffix
    assert f"-pattern_type glob -i '*{ending}' video.mp4" in problems["push/expert/0"]
    assert "too deep" in problems["push/expert/1"]


def test_pictures_beside_the_videos_that_they_are_of_are_left_alone(tmp_path: Path) -> None:
    for index in range(20):
        write_mp4(tmp_path / "push" / f"{index}.mp4", numbered(16, 16, 16), 25)
        (tmp_path / "push" / f"{index}.jpg").write_bytes(b"\xff\xd8\xff\0")
    assert survey(tmp_path).problems == {}


def test_what_is_no_file_or_no_video_behind_a_videos_name_is_told(tmp_path: Path) -> None:
    (tmp_path / "push").mkdir()
    (tmp_path / "push" / "page.mp4").write_text("<html>404 Not Found</html>")
    (tmp_path / "push" / "gone.mp4").symlink_to("../.git/annex/objects/gone.mp4")
    (tmp_path / "push" / "replay.zarr" / "data" / "img").mkdir(parents=True)
    (tmp_path / "push" / "replay.zarr" / "data" / "img" / "0.0.0.0").write_bytes(b"\2\1\0")
    problems = survey(tmp_path).problems
    assert problems.keys() == {"push", "push/page.mp4", "push/gone.mp4", "push/replay.zarr"}
    assert problems["push/page.mp4"] == "page.mp4 cannot be read as a video, it is text"
    assert problems["push/gone.mp4"] == "it is a link to ../.git/annex/objects/gone.mp4, which is not there"
    assert "of no format that is read" in problems["push/replay.zarr"]


@pytest.mark.parametrize("name", ["12:30.mp4", "http:take.mp4", "file:take.mp4", "%03d.mp4", "-x.mp4"])
def test_a_file_may_have_any_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mp4(tmp_path / "video.mp4", numbered(20), 25)
    (tmp_path / "video.mp4").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert numbers(read_recording(Path(name)).frames) == list(range(20))


@pytest.mark.parametrize(("ending", "codec"), [(".mkv", "libx264"), (".webm", "libvpx"), (".flv", "flv1")])
def test_a_file_that_ends_before_the_time_that_it_announces_is_told(
    ending: str, codec: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Their headers don't say how many frames there are."""
    path = tmp_path / f"video{ending}"
    write(path, np.random.default_rng(0).integers(0, 256, (60, 48, 64, 3), np.uint8), codec, codec_options={"g": "10"})
    with caplog.at_level(logging.WARNING):
        assert len(read_recording(path).frames) == 60
        assert caplog.text == ""
        content = path.read_bytes()
        path.write_bytes(content[: len(content) * 7 // 10])
        assert 30 < len(read_recording(path).frames) < 50
    assert re.search(rf"video{ending}: its frames end after 1\.\d of 2\.4 s: it may be cut short", caplog.text)


@pytest.mark.parametrize(
    ("ending", "lost", "told"),
    [
        (".ts", 300, r"1 of its 60 frames are damaged, and perhaps those after them"),
        (".mkv", 3000, r"9 frames are missing between the 51 that are there"),
    ],
)
def test_damage_in_the_middle_is_told(
    ending: str, lost: int, told: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, noise = tmp_path / f"video{ending}", np.random.default_rng(0)
    write(path, noise.integers(0, 256, (60, 48, 64, 3), np.uint8), codec_options={"g": "10"})
    content = bytearray(path.read_bytes())
    at = len(content) * 3 // 10
    content[at : at + lost] = noise.bytes(lost)
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        read_recording(path)
    assert re.search(rf"video\{ending}: {told}", caplog.text)


def test_a_rate_that_varies_is_no_damage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As of screens, of which pictures are recorded only when something changes."""
    times = np.cumsum(np.random.default_rng(0).choice([40, 40, 40, 40, 200], 60)).tolist()
    for name in ("varies.mp4", "varies.mkv"):
        write(tmp_path / name, numbered(60), times=times)
        with caplog.at_level(logging.WARNING):
            assert len(read_recording(tmp_path / name).frames) == 60
    assert caplog.text == ""


def test_a_file_that_is_cut_at_a_packets_end_is_named(tmp_path: Path) -> None:
    """Nothing in it is damaged: it only has fewer packets than its header says."""
    path = tmp_path / "video.avi"
    write(path, numbered(40), "mjpeg")
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"00dc", len(content) // 3)])
    with pytest.raises(ModelError, match=r"video\.avi: it is cut short: \d+ of its \d+ frames"):
        read_recording(path)
