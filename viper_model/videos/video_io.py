"""Videos as files: any container that PyAV reads, and mp4 that browsers play."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from viper_model.errors import ModelError


def probe(path: Path) -> tuple[int | None, float | None, int, int]:
    """A video's number of frames and rate in Hz (None where it does not say), height and width, as it is watched.

    Raises ModelError where it is no video.
    """
    with _opened(path) as container:
        stream = container.streams.video[0]
        first = next(container.decode(stream), None)
        if first is None:
            raise ModelError(f"{path.name} holds no frames")
        height, width = _picture(first).shape[:2]
        rate = float(stream.average_rate) if stream.average_rate else None
        frames = stream.frames or None
        if frames is None and rate and container.duration:
            frames = round(container.duration / av.time_base * rate)
        return frames, rate, height, width


def decode(path: Path, begin: float | None = None) -> Iterator[tuple[np.ndarray, float]]:
    """A video's frames, uint8 [height, width, 3], RGB, each with its time in seconds; from second `begin` on or
    earlier.

    Frames are turned as the video says they are to be watched. Raises ModelError where there are none to be read, and
    where a tenth or more of those that the video announces are missing.
    """
    count = 0
    with _opened(path) as container:
        stream = container.streams.video[0]
        if begin is not None and stream.time_base:
            container.seek(max(0, math.floor(begin / stream.time_base)), stream=stream)
        rate = stream.average_rate or Fraction(25)
        for frame in container.decode(stream):
            yield _picture(frame), frame.time if frame.time is not None else float(count / rate)
            count += 1
        announced = stream.frames if begin is None else 0
    if not count:
        raise ModelError(f"{path.name} holds no frames")
    if count < 0.9 * announced:
        raise ModelError(f"{path.name} is cut short: {count} of its {announced} frames are there")


def read_video(path: Path) -> np.ndarray:
    """All frames of a short video at once, uint8 [time, height, width, 3], RGB. Raises ModelError as `decode` does."""
    return np.stack([image for image, _ in decode(path)])


@contextmanager
def _opened(path: Path) -> Iterator[av.container.InputContainer]:
    if not path.is_file():
        raise ModelError(f"no video at {path}")
    if path.stat().st_size == 0:
        raise ModelError(f"{path.name} is empty, 0 bytes long")
    try:
        with av.open(str(path)) as container:
            yield container
    except (av.FFmpegError, IndexError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else "it has no pictures"
        raise ModelError(f"{path.name} cannot be read as a video, it may be half-written: {why}") from error


def _picture(frame: av.VideoFrame) -> np.ndarray:
    """uint8 [height, width, 3]; telephones video lying and say by how much to turn."""
    return np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)


SMALLEST_WRITTEN_SIDE = 256
"""Videos with a side of fewer pixels are enlarged when they are written."""


def write_video(path: Path, frames: np.ndarray, rate: float) -> None:
    """Write frames (uint8 [time, height, width, 3], RGB, `rate` a second) as H.264 mp4 that browsers play.

    Small videos are enlarged by a whole factor, pixel by pixel, so that they can be watched; an odd side is then
    lengthened by repeating its last row or column, as the format wants even ones. Raises ModelError.
    """
    if len(frames) == 0:
        raise ModelError(f"no frames to write to {path}")
    factor = max(1, math.ceil(SMALLEST_WRITTEN_SIDE / min(frames.shape[1:3])))
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
