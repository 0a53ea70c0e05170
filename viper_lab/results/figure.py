"""How figures are begun and kept."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from matplotlib.text import Text

from viper_lab.results.page import data_url
from viper_lab.results.text import printable
from viper_model.files import replace_file

matplotlib.use("Agg")
matplotlib.rcParams["text.parse_math"] = False  # Names of files, tasks and kinds may hold dollars, and are no formulas.


def new_figure(width: float, height: float) -> Figure:
    """In inches."""
    return Figure(figsize=(width, height), layout="constrained")


def save_figure(path: Path, figure: Figure, dpi: int) -> None:
    """Write a PNG. Raises ModelError where that can't be done."""
    for text in figure.findobj(Text):
        text.set_text(printable(text.get_text()))
    content = io.BytesIO()
    with warnings.catch_warnings():
        # What no font has is drawn as a box: a line for each character would tell no more.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(content, format="png", dpi=dpi)
    replace_file(path, content.getvalue())


def plot_url(path: Path, figure: Figure, dpi: int) -> str:
    """Keep a figure for a page; returns it as a URL. Raises ModelError, as `save_figure` does."""
    save_figure(path, figure, dpi)
    return data_url(path)
