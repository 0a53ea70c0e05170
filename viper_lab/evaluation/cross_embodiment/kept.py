"""Arrays that took long to make, kept in a file with what they were made of."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from viper_model.files import UNREADABLE_ARRAYS, replace_file

_MADE_OF = "made of"


def kept(path: Path, made_of: Mapping[str, Any], make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays in the .npz at `path` where they were made of the same; else what `make` returns, kept there.

    made_of: all that decides what the arrays are, as JSON has it. A file that can't be read is made again.
    Raises ModelError where the file can't be written.
    """
    told = json.dumps(made_of, sort_keys=True)
    try:
        with np.load(path, allow_pickle=False) as file:
            if str(file[_MADE_OF]) == told:
                return {name: file[name] for name in file.files if name != _MADE_OF}
    except UNREADABLE_ARRAYS:
        pass
    arrays = make()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{_MADE_OF: np.array(told), **arrays})
    replace_file(path, buffer.getvalue())
    return arrays
