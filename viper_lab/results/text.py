"""Text files of results, for people and for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from viper_model.files import replace_file


def printable(text: str) -> str:
    """`text` as UTF-8 can hold it: of a file's name that is not UTF-8, other bytes are written as \\udcff."""
    return text.encode(errors="backslashreplace").decode()


def write_text(path: Path, text: str) -> None:
    """Raises ModelError where that can't be done; an old file is then untouched."""
    replace_file(path, printable(text).encode())


def write_csv(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    """Raises ModelError, as `write_text` does."""
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows(rows)
    write_text(path, table.getvalue())
