"""Pictures in sensor_msgs Image and CompressedImage, live or from a bag.

What is on a list comes out in true colours; all else is refused by its name.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from viper_model.errors import ModelError

MOSAICS = {
    # OpenCV calls a mosaic by its second row's second and third pixel, ROS by the first two rows' first ones.
    "bayer_rggb8": cv2.COLOR_BayerBG2RGB,
    "bayer_bggr8": cv2.COLOR_BayerRG2RGB,
    "bayer_gbrg8": cv2.COLOR_BayerGR2RGB,
    "bayer_grbg8": cv2.COLOR_BayerGB2RGB,
}
HALVED = {
    "uyvy": cv2.COLOR_YUV2RGB_UYVY,
    "yuv422": cv2.COLOR_YUV2RGB_UYVY,
    "yuyv": cv2.COLOR_YUV2RGB_YUY2,
    "yuv422_yuy2": cv2.COLOR_YUV2RGB_YUY2,
}
"""Two pixels side by side share their chroma."""
PACKED: dict[str, tuple[int, int | None]] = {
    "rgb8": (3, None),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "mono8": (1, cv2.COLOR_GRAY2RGB),
    **{encoding: (1, conversion) for encoding, conversion in MOSAICS.items()},
    **{encoding: (2, conversion) for encoding, conversion in HALVED.items()},
}
"""By encoding: bytes a pixel, and OpenCV's conversion to RGB. YUV is BT.601 of limited range, as cameras send it."""
PLANAR = {"nv12": cv2.COLOR_YUV2RGB_NV12, "nv21": cv2.COLOR_YUV2RGB_NV21}
"""Encodings of a byte a pixel, then half as many rows of interleaved chroma: OpenCV's conversion to RGB."""
ENCODINGS = (*PACKED, *PLANAR)
"""Of sensor_msgs/Image: what is read."""
COLOURS = ("rgb8", "bgr8", "rgba8", "bgra8")
COMPRESSED = {"jpeg": b"\xff\xd8\xff", "png": b"\x89PNG\r\n"}
"""What is read of sensor_msgs/CompressedImage: the first bytes of the data."""

BASELINE, EXTENDED, START_OF_SCAN, END_OF_IMAGE, FIRST_RESTART = 0xC0, 0xC1, 0xDA, 0xD9, 0xD0
STUFFED, FILL = 0x00, 0xFF
"""Of JPEG: what follows 0xFF."""


def rgb(message: Any) -> np.ndarray:
    """The picture in a sensor_msgs Image or CompressedImage: uint8 [height, width, 3].

    Raises ModelError, with the encoding or format, where it isn't on the list or the data is no such picture.
    """
    try:
        return _compressed(message) if hasattr(message, "format") else _raw(message)
    except cv2.error as error:
        name = message.format if hasattr(message, "format") else message.encoding
        raise ModelError(f"an image of '{name}' can't be read ({str(error).splitlines()[0]})") from error


def check_encoding(encoding: str) -> None:
    """Raises ModelError, with the name of the encoding of a sensor_msgs/Image, where it isn't on the list."""
    if encoding not in ENCODINGS:
        raise ModelError(f"an image of encoding '{encoding}' is not read: publish one of {', '.join(ENCODINGS)}")


def _raw(message: Any) -> np.ndarray:
    encoding, height, width = message.encoding, message.height, message.width
    check_encoding(encoding)
    pixel_bytes, conversion = PACKED.get(encoding) or (1, PLANAR[encoding])
    rows, row = height * 3 // 2 if encoding in PLANAR else height, width * pixel_bytes
    step = message.step or row  # Some publishers leave it out, where rows are not padded.
    if row == 0 or height == 0 or step < row or len(message.data) < rows * step:
        size = f"{width}×{height} in {encoding}, {message.step} bytes a row and {len(message.data)} in all"
        raise ModelError(f"an image of {size} is empty or cut short")
    if (encoding in PLANAR and height % 2) or (encoding in (*PLANAR, *HALVED) and width % 2):
        raise ModelError(f"an image of {width}×{height} in {encoding}: sides that share their chroma have to be even")
    pixels = np.asarray(message.data, np.uint8)[: rows * step].reshape(rows, step)[:, :row]
    image = pixels.reshape((rows, width, pixel_bytes) if pixel_bytes > 1 else (rows, width))
    return np.ascontiguousarray(image) if conversion is None else cv2.cvtColor(image, conversion)


def _compressed(message: Any) -> np.ndarray:
    # As image_transport writes a format: the encoding of the image; how, and into what, it was compressed.
    encoding, _, compression = message.format.partition(";")
    data = np.asarray(message.data, np.uint8)
    if not any(data[: len(magic)].tobytes() == magic for magic in COMPRESSED.values()):
        raise ModelError(f"a compressed image of format '{message.format}' is not read: only JPEG and PNG are")
    if compression and encoding not in COMPRESSED:
        check_encoding(encoding)
    image = None if _is_damaged_jpeg(data) else cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ModelError(f"a compressed image of format '{message.format}' is damaged")
    if image.dtype != np.uint8:
        bits = 8 * image.itemsize
        raise ModelError(f"a compressed image of format '{message.format}' has {bits} bits a channel: only 8 are read")
    if image.ndim == 2:
        is_mosaic = encoding in MOSAICS and "mono" not in compression
        return cv2.cvtColor(image, MOSAICS[encoding] if is_mosaic else cv2.COLOR_GRAY2RGB)
    # As image_transport's own decoder: what doesn't say that it was compressed from BGR has red and blue interchanged.
    interchanged = encoding in COLOURS and "compressed" in compression and "compressed bgr" not in compression
    image = image[..., :3]
    return np.ascontiguousarray(image) if interchanged else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _is_damaged_jpeg(data: np.ndarray) -> bool:
    """Whether markers stand among a JPEG's pixels that no encoder puts there (ITU-T T.81, B.1.1 and B.2).

    So it is where a part was lost, overwritten, or is another picture's: OpenCV decodes that without a word. Damage
    without a marker goes unseen, and so does any of pictures in several scans.
    """
    at, components = 2, -1
    while at + 9 < len(data) and data[at] == 0xFF:
        kind, begin = int(data[at + 1]), at
        at += 2 + (int(data[at + 2]) << 8 | int(data[at + 3]))
        if kind in (BASELINE, EXTENDED):
            components = int(data[begin + 9])
        if kind == START_OF_SCAN:
            if data[begin + 4] != components:
                return False
            after = data[at + 1 :][data[at:-1] == 0xFF]
            markers = after[(after != STUFFED) & (after != FILL)]
            ends = np.flatnonzero(markers == END_OF_IMAGE)
            markers = markers[: ends[0]] if len(ends) else markers
            return bool((markers != FIRST_RESTART + np.arange(len(markers)) % 8).any())
    return False
