"""Files that are replaced whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from viper_model.errors import ModelError


def replace_file(path: Path, content: bytes) -> None:
    """Write `content` to `path` in one step and make it durable. Raises ModelError; the old file is then untouched."""
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        why = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror
        raise ModelError(f"cannot save {path}: {why}; what was saved before is intact") from error
