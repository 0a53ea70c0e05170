"""Colours of video files against ITU's formulas, written down a second time."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from tests.viper_model.examples import save_model
from tests.viper_model.videos.writers import write_yuv
from viper_model.errors import ModelError
from viper_model.reward.scorer import score_video
from viper_model.video_model.tokenizers.patches import Patches
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.dataset import read_recording
from viper_model.videos.preparation import resize

BT601, BT709, BT2020 = (0.299, 0.114), (0.2126, 0.0722), (0.2627, 0.0593)
"""How red and blue weigh in the brightness Y'."""
PATCH = 16
PQ, HLG = 16, 18
TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])  # ITU-R BT.2087
TO_P3 = np.array([[0.8225, 0.1774, 0.0000], [0.0332, 0.9669, 0.0000], [0.0171, 0.0724, 0.9108]])


def coloured(time: int = 20, high: int = 256) -> np.ndarray:
    """Patches of flat colours that move on, uint8 [time, 64, 96, 3]."""
    colours = np.random.default_rng(0).integers(16, high, (4, 6, 3))
    small = np.stack([np.roll(colours, t // 2, 1) for t in range(time)])
    return small.repeat(PATCH, 1).repeat(PATCH, 2).astype(np.uint8)


def middles(frames: np.ndarray) -> np.ndarray:
    """A pixel of each patch: those at the edges mix with their neighbours' where chroma is subsampled."""
    return frames[:, PATCH // 2 :: PATCH, PATCH // 2 :: PATCH].astype(int)


@pytest.mark.parametrize(
    ("number", "weights", "pixels", "full"),
    [
        (2, BT601, "yuv420p", False),
        (6, BT601, "yuv444p", False),
        (1, BT709, "yuv420p", False),
        (1, BT709, "yuv420p", True),
        (5, BT601, "yuv444p", True),
        (1, BT709, "yuv420p10le", False),
        (1, BT709, "yuv444p10le", True),
        (9, BT2020, "yuv422p10le", False),
    ],
)
def test_colours_come_back_from_every_matrix_range_and_depth(
    number: int, weights: tuple[float, float], pixels: str, full: bool, tmp_path: Path
) -> None:
    frames = coloured()
    write_yuv(tmp_path / "video.mkv", frames / 255, weights, pixels=pixels, full=full, colorspace=number)
    back = read_recording(tmp_path / "video.mkv").frames
    assert np.abs(middles(back) - middles(frames)).max() <= 3


def hdr_signal(nits: np.ndarray, transfer: int) -> np.ndarray:
    """Displayed light in BT.2020's primaries → R'G'B', as ITU-R BT.2100 says."""
    if transfer == PQ:
        power = (nits / 10_000) ** (2610 / 16384)
        return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
    display = nits / 1_000
    luminance = display @ [0.2627, 0.6780, 0.0593]
    scene = display * np.maximum(luminance, 1e-9)[..., None] ** (1 / 1.2 - 1)
    high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)


@pytest.mark.parametrize(("transfer", "matrix", "primaries"), [(PQ, 9, 9), (HLG, 9, 9), (HLG, 2, 2)])
def test_hdr_is_tone_mapped(transfer: int, matrix: int, primaries: int, tmp_path: Path) -> None:
    """What is no brighter than a white sheet keeps its colour; what is brighter stays brighter."""
    frames = coloured(high=225)
    nits = 203 * (frames / 255) ** 2.4 @ TO_BT2020.T
    nits[:, :PATCH, :PATCH], nits[:, :PATCH, PATCH : 2 * PATCH] = 203, 800
    signal = hdr_signal(nits, transfer)
    tags = {"colorspace": matrix, "color_primaries": primaries, "color_trc": transfer}
    write_yuv(tmp_path / "video.mkv", signal, BT2020, pixels="yuv444p10le", full=False, **tags)
    back = middles(read_recording(tmp_path / "video.mkv").frames)
    assert (back[:, 0, 0] > 240).all()
    assert (back[:, 0, 1] > back[:, 0, 0]).all()
    error = np.abs(back - middles(frames))
    error[:, 0, :2] = 0
    assert error.max() <= 16
    assert error.mean() < 2


def test_wide_primaries_become_bt709s(tmp_path: Path) -> None:
    frames = coloured(high=225)
    signal = ((frames / 255) ** 2.4 @ TO_P3.T) ** (1 / 2.4)
    tags = {"colorspace": 1, "color_primaries": 12, "color_trc": 1}
    write_yuv(tmp_path / "video.mkv", signal, BT709, pixels="yuv444p10le", full=False, **tags)
    error = np.abs(middles(read_recording(tmp_path / "video.mkv").frames) - middles(frames))
    assert error.mean() < 2


def test_colours_of_an_unknown_kind_are_refused(tmp_path: Path) -> None:
    write_yuv(tmp_path / "video.mkv", coloured() / 255, BT709, pixels="yuv444p", full=False, colorspace=8)  # YCgCo
    with pytest.raises(ModelError, match=r"video\.mkv: its colours .* convert it to BT\.709"):
        read_recording(tmp_path / "video.mkv")


@pytest.mark.parametrize(("number", "weights"), [(6, BT601), (1, BT709)])
def test_a_video_earns_as_mp4_what_it_earns_as_npz(number: int, weights: tuple[float, float], tmp_path: Path) -> None:
    """By a model whose codes are the video's own colours, twelve levels apart: reds, as matrices differ most there."""
    frames = coloured()[:, :, :64] // 64 * 12 + np.array([190, 20, 20], np.uint8)
    np.savez(tmp_path / "video.npz", image=frames)
    write_yuv(tmp_path / "video.mp4", frames / 255, weights, pixels="yuv420p", full=False, colorspace=number)
    save_model(tmp_path / "model")
    model = VideoModel.load(tmp_path / "model")
    small = [resize(read_recording(tmp_path / name).frames, model.image_size) for name in ("video.npz", "video.mp4")]
    assert isinstance(model.tokenizer, Patches)
    model.tokenizer.fit(small[0], 0)
    one, other = (score_video(model, each, "cartpole_balance", "conditional").reward for each in small)
    assert one.std() > 0.01
    assert np.abs(one - other).mean() < 0.05 * one.std()


def test_interlaced_frames_are_woven_without_combs(tmp_path: Path) -> None:
    """A bar moves; every second line was recorded half a frame later."""
    frames = np.full((20, 64, 96, 3), 40, np.uint8)
    for t in range(20):
        frames[t, 0::2, 4 * t : 4 * t + 12] = 220
        frames[t, 1::2, 4 * t + 2 : 4 * t + 14] = 220
    path = tmp_path / "00001.MTS"
    with av.open(str(path), "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=25, options={"x264-params": "tff=1:bframes=0", "qp": "1"})
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv422p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    back = read_recording(path).frames.astype(int)
    assert len(back) == 20
    combs = np.abs(back[5:15, 10:50] - (back[5:15, 9:49] + back[5:15, 11:51]) / 2)
    assert combs.max() < 60
    assert [int(np.flatnonzero(frame[31, :, 0] > 130).mean() // 4) for frame in back[5:15]] == list(range(6, 16))
