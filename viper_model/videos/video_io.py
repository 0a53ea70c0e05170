"""Videos as files: any container that PyAV reads, and mp4 that browsers play."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition

from viper_model.errors import ModelError
from viper_model.files import replacing
from viper_model.videos.colour import RgbPictures
from viper_model.videos.source import LEAST_SHARE, is_text

logger = logging.getLogger(__name__)

UNSAID_RATE = 25.0
"""Hz, of frames without times, to tell them apart; FFmpeg takes the same."""
RATE_TOLERANCE = 0.25
"""By which share the time between two frames may differ in a video of one rate; formats round times."""
NO_TIMESTAMPS = 0x80
"""FFmpeg's mark of formats that keep no times (AVFMT_NOTIMESTAMPS): what it says of them is made up."""
TIMES_MAY_JUMP = 0x200
"""FFmpeg's mark of broadcast formats such as .ts (AVFMT_TS_DISCONT), in which times may begin anew and a packet be half
a frame: their frames can't be told from packets."""


def probe(path: Path) -> tuple[int | None, float | None, int, int]:
    """A video's number of frames and rate in Hz (None where it does not say), height and width, as it is watched.

    What the headers don't tell, or tell of frames that an edit list hides, is counted, without decoding; where they
    tell a length and no number of frames, frames may come when they come. Raises ModelError where it is no video.
    """
    with _opened(path) as (container, stream):
        first = next(_pictures(container, stream, whole=False), None)
        if first is None:
            raise ModelError(f"{path.name} holds no frames")
        height, width = first[0].shape[:2]
        announced, rate, expected = stream.frames, _rate(container, stream), _expected(container, stream)
        if not announced and container.format.flags & TIMES_MAY_JUMP:
            announced = expected or 0
        if announced and expected is not None and abs(announced - expected) <= 1:
            return announced, rate, height, width
    frames, lasted = _count(path)
    if not announced and rate and lasted:
        rate = (frames - 1) / lasted
    return frames, rate, height, width


def decode(path: Path, begin: float | None = None) -> Iterator[tuple[np.ndarray, float | None]]:
    """A video's frames, uint8 [height, width, 3], RGB, each with its time in seconds, which only grows; from second
    `begin` on or earlier. The times are None where the format keeps none, such as a bare H.264 stream.

    Frames are those that are watched: turned as the video says, without what an edit list hides. Raises ModelError
    where there are none to be read, and where a tenth or more of them are missing.
    """
    with _opened(path) as (container, stream):
        if begin is not None and stream.time_base:
            container.seek(max(0, math.floor(begin / stream.time_base)), stream=stream)
        timed = _rate(container, stream) is not None
        count = 0
        for picture, second in _pictures(container, stream, whole=begin is None):
            yield picture, second if timed else None
            count += 1
    if not count:
        raise ModelError(f"{path.name} holds no frames")


def read_video(path: Path) -> np.ndarray:
    """All frames of a short video at once, uint8 [time, height, width, 3], RGB. Raises ModelError as `decode` does."""
    return np.stack([image for image, _ in decode(path)])


def _pictures(container: InputContainer, stream: av.VideoStream, whole: bool) -> Iterator[tuple[np.ndarray, float]]:
    """The frames from where the container is, and their seconds.

    Raises ModelError where too many of a `whole` video are missing, by its headers; other losses are told.
    """
    rgb = RgbPictures(stream)
    period = 1 / (_rate(container, stream) or UNSAID_RATE)
    matrices: deque[np.ndarray] = deque()
    seconds: deque[float] = deque()
    times: list[float] = []
    packets = shown = damaged = 0
    for packet in container.demux(stream):
        packets += bool(packet.size)
        shown += bool(packet.size) and not packet.is_discard
        for frame in stream.decode(packet):
            time = frame.time
            if time is None or (times and time <= times[-1]):
                time = times[-1] + period if times else 0.0
            times.append(time)
            damaged += frame.is_corrupt
            seconds.append(time)
            matrices.append(_display_matrix(frame))
            for picture in rgb.push(frame):
                yield _displayed(picture, matrices.popleft()), seconds.popleft()
    for picture in rgb.flush():
        yield _displayed(picture, matrices.popleft()), seconds.popleft()
    if not whole or not times:
        return
    frames, announced = len(times), min(stream.frames, _expected(container, stream) or stream.frames)
    if packets < LEAST_SHARE * announced or (stream.frames and frames < LEAST_SHARE * shown):
        raise ModelError(f"it is cut short: {frames} of its {max(announced, shown)} frames are there")
    if damaged:
        _tell(f"{container.name}: {damaged} of its {frames} frames are damaged, and perhaps those after them")
    lasted = times[-1] - times[0]
    length = container.duration / av.time_base if container.duration and not stream.frames else 0.0
    if lasted + period < LEAST_SHARE * length:
        _tell(f"{container.name}: its frames end after {lasted + period:.1f} of {length:.1f} s: it may be cut short")
    if (missing := _missing_between(np.array(times))) > (1 - LEAST_SHARE) * (frames + missing):
        _tell(f"{container.name}: {missing} frames are missing between the {frames} that are there")


def _missing_between(times: np.ndarray) -> int:
    """How many frames are missing of a video of one rate; 0 where the rate varies. times: seconds, float64 [frames]."""
    gaps = np.diff(times)
    usual = float(np.median(gaps)) if len(gaps) else 0.0
    if not usual or (np.abs(gaps - usual) < RATE_TOLERANCE * usual).mean() < LEAST_SHARE:
        return 0
    return round((times[-1] - times[0]) / usual) + 1 - len(times)


