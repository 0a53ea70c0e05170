"""Bags written without a ROS installation: rosbag2's format (MCAP), with the definitions of our own messages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from viper_lab.config import message_directory
from viper_lab.errors import UserError

OURS = ("Action", "Reward", "Step")
REWARD = "viper_ros/msg/Reward"


def message_types() -> Typestore:
    """What ROS 2 Kilted brings, and our messages as msg/ defines them."""
    store = get_typestore(Stores.ROS2_KILTED)
    for name in OURS:
        store.register(get_types_from_msg((message_directory() / f"{name}.msg").read_text(), f"viper_ros/msg/{name}"))
    return store


def open_new(path: Path) -> Writer:
    """A new bag, open; its `close` finishes it. Raises UserError where `path` is there already or can't be written."""
    try:
        writer = Writer(path, version=Writer.VERSION_LATEST, storage_plugin=StoragePlugin.MCAP)
        writer.open()
    except WriterError as error:
        raise UserError(f"{path} is there already: remove it or choose another out:=") from error
    except OSError as error:
        raise UserError(f"can't write to {path}: {error.strerror}") from error
    return writer


@contextmanager
def whole_bag(path: Path) -> Iterator[Writer]:
    """A new bag that is removed again where it does not get finished.

    Raises as `open_new` does, and UserError where it can't be written to any more.
    """
    writer = open_new(path)
    try:
        yield writer
        writer.close()
    except BaseException as error:
        shutil.rmtree(path, ignore_errors=True)
        if isinstance(error, OSError):
            raise UserError(
                f"can't write to {path}: {error.strerror}; make room there or choose another out:="
            ) from error
        raise
