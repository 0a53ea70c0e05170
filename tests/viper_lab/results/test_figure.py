from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from matplotlib.text import Text

from viper_lab.results.figure import new_figure, save_figure
from viper_lab.results.report import plot_learning
from viper_model.errors import ModelError


@pytest.mark.parametrize("name", ["a_{b}$x^$", "机器人", "lat\udce9"])
def test_a_figure_may_hold_any_name(name: str, tmp_path: Path) -> None:
    figure = new_figure(4, 3)
    axes = figure.subplots()
    axes.plot([0, 1], label=name)
    axes.set_title(name)
    axes.legend()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_figure(tmp_path / "figure.png", figure, dpi=50)
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_a_title_between_dollars_is_no_formula(tmp_path: Path) -> None:
    widths = []
    for title in ("cost $5 or $6", "cost X5 or X6"):
        figure = new_figure(4, 3)
        drawn = figure.subplots().set_title(title, fontfamily="monospace")
        save_figure(tmp_path / "figure.png", figure, dpi=50)
        widths.append(drawn.get_window_extent().width)
    assert widths[0] == pytest.approx(widths[1], abs=1)


def test_a_logarithmic_axis_is_labelled_without_formulas(tmp_path: Path) -> None:
    records = [{"step": n, "train_return": 1.0, "train_reward": 1.0, "kl": 10.0**n} for n in range(4)]
    figure = plot_learning(records)
    save_figure(tmp_path / "figure.png", figure, dpi=50)
    labels = [text.get_text() for text in figure.findobj(Text)]
    assert {"1", "100"} <= set(labels)
    assert not [label for label in labels if "$" in label]


def test_a_full_disk_leaves_the_old_figure(tmp_path: Path) -> None:
    save_figure(tmp_path / "figure.png", new_figure(1, 1), dpi=50)
    old = (tmp_path / "figure.png").read_bytes()
    (tmp_path / ".figure.png.part").symlink_to("/dev/full")
    with pytest.raises(ModelError, match="the disk is full"):
        save_figure(tmp_path / "figure.png", new_figure(2, 2), dpi=50)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [old]
