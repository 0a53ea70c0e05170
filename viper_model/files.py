"""Files that are replaced whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from viper_model.errors import ModelError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a path to write to, beside `path`, whose place it takes in one step when the block has ended, durably.

    Where the block doesn't end well, nothing of it is left, and `path` is as it was. Raises ModelError for an OSError.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        with open(part, "rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        why = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror or error
        raise ModelError(f"cannot save {path}: {why}; what was saved before is intact") from error
    finally:
        with suppress(OSError):  # It has been renamed, or there is no such folder.
            part.unlink()


def replace_file(path: Path, content: bytes) -> None:
    """Write `content` to `path` in one step and make it durable. Raises ModelError; the old file is then untouched."""
    with replacing(path) as part:
        part.write_bytes(content)
