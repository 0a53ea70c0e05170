"""Results, written down: a page for people, tables and figures for papers, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from viper_lab.evaluation.cross_embodiment import figures
from viper_lab.evaluation.cross_embodiment.pairs import Pair
from viper_lab.evaluation.cross_embodiment.results import ERRORS, PairResult, summary, to_json
from viper_lab.evaluation.cross_embodiment.rollouts import Rollouts
from viper_lab.evaluation.cross_embodiment.scoring import FORMS, KINDS, OTHER_ARM, RIGHT, WRONG_LABEL, Likelihoods
from viper_lab.results.figure import plot_url
from viper_lab.results.imagine import Rollout
from viper_lab.results.page import Clip, template
from viper_lab.results.text import write_csv, write_text
from viper_model.reward.rollout import montage
from viper_model.videos.find import EXPERT
from viper_model.videos.video_io import write_video

NAME = "cross_embodiment"
RATE = 5.0
"""Frames a second of the video of predictions."""
AGAINST = tuple(kind for kind in KINDS if kind != EXPERT)


def write_results(
    out: Path,
    results: Sequence[PairResult],
    likelihoods: Mapping[Pair, Likelihoods],
    rollouts: Mapping[Pair, Rollouts],
    frame_skip: int,
) -> Path:
    """Write cross_embodiment.json, .csv (AUCs) and .html, errors.csv (of predictions, by step), figures/ and grid.mp4
    to `out`; the page holds all that it shows. Returns its path. Raises ModelError where a file can't be written.
    """
    unseen = [each.pair for each in results if each.unseen]
    plots = {
        "grid": figures.plot_grid(rollouts, unseen),
        "errors": figures.plot_errors(results),
        **{
            f"likelihoods_{form}": figures.plot_likelihoods(
                {pair: likelihoods[pair] for pair in unseen}, form, frame_skip
            )
            for form in FORMS
        },
        **{f"auc_{form}": figures.plot_auc(results, form, AGAINST) for form in FORMS},
    }
    urls = {name: plot_url(out / "figures" / f"{name}.png", figure, dpi=110) for name, figure in plots.items()}
    grid = out / "grid.mp4"
    write_video(grid, _grid(rollouts), RATE)
    write_text(out / f"{NAME}.json", json.dumps(to_json(results), indent=2))
    write_csv(out / f"{NAME}.csv", _auc_rows(results))
    write_csv(out / "errors.csv", _error_rows(results))
    page = template(f"{NAME}.html.jinja", Path(__file__).parent).render(
        results=sorted(results, key=lambda each: (not each.unseen, each.pair)),
        summary=summary(results),
        who={"right": RIGHT, "wrong": WRONG_LABEL, "other": OTHER_ARM},
        forms=FORMS,
        kinds=AGAINST,
        plots=urls,
        grid=Clip("", grid),
    )
    write_text(out / f"{NAME}.html", page)
    return out / f"{NAME}.html"


def _grid(rollouts: Mapping[Pair, Rollouts]) -> np.ndarray:
    """A row a task; for each arm what came and, beside it, what the model thought: uint8 [time, height, width, 3]."""
    arms, tasks = (sorted({getattr(pair, name) for pair in rollouts}) for name in ("arm", "task"))
    some = next(iter(rollouts.values()))[RIGHT][0]

    def cells(pair: Pair) -> list[np.ndarray]:
        if pair not in rollouts:
            return [np.zeros_like(some.given)] * 2
        rollout: Rollout = rollouts[pair][RIGHT][0]
        return rollout.videos()[:2]

    return montage([[cell for arm in arms for cell in cells(Pair(arm, task))] for task in tasks])


def _auc_rows(results: Sequence[PairResult]) -> Iterable[Sequence[Any]]:
    yield "arm", "task", "seen", "asked", "form", "against", "auc", "low", "high", "experts", "videos"
    for each in results:
        for who, forms in each.auc.items():
            for form, kinds in forms.items():
                for kind, interval in kinds.items():
                    numbers = [f"{value:.4f}" for value in interval]
                    counts = each.videos[EXPERT], each.videos[kind]
                    yield each.pair.arm, each.pair.task, not each.unseen, who, form, kind, *numbers, *counts


def _error_rows(results: Sequence[PairResult]) -> Iterable[Sequence[Any]]:
    yield "arm", "task", "seen", "asked", "step", "psnr_db", "ssim"
    for each in results:
        psnr, ssim = (each.errors[measure] for measure in ERRORS)
        for who in psnr:
            for step, values in enumerate(zip(psnr[who], ssim[who], strict=True), 1):
                if not np.isnan(values).any():
                    yield (
                        each.pair.arm,
                        each.pair.task,
                        not each.unseen,
                        who,
                        step,
                        *(f"{value:.4f}" for value in values),
                    )
