"""Comparisons as pictures, the methods in the same colours in all of them."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from viper_lab.evaluation.comparison import SHARES, Comparison
from viper_lab.evaluation.rewards import REWARDS
from viper_lab.evaluation.runs import Method
from viper_lab.evaluation.statistics import METRICS, Estimate
from viper_lab.results.figure import new_figure

_SCORES = {"dmc": "return / 1000", "atari": "human-normalised score", "robosuite": "success", "rlbench": "success"}
_LINES = {"drqv2": "-", "dreamer": "--"}
"""By agent; rewards have the colours."""


def score_name(sim: str) -> str:
    """What a normalised score is in a simulator, one of the user's own too."""
    return _SCORES.get(sim, "normalised score")


def plot_aggregates(comparison: Comparison) -> Figure:
    """Each of METRICS by method, with its interval."""
    rows = comparison.rows
    figure = new_figure(11, 0.9 + 0.34 * len(rows))
    for axes, metric in zip(figure.subplots(1, len(METRICS), sharey=True), METRICS, strict=True):
        for height, row in enumerate(reversed(rows)):
            estimate, colour = row.metrics[metric], _colour(row.method)
            axes.plot([estimate.low, estimate.high], [height, height], color=colour, linewidth=6, alpha=0.35)
            axes.plot(estimate.value, height, "|", color=colour, markersize=14, markeredgewidth=2.5)
        axes.set_title(metric, fontsize=10)
        axes.grid(axis="x", alpha=0.3)
        axes.set_yticks(range(len(rows)), [_label(comparison, row.method) for row in reversed(rows)], fontsize=9)
        axes.set_ylim(-0.6, len(rows) - 0.4)
    figure.supxlabel(score_name(comparison.sim), fontsize=10)
    return figure


def plot_profiles(comparison: Comparison) -> Figure:
    figure, axes = _one_plot()
    for method, estimate in comparison.profiles.items():
        _band(axes, comparison.thresholds, estimate, method, _label(comparison, method), step=True)
    axes.set(xlabel=f"{score_name(comparison.sim)} τ", ylabel="share of runs with a score above τ", ylim=(-0.02, 1.02))
    return _with_legend(figure, axes)


def plot_efficiency(comparison: Comparison) -> Figure:
    figure, axes = _one_plot()
    for method, estimate in comparison.efficiency.items():
        _band(axes, 100 * SHARES, estimate, method, _label(comparison, method))
    axes.set(xlabel="environment steps, % of the task's", ylabel=f"IQM of {score_name(comparison.sim)}")
    return _with_legend(figure, axes)


def plot_tasks(comparison: Comparison, columns: int = 3) -> Figure:
    """The mean over seeds by environment steps, a panel a task."""
    tasks = [task for task in comparison.tasks if any(comparison.of(method, task) for method in comparison.methods)]
    rows = -(-len(tasks) // columns)
    figure = new_figure(11, 2.8 * rows + 0.5)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, task in zip(grid.flat, tasks, strict=False):
        for method in comparison.methods:
            if comparison.of(method, task):
                steps, estimate = comparison.learning(method, task)
                _band(axes, steps / 1000, estimate, method, short_title(method))
        axes.set_title(task, fontsize=10)
        axes.grid(alpha=0.3)
    for axes in grid.flat[len(tasks) :]:
        axes.set_axis_off()
    figure.supxlabel("thousand environment steps", fontsize=10)
    figure.supylabel(score_name(comparison.sim), fontsize=10)
    lines = {line.get_label(): line for axes in grid.flat for line in axes.lines}
    figure.legend(lines.values(), lines.keys(), loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    return figure


def short_title(method: Method) -> str:
    """Agent and reward, as one word each."""
    return f"{method.agent} {method.reward}"


def _one_plot() -> tuple[Figure, Axes]:
    figure = new_figure(8, 3.6)
    axes = figure.subplots()
    axes.grid(alpha=0.3)
    return figure, axes


def _label(comparison: Comparison, method: Method) -> str:
    """Tells of a method that lacks tasks: its figures can't be compared with the others'."""
    have, all_tasks = len(comparison.tasks_of(method)), len(comparison.tasks)
    return short_title(method) + ("" if have == all_tasks else f"\n({have} of {all_tasks} tasks)")


def _band(axes: Axes, x: np.ndarray, estimate: Estimate, method: Method, label: str, *, step: bool = False) -> None:
    colour = _colour(method)
    style = "steps-post" if step else "default"
    axes.plot(x, estimate.value, _LINES.get(method.agent, ":"), color=colour, drawstyle=style, label=label)
    axes.fill_between(
        x, estimate.low, estimate.high, color=colour, alpha=0.15, linewidth=0, step="post" if step else None
    )


def _with_legend(figure: Figure, axes: Axes) -> Figure:
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=9)
    return figure


def _colour(method: Method) -> str:
    names = [*REWARDS]
    return f"C{names.index(method.reward) if method.reward in names else len(names)}"
