"""Films as files: any container that PyAV reads, and mp4 that browsers play."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from viper_model.errors import ModelError


def read_video(path: Path) -> np.ndarray:
    """All frames of a film, uint8 [time, height, width, 3], RGB. Raises ModelError where there are none to be read."""
    if not path.is_file():
        raise ModelError(f"no video at {path}")
    try:
        with av.open(str(path)) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    except (av.FFmpegError, IndexError, OSError) as error:
        raise ModelError(f"cannot read {path} as a video: {error}") from error
    if not frames:
        raise ModelError(f"{path} holds no frames")
    if len({frame.shape for frame in frames}) > 1:
        raise ModelError(f"{path} changes its frame size on the way: record it with one size")
    return np.stack(frames)


WATCHABLE = 256
"""Films narrower or lower than this many pixels are enlarged when written."""


def write_video(path: Path, frames: np.ndarray, rate: float) -> None:
    """Write frames (uint8 [time, height, width, 3], RGB, `rate` a second) as H.264 mp4 that browsers play.

    Small films are enlarged by a whole factor, pixel by pixel, so that they can be watched; an odd side is then
    lengthened by repeating its last row or column, as the format wants even ones. Raises ModelError.
    """
    if len(frames) == 0:
        raise ModelError(f"no frames to write to {path}")
    factor = max(1, math.ceil(WATCHABLE / min(frames.shape[1:3])))
    frames = frames.repeat(factor, 1).repeat(factor, 2)
    height, width = frames.shape[1:3]
    frames = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w", format="mp4") as container:
            stream = container.add_stream("h264", rate=Fraction(rate).limit_denominator(1000))
            stream.height, stream.width = frames.shape[1:3]
            stream.pix_fmt = "yuv420p"
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
            container.mux(stream.encode())
    except (av.FFmpegError, OSError) as error:
        raise ModelError(f"cannot write {path}: {error}") from error
