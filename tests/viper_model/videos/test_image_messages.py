"""What cameras publish comes out in true colours, whatever its encoding, or is refused by name."""

import struct
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from viper_model.errors import ModelError
from viper_model.videos.image_messages import ENCODINGS, rgb

COLOURS = np.array([[220, 30, 30], [30, 200, 30], [30, 30, 220], [200, 200, 60]], np.uint8)
PICTURE = np.kron(COLOURS.reshape(2, 2, 3), np.ones((6, 8, 1), np.uint8))
"""uint8 [12, 16, 3]: a patch of each colour."""
ORDERS = {"rgb8": (0, 1, 2), "bgr8": (2, 1, 0), "rgba8": (0, 1, 2, None), "bgra8": (2, 1, 0, None)}
MOSAICS = {"bayer_rggb8": (0, 1, 1, 2), "bayer_bggr8": (2, 1, 1, 0), "bayer_gbrg8": (1, 2, 0, 1)}
MOSAICS["bayer_grbg8"] = (1, 0, 2, 1)
"""The channel of the pixels of the first two rows, two a row."""


def luminance_and_chroma(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Y, U, V of BT.601, limited range, by its definition: uint8 [height, width] each."""
    red, green, blue = np.moveaxis(picture / 255.0, -1, 0)
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    u, v = (blue - y) / 1.772, (red - y) / 1.402
    return tuple(np.round(part).astype(np.uint8) for part in (16 + 219 * y, 128 + 224 * u, 128 + 224 * v))


def rows_of(picture: np.ndarray, encoding: str) -> np.ndarray:
    """A picture as a driver sends it: uint8 [rows, bytes]."""
    height, width = picture.shape[:2]
    if encoding in ORDERS:
        alpha = np.full((height, width), 77, np.uint8)
        channels = [alpha if channel is None else picture[..., channel] for channel in ORDERS[encoding]]
        return np.stack(channels, -1).reshape(height, -1)
    if encoding in MOSAICS:
        mosaic = np.empty((height, width), np.uint8)
        for place, channel in enumerate(MOSAICS[encoding]):
            corner = np.s_[place // 2 :: 2, place % 2 :: 2]
            mosaic[corner] = picture[..., channel][corner]
        return mosaic
    y, u, v = luminance_and_chroma(picture)
    if encoding == "mono8":
        return y
    if encoding in ("nv12", "nv21"):
        pair = (u, v) if encoding == "nv12" else (v, u)
        chroma = np.stack([part[::2, ::2] for part in pair], -1)
        return np.concatenate([y, chroma.reshape(-1, width)])
    chroma = np.where(np.arange(width) % 2 == 0, u, v)
    pair = (chroma, y) if encoding in ("uyvy", "yuv422") else (y, chroma)
    return np.stack(pair, -1).reshape(height, -1)


def image(rows: np.ndarray, encoding: str, **changes: object) -> SimpleNamespace:
    height, width = PICTURE.shape[:2]
    fields = {"height": height, "width": width, "encoding": encoding, "step": rows.shape[1], "data": rows.ravel()}
    return SimpleNamespace(**{**fields, **changes})


def compressed(data: bytes, text: str) -> SimpleNamespace:
    return SimpleNamespace(format=text, data=np.frombuffer(data, np.uint8))


def encoded(pixels: np.ndarray, kind: str = "png") -> bytes:
    """By OpenCV, which takes what it is given for BGR."""
    return cv2.imencode(f".{kind}", np.ascontiguousarray(pixels))[1].tobytes()


def same_colours(picture: np.ndarray, expected: np.ndarray = PICTURE, tolerance: int = 2) -> bool:
    """Away from the patches' borders, where neighbours mix."""
    assert picture.shape == expected.shape
    assert picture.dtype == np.uint8
    inner = np.s_[[3, 3, 9, 9], [4, 12, 4, 12]]
    return int(np.abs(picture[inner].astype(int) - expected[inner]).max()) <= tolerance


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_on_the_list_has_true_colours_with_any_padding(encoding: str, padding: int) -> None:
    rows = np.pad(rows_of(PICTURE, encoding), ((0, 0), (0, padding)), constant_values=255)
    grey = luminance_and_chroma(PICTURE)[0][..., None].repeat(3, -1)
    assert same_colours(rgb(image(rows, encoding)), grey if encoding == "mono8" else PICTURE)


def test_a_step_that_was_left_out_means_no_padding() -> None:
    assert (rgb(image(rows_of(PICTURE, "bgr8"), "bgr8", step=0)) == PICTURE).all()


@pytest.mark.parametrize(
    "encoding", ["8UC1", "8UC3", "8UC4", "16UC1", "mono16", "rgb16", "32FC1", "bayer_rggb16", "nv24", "", "RGB8"]
)
def test_every_other_encoding_is_refused_by_name(encoding: str) -> None:
    with pytest.raises(ModelError, match=f"encoding '{encoding}' is not read: publish one of rgb8, "):
        rgb(image(np.zeros((12, 64), np.uint8), encoding))


@pytest.mark.parametrize(
    "broken",
    [
        image(np.zeros((12, 48), np.uint8), "rgb8", height=0),
        image(np.zeros((12, 48), np.uint8), "rgb8", width=0),
        image(np.zeros((12, 48), np.uint8), "rgb8", step=47),
        image(np.zeros((11, 48), np.uint8), "rgb8"),
        image(np.zeros((12, 16), np.uint8), "nv12"),
        image(np.zeros((12, 30), np.uint8), "yuyv", width=15),
        image(np.zeros((18, 15), np.uint8), "nv12", width=15),
    ],
    ids=["no rows", "no columns", "short step", "short data", "no chroma", "odd", "odd chroma"],
)
def test_what_is_no_picture_is_told_in_one_line(broken: SimpleNamespace) -> None:
    with pytest.raises(ModelError, match=broken.encoding) as error:
        rgb(broken)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("encoding", "size"), [("yuyv", (12, 15)), ("nv12", (12, 15)), ("nv21", (11, 16))])
