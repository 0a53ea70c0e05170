"""The figures of the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from viper_lab.evaluation.cross_embodiment.pairs import Pair
from viper_lab.evaluation.cross_embodiment.results import ERRORS, STILL, PairResult
from viper_lab.evaluation.cross_embodiment.rollouts import Rollouts
from viper_lab.evaluation.cross_embodiment.scoring import FORMS, OTHER_ARM, RIGHT, WRONG_LABEL, Likelihoods
from viper_lab.results.figure import new_figure
from viper_lab.results.imagine import Rollout
from viper_model.videos.find import EXPERT

SHOWN_STEPS = 6
UNSEEN = "C3"
COLUMNS = 3


def plot_grid(rollouts: Mapping[Pair, Rollouts], unseen: Sequence[Pair]) -> Figure:
    """Tasks by arms: above, frames of a video; below, what the model goes on with from the first of them."""
    arms = sorted({pair.arm for pair in rollouts})
    tasks = sorted({pair.task for pair in rollouts})
    figure = new_figure(0.2 + 0.75 * (1 + SHOWN_STEPS) * len(arms), 0.3 + 1.75 * len(tasks))
    grid = figure.subplots(len(tasks), len(arms), squeeze=False)
    for row, task in zip(grid, tasks, strict=True):
        for axes, arm in zip(row, arms, strict=True):
            pair = Pair(arm, task)
            axes.set(xticks=[], yticks=[])
            if pair not in rollouts:
                axes.set_axis_off()
                continue
            axes.imshow(strip(rollouts[pair][RIGHT][0]), interpolation="nearest")
            never = pair in unseen
            axes.set_title(
                f"{arm} {task}" + (", never seen" if never else ""), fontsize=9, color=UNSEEN if never else "k"
            )
            for spine in axes.spines.values():
                spine.set(color=UNSEEN if never else "0.7", linewidth=2 if never else 0.5)
    return figure


def strip(rollout: Rollout) -> np.ndarray:
    """The given frame and frames from all over what follows, as it was above what was imagined:
    uint8 [2 × height, (1 + SHOWN_STEPS) × width, 3]."""
    steps = min(len(rollout.truth), rollout.imagined.shape[1])
    shown = np.linspace(0, steps - 1, SHOWN_STEPS).round().astype(int)
    rows = [np.concatenate([rollout.given, video[shown]]) for video in (rollout.truth, rollout.imagined[0])]
    return np.concatenate([np.concatenate(list(row), 1) for row in rows], 0)


def plot_likelihoods(likelihoods: Mapping[Pair, Likelihoods], form: str, first: int) -> Figure:
    """Over time, for each pair: the likelihood under the task's label of experts' and of random videos, one of each
    drawn thick (the paper's figure).

    first: the frame to begin at, before which frames have no past.
    """
    columns = min(COLUMNS, len(likelihoods))
    rows = math.ceil(len(likelihoods) / columns)
    figure = new_figure(4 * columns, 2.6 * rows)
    grid = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, (pair, of_pair) in zip(grid[: len(likelihoods)], likelihoods.items(), strict=True):
        for kind, colour, name in ((EXPERT, "C0", "reference"), ("random", "C1", "random")):
            videos = [video[FORMS.index(form), first:] for video in of_pair[RIGHT][kind]]
            for video in videos[1:]:
                axes.plot(range(first, first + len(video)), video, color=colour, linewidth=0.5, alpha=0.35)
            axes.plot(range(first, first + len(videos[0])), videos[0], color=colour, linewidth=1.8, label=name)
        axes.set_title(f"{pair.arm} {pair.task}", fontsize=10)
        axes.legend(frameon=False, fontsize=8, loc="lower right")
    for axes in grid[len(likelihoods) :]:
        axes.set_axis_off()
    figure.supxlabel("frame", fontsize=10)
    figure.supylabel(f"{form} [nats a frame]", fontsize=10)
    return figure


def plot_errors(results: Sequence[PairResult]) -> Figure:
    """Likeness of predictions to what came, by step, mean over pairs: of those seen and of those not."""
    figure = new_figure(10, 3.4)
    lines = (
        (False, RIGHT, "C0", "-"),
        (True, RIGHT, UNSEEN, "-"),
        (True, WRONG_LABEL, UNSEEN, ":"),
        (True, OTHER_ARM, "C2", "-"),
        (True, STILL, "0.6", "--"),
    )
    for axes, measure, unit in zip(figure.subplots(1, len(ERRORS)), ERRORS, ("PSNR [dB]", "SSIM"), strict=True):
        for unseen, who, colour, style in lines:
            curves = np.array([each.errors[measure][who] for each in results if each.unseen == unseen])
            _mean_curve(axes, curves, f"{'unseen' if unseen else 'seen'} pairs, {who}", colour, style)
        axes.set(xlabel="step", ylabel=f"{unit} to what came")
    figure.axes[0].legend(frameon=False, fontsize=8)
    return figure


def _mean_curve(axes: Axes, curves: np.ndarray, name: str, colour: str, style: str) -> None:
    """curves: float64 [pairs, steps]; only steps that all pairs have."""
    lasting = ~np.isnan(curves).any(0)
    steps = 1 + np.arange(curves.shape[1])[lasting]
    axes.plot(steps, curves[:, lasting].mean(0), color=colour, linestyle=style, label=name)


def plot_auc(results: Sequence[PairResult], form: str, kinds: Sequence[str]) -> Figure:
    """Each pair's AUC of experts against other kinds, with intervals; grey, of the wrong label and the other arm's
    model."""
    ordered = sorted(results, key=lambda each: (not each.unseen, each.pair))
    figure = new_figure(2.6 * len(kinds) + 2, 0.7 + 0.32 * len(ordered))
    for axes, kind in zip(figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0], kinds, strict=True):
        for y, each in enumerate(ordered):
            for who, marker, size in ((WRONG_LABEL, "x", 5), (OTHER_ARM, "^", 5)):
                if who in each.auc:
                    axes.plot(each.auc[who][form][kind].value, y, marker, color="0.6", markersize=size)
            interval = each.auc[RIGHT][form][kind]
            colour = UNSEEN if each.unseen else "C0"
            axes.plot([interval.low, interval.high], [y, y], color=colour, linewidth=1.5)
            axes.plot(interval.value, y, "o", color=colour, markersize=5)
        axes.axvline(0.5, color="0.8", linewidth=0.8)
        axes.set(xlim=(-0.03, 1.03), title=kind.replace("_", " "), yticks=range(len(ordered)))
        axes.set_yticklabels([f"{each.pair.arm} {each.pair.task}" for each in ordered], fontsize=8)
    figure.axes[0].invert_yaxis()
    figure.supxlabel(f"AUC of experts against …, by {form}", fontsize=9)
    return figure
