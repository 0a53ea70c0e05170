import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image

from viper_ros.messages.images import to_message, to_rgb
from viper_ros.runtime.node import MessageError

STAMP = Time(sec=12, nanosec=34)


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (5, 7, 3), np.uint8)


def message(encoding: str, pixels: np.ndarray, step: int | None = None) -> Image:
    height, width = pixels.shape[:2]
    result = Image(height=height, width=width, encoding=encoding, step=step or pixels.nbytes // height)
    result.data.frombytes(pixels.tobytes())
    return result


def test_rgb_survives_the_round_trip_with_its_stamp() -> None:
    sent = to_message(picture(), STAMP, "camera")
    assert (sent.header.stamp, sent.header.frame_id, sent.encoding) == (STAMP, "camera", "rgb8")
    assert (to_rgb(sent) == picture()).all()


def test_bgr_and_mono_become_rgb() -> None:
    assert (to_rgb(message("bgr8", picture()[..., ::-1])) == picture()).all()
    grey = picture()[..., 0]
    assert (to_rgb(to_message(grey, STAMP, "camera")) == grey[..., None]).all()


def test_padded_rows_are_understood() -> None:
    padded = np.pad(picture().reshape(5, 21), ((0, 0), (0, 11)))
    assert (to_rgb(Image(height=5, width=7, encoding="rgb8", step=32, data=padded.flatten())) == picture()).all()


@pytest.mark.parametrize(
    "broken",
    [
        Image(),
        message("nonsense", picture()),
        message("", picture()),
        Image(height=5, width=7, encoding="rgb8", step=21),
        Image(height=2**31, width=2**31, encoding="rgb8", step=1),
        message("rgb8", picture(), step=1),
    ],
    ids=["empty", "unknown", "unnamed", "no data", "enormous", "short step"],
)
def test_what_is_no_picture_is_told_in_one_line(broken: Image) -> None:
    with pytest.raises(MessageError, match="an image of") as error:
        to_rgb(broken)
    assert "\n" not in str(error.value)


def test_compressed_images_are_read_and_what_is_not_read_is_named() -> None:
    data = cv2.imencode(".png", picture()[..., ::-1])[1].tobytes()
    assert (to_rgb(CompressedImage(format="rgb8; png compressed bgr8", data=data)) == picture()).all()
    with pytest.raises(MessageError, match="'zstd'"):
        to_rgb(CompressedImage(format="zstd", data=data[1:]))
    with pytest.raises(MessageError, match="'8UC3'"):
        to_rgb(message("8UC3", picture()))