def test_a_size_that_chroma_cannot_have_is_told_as_such(encoding: str, size: tuple[int, int]) -> None:
    height, width = size
    with pytest.raises(ModelError, match=rf"{width}×{height} in {encoding}: .* have to be even"):
        rgb(image(np.zeros((24, 48), np.uint8), encoding, height=height, width=width))


@pytest.mark.parametrize(
    ("text", "kind", "order"),
    [
        ("rgb8; jpeg compressed bgr8", "jpg", (2, 1, 0)),
        ("bgr8; png compressed bgr8", "png", (2, 1, 0)),
        ("jpeg", "jpg", (2, 1, 0)),
        ("png", "png", (2, 1, 0)),
        ("", "jpg", (2, 1, 0)),
        ("bgra8; png compressed bgr8", "png", (2, 1, 0, 0)),
        ("rgb8; jpeg compressed rgb8", "jpg", (0, 1, 2)),
        ("bgr8; jpeg compressed rgb8", "jpg", (0, 1, 2)),
    ],
)
def test_compressed_images_have_true_colours(text: str, kind: str, order: tuple[int, ...]) -> None:
    assert same_colours(rgb(compressed(encoded(PICTURE[..., order], kind), text)), tolerance=12)


def test_a_compressed_mosaic_has_true_colours_and_a_compressed_grey_image_is_grey() -> None:
    mosaic = rows_of(PICTURE, "bayer_grbg8")
    assert same_colours(rgb(compressed(encoded(mosaic), "bayer_grbg8; png compressed ")))
    for text in ("bayer_grbg8; jpeg compressed mono8", "yuv422_yuy2; jpeg compressed mono8", "mono8; png compressed "):
        assert (rgb(compressed(encoded(mosaic), text)) == mosaic[..., None]).all()


def zstd_of_a_message() -> bytes:
    return struct.pack("<I", 0xFD2FB528) + zlib.compress(PICTURE.tobytes())


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (encoded(np.full((12, 16), 900, np.uint16)), "16UC1; png compressed "),
        (encoded(np.full((12, 16), 900, np.uint16)), "png"),
        (b"\0" * 12 + encoded(np.full((12, 16), 900, np.uint16)), "16UC1; compressedDepth png"),
        (encoded(PICTURE), "8UC3; png compressed "),
        (zstd_of_a_message(), "zstd"),
        (encoded(PICTURE, "webp"), "webp"),
        (encoded(PICTURE)[:60], "png"),
        (b"", "jpeg"),
    ],
    ids=["depth", "16 bit", "compressedDepth", "8UC3", "zstd", "webp", "damaged", "empty"],
)
def test_other_compressed_images_are_refused_by_name(data: bytes, text: str) -> None:
    with pytest.raises(ModelError, match=text.partition(";")[0]):
        rgb(compressed(data, text))


SMOOTH = cv2.resize(np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8), (256, 192))
RESTARTS = [cv2.IMWRITE_JPEG_RST_INTERVAL, 4]
"""Markers among the pixels, by which a decoder finds its way again."""


def jpeg(*flags: int) -> bytes:
    return cv2.imencode(".jpg", SMOOTH, flags)[1].tobytes()


def middle(data: bytes, instead: bytes, lost: int) -> bytes:
    half = len(data) // 2
    return data[:half] + instead + data[half + lost :]


@pytest.mark.parametrize(
    "data",
    [
        middle(jpeg(), np.random.default_rng(0).bytes(2000), 2000),
        middle(jpeg(), jpeg(), len(jpeg()) // 2),
        middle(jpeg(*RESTARTS), bytes(2000), 2000),
        middle(jpeg(*RESTARTS), b"", 2000),
    ],
    ids=["overwritten", "begins the next picture", "zeros", "lost"],
)
def test_a_jpeg_whose_middle_is_damaged_is_refused(data: bytes) -> None:
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is not None
    with pytest.raises(ModelError, match="a compressed image of format 'jpeg' is damaged"):
        rgb(compressed(data, "jpeg"))


def with_a_small_picture_in_its_header(data: bytes) -> bytes:
    small = encoded(PICTURE, "jpg")
    return data[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(small)) + small + data[2:]


@pytest.mark.parametrize(
    "data",
    [
        jpeg(*RESTARTS),
        jpeg(cv2.IMWRITE_JPEG_OPTIMIZE, 1),
        jpeg(cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        with_a_small_picture_in_its_header(jpeg()),
        jpeg() + bytes(100),
        jpeg() + jpeg(),
    ],
    ids=["restarts", "optimised", "progressive", "small picture inside", "zeros behind it", "another behind it"],
)
def test_a_jpeg_of_any_kind_is_whole(data: bytes) -> None:
    assert np.abs(rgb(compressed(data, "jpeg")).astype(int) - SMOOTH[..., ::-1]).mean() < 8
