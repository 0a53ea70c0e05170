"""Pictures in and out of sensor_msgs."""

from __future__ import annotations

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from rosbags.image import ImageError, message_to_cvimage
from rosbags.image.image import to_cvtype
from sensor_msgs.msg import Image

from viper_ros.runtime.node import MessageError


def to_rgb(message: Image) -> np.ndarray:
    """The picture in a message of any encoding that OpenCV converts to RGB: uint8 [height, width, 3].

    Raises MessageError where the encoding is unknown or the data is shorter than the header says.
    """
    try:
        _, _, dtype, channels = to_cvtype(message.encoding)
        row = message.width * channels * np.dtype(dtype).itemsize
        if row == 0 or message.height == 0 or message.step < row or len(message.data) < message.height * message.step:
            size = f"{message.width}×{message.height}, {message.step} bytes a row and {len(message.data)} in all"
            raise MessageError(f"an image of {size} is empty or cut short")
        if message.step > row:
            rows = np.frombuffer(message.data, np.uint8)[: message.height * message.step].reshape(-1, message.step)
            message = Image(
                height=message.height,
                width=message.width,
                encoding=message.encoding,
                is_bigendian=message.is_bigendian,
                data=rows[:, :row].ravel(),
            )
        image: np.ndarray = message_to_cvimage(message, "rgb8")
    except (ImageError, TypeError, ValueError, cv2.error) as error:
        why = str(error).splitlines()[0]
        raise MessageError(f"an image of encoding '{message.encoding}' can't be read ({why})") from error
    return image


def to_message(image: np.ndarray, stamp: Time, frame_id: str) -> Image:
    """A message that holds uint8 [height, width, 3] (rgb8) or [height, width] (mono8)."""
    height, width, *channels = image.shape
    message = Image(height=height, width=width, encoding="rgb8" if channels else "mono8")
    message.header.stamp = stamp
    message.header.frame_id = frame_id
    message.step = width * (3 if channels else 1)
    message.data.frombytes(image.tobytes())
    return message