def _display_matrix(frame: av.VideoFrame) -> np.ndarray:
    """How a stored frame is turned and mirrored to be watched: int [2, 2], the stored x's and y's displayed x and y."""
    side_data: Any = frame.side_data  # PyAV's type hints know but one kind of it.
    if "DISPLAYMATRIX" not in side_data:
        return np.eye(2, dtype=np.int32)
    whole = np.frombuffer(bytes(side_data["DISPLAYMATRIX"]), np.int32).reshape(3, 3)
    return whole[:2, :2]


def _displayed(picture: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """A picture [height, width, 3] by a display matrix, turned by the nearest multiple of 90°."""
    (xx, xy), (yx, yy) = matrix.astype(int).tolist()
    if abs(xy) > abs(xx):
        picture = picture.swapaxes(0, 1)
        xx, yy = yx, xy
    return picture[:: -1 if yy < 0 else 1, :: -1 if xx < 0 else 1]


def _rate(container: InputContainer, stream: av.VideoStream) -> float | None:
    """Hz; None where the format does not say."""
    bare = container.format.flags & NO_TIMESTAMPS or container.format.name.endswith("_pipe")
    rate = stream.codec_context.framerate if bare else stream.average_rate
    return float(rate) if rate else None


def _expected(container: InputContainer, stream: av.VideoStream) -> int | None:
    """The number of frames by the length that is watched; None where that is not said."""
    rate = _rate(container, stream)
    if rate and stream.duration and stream.time_base:
        return round(stream.duration * stream.time_base * rate)
    if rate and container.duration:
        return round(container.duration / av.time_base * rate)
    return None


def _count(path: Path) -> tuple[int, float]:
    """The number of frames that are watched, and the seconds from the first to the last."""
    with _opened(path) as (container, stream):
        times = [packet.pts for packet in container.demux(stream) if packet.size and not packet.is_discard]
        known = [time for time in times if time is not None]
        return len(times), float((max(known) - min(known)) * stream.time_base) if known and stream.time_base else 0.0


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, av.VideoStream]]:
    """A file and its video. Raises ModelError where there is none, now or while it is read."""
    if not path.is_file():
        raise ModelError(f"no video at {path}")
    if path.stat().st_size == 0:
        raise ModelError(f"{path.name} is empty, 0 bytes long")
    try:
        # From the root on, for FFmpeg takes what stands before a colon for a protocol.
        with av.open(str(path.absolute())) as container:
            yield container, _video(container)
    except ModelError as error:
        raise ModelError(f"{path.name}: {error}") from error
    except (av.FFmpegError, OSError) as error:
        why = (
            "it is text"
            if isinstance(error, av.InvalidDataError) and is_text(path)
            else f"it may be half-written: {error.strerror}"
        )
        raise ModelError(f"{path.name} cannot be read as a video, {why}") from error


def _video(container: InputContainer) -> av.VideoStream:
    """The stream that players show: no cover, and of several the one that FFmpeg takes, which is told. Raises
    ModelError."""
    covers = Disposition.attached_pic | Disposition.timed_thumbnails
    videos = [stream for stream in container.streams.video if not stream.disposition & covers]
    if not videos:
        raise ModelError("it has no video" + (" but a cover picture" if container.streams.video else ""))
    videos = [stream for stream in videos if stream.frames != 1] or videos  # Some covers are not called so.
    best = container.streams.best("video")
    video = next((stream for stream in videos if best and stream.index == best.index), videos[0])
    if video.codec_context is None:
        raise ModelError("its pictures are coded in a way that FFmpeg doesn't know: convert it to H.264")
    if len(videos) > 1:
        sizes = ", ".join(f"stream {each.index} of {each.width}×{each.height}" for each in videos)
        _tell(f"{container.name}: it has {len(videos)} videos ({sizes}): stream {video.index} is read")
    return video


@cache
def _tell(line: str) -> None:
    """A line in the log, once, though a video is opened more than once."""
    logger.warning(line)


BT601 = 6
"""The matrix by which FFmpeg makes Y'CbCr of RGB, by number in ITU-T H.273. Unsaid, browsers take another for large
videos."""
SMALLEST_WRITTEN_SIDE = 256
"""Videos with a side of fewer pixels are enlarged when they are written."""


def write_video(path: Path, frames: np.ndarray, rate: float) -> None:
    """Write frames (uint8 [time, height, width, 3], RGB, `rate` a second) as H.264 mp4 that browsers play.

    Small videos are enlarged by a whole factor, pixel by pixel, so that they can be watched; an odd side is then
    lengthened by repeating its last row or column, as the format wants even ones. Raises ModelError.
    """
    if len(frames) == 0:
        raise ModelError(f"no frames to write to {path}")
    with replacing(path) as part:
        try:
            _encode(part, frames, rate)
        except av.FFmpegError as error:
            raise OSError(error.errno, error.strerror) from error


def _encode(path: Path, frames: np.ndarray, rate: float) -> None:
    factor = max(1, math.ceil(SMALLEST_WRITTEN_SIDE / min(frames.shape[1:3])))
    height, width = (factor * side for side in frames.shape[1:3])
    # From the root on, for FFmpeg takes what stands before a colon for a protocol.
    with av.open(str(path.absolute()), "w", format="mp4") as container:
        stream = container.add_stream("h264", rate=Fraction(rate).limit_denominator(1000))
        stream.height, stream.width = height + height % 2, width + width % 2
        stream.pix_fmt = "yuv420p"
        stream.codec_context.colorspace = BT601
        for frame in frames:
            enlarged = frame.repeat(factor, 0).repeat(factor, 1)
            even = np.pad(enlarged, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        container.mux(stream.encode())
