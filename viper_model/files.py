"""Files that are replaced whole or not at all, and locks between processes."""

from __future__ import annotations

import errno
import fcntl
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from viper_model.errors import ModelError

UNREADABLE_ARRAYS = (OSError, ValueError, KeyError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged .npz raises, or one that lacks an array."""


def disk_is_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def saving(path: Path) -> Iterator[None]:
    """What goes wrong while `path` is written, in one line: ModelError instead of OSError."""
    try:
        yield
    except OSError as error:
        why = "the disk is full" if disk_is_full(error) else error.strerror or error
        raise ModelError(f"cannot save {path}: {why}; what was saved before is intact") from error


@contextmanager
def locked(path: Path, taken: Callable[[], object]) -> Iterator[None]:
    """Hold the lock at `path`, one process at a time. Where another holds it, `taken` is called, which may raise; then
    that one is waited for. Raises ModelError where the lock can't be written, and on a file system without locks."""
    with saving(path):
        file = open(path, "w")  # noqa: SIM115
    with file:
        if not _lock(path, file, fcntl.LOCK_EX | fcntl.LOCK_NB):
            taken()
            _lock(path, file, fcntl.LOCK_EX)
        yield


def _lock(path: Path, file: IO[str], how: int) -> bool:
    """Whether the lock was had; False where another holds it and is not to be waited for."""
    try:
        fcntl.flock(file, how)
    except BlockingIOError:
        return False
    except OSError as error:
        why = f"{error.strerror}: put {path.parent} on a local disk, or link it there"
        raise ModelError(f"cannot lock {path}, {why}") from error
    return True


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a path to write to, beside `path`, whose place it takes in one step when the block has ended, durably.

    Where the block doesn't end well, nothing of it is left, and `path` is as it was. Raises ModelError for an OSError.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with saving(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield part
            with open(part, "rb") as file:
                os.fsync(file.fileno())
            os.replace(part, path)
    finally:
        with suppress(OSError):  # It has been renamed, or there is no such folder.
            part.unlink()


def replace_file(path: Path, content: bytes) -> None:
    """Write `content` to `path` in one step and make it durable. Raises ModelError; the old file is then untouched."""
    with replacing(path) as part:
        part.write_bytes(content)
