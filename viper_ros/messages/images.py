"""Pictures in and out of sensor_msgs."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image

from viper_model.errors import ModelError
from viper_model.videos import image_messages
from viper_ros.runtime.node import MessageError


def to_rgb(message: Image | CompressedImage) -> np.ndarray:
    """The picture in a message: uint8 [height, width, 3]. Raises MessageError where it is none that is read."""
    try:
        return image_messages.rgb(message)
    except ModelError as error:
        raise MessageError(str(error)) from error


def kind_of(topic: str) -> type[Image] | type[CompressedImage]:
    """The type of a camera's topic, by image_transport's rule: what ends in /compressed is CompressedImage."""
    return CompressedImage if topic.endswith("/compressed") else Image


def to_message(image: np.ndarray, stamp: Time, frame_id: str) -> Image:
    """A message that holds uint8 [height, width, 3] (rgb8) or [height, width] (mono8)."""
    height, width, *channels = image.shape
    message = Image(height=height, width=width, encoding="rgb8" if channels else "mono8")
    message.header.stamp = stamp
    message.header.frame_id = frame_id
    message.step = width * (3 if channels else 1)
    message.data.frombytes(image.tobytes())
    return message
