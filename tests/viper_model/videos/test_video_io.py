from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
import pytest

from viper_model.errors import ModelError
from viper_model.videos.video_io import read_video, write_video


def gradient_video(time: int, height: int, width: int) -> np.ndarray:
    """Smooth colours that change with time, uint8 [time, height, width, 3]: what a video codec keeps well."""
    t, y, x = np.meshgrid(np.arange(time), np.arange(height), np.arange(width), indexing="ij")
    return np.stack([255 * y / height, 255 * x / width, 10 * t], -1).astype(np.uint8)


def test_a_small_video_is_written_enlarged_and_reads_back_the_same(tmp_path: Path) -> None:
    video = gradient_video(12, 64, 48)
    write_video(tmp_path / "new folder" / "video.mp4", video, rate=12.5)
    back = read_video(tmp_path / "new folder" / "video.mp4")
    assert back.shape == (12, 64 * 6, 48 * 6, 3)
    assert back.dtype == np.uint8
    error = np.abs(back[:, ::6, ::6].astype(int) - video)
    assert error.mean() < 6  # lossy: colours at half the resolution and a quantiser


def test_browsers_can_play_it(tmp_path: Path) -> None:
    write_video(
        tmp_path / "video.mp4",
        gradient_video(
            5,
            301,
            299,
        ),
        rate=25,
    )
    with av.open(str(tmp_path / "video.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.height, stream.width) == (302, 300)
        assert stream.average_rate == 25


def test_what_is_no_video_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a video")
    write_video(tmp_path / "whole.mp4", gradient_video(5, 64, 64), rate=10)
    (tmp_path / "cut.mp4").write_bytes((tmp_path / "whole.mp4").read_bytes()[:500])
    for name in ("missing.mp4", "text.mp4", "cut.mp4"):
        with pytest.raises(ModelError) as raised:
            read_video(tmp_path / name)
        assert name in str(raised.value)
        assert "\n" not in str(raised.value)


def test_a_sound_file_has_no_frames(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    with pytest.raises(ModelError, match=r"sound\.wav"):
        read_video(tmp_path / "sound.wav")


def test_writing_nothing_or_nowhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no frames"):
        write_video(tmp_path / "video.mp4", gradient_video(0, 64, 64), rate=10)
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match=r"cannot save .*video\.mp4"):
        write_video(tmp_path / "file" / "video.mp4", gradient_video(2, 64, 64), rate=10)


def test_what_the_encoder_refuses_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot save .*video\.mp4"):
        write_video(tmp_path / "video.mp4", np.zeros((2, 256, 20_000, 3), np.uint8), rate=10)  # wider than H.264 knows
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_old_video(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    write_video(path, gradient_video(2, 64, 64), rate=10)
    old = path.read_bytes()
    (tmp_path / ".video.mp4.part").symlink_to("/dev/full")
    with pytest.raises(ModelError, match=r"cannot save .*video\.mp4: the disk is full"):
        write_video(path, gradient_video(20, 64, 64), rate=10)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == old


@pytest.mark.parametrize("name", ["10:30.mp4", "[x] $a$.mp4", os.fsdecode(b"lat\xe9.mp4")])
def test_a_video_is_written_under_any_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(Path(name), gradient_video(2, 64, 64), rate=10)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert len(read_video(Path(name))) == 2
