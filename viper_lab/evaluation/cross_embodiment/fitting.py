"""What is missing, recorded and fitted: videos of every pair, a model of all seen pairs, and models without an arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from viper_lab.errors import UserError
from viper_lab.evaluation.cross_embodiment.pairs import Pair, Pairs
from viper_lab.experiment.plan import Plan, make_plan
from viper_lab.experiment.preparation import fit_model, record_videos
from viper_model.videos.find import BACKGROUND, EXPERT

COMPARED = ("random", "parked")
"""Behaviours that are recorded of every pair to compare experts with."""
LEAST = {"episodes": 10, "background_episodes": 2, "other_episodes": 2}
"""Videos. Of ten experts' two are held out: with fewer there is no interval."""


@dataclass(frozen=True)
class Models:
    """Folders of fitted models."""

    all: Path
    """Of all pairs that are seen."""
    without: Mapping[str, Path]
    """By arm that has an unseen pair: of the seen pairs of all other arms."""


def make_plans(pairs: Pairs, sim: str, directory: Path, assignments: Sequence[str]) -> dict[Pair, Plan]:
    """Every pair's settings. Raises UserError for what `make_plan` refuses, too few videos, and no background."""
    plans = {
        pair: make_plan(
            sim,
            task=pair.task,
            arm=pair.arm,
            reward="task",  # There is no model of the pair alone to look for.
            directory=directory,
            assignments=(*pairs.settings, *assignments),
        )
        for pair in pairs.all
    }
    settings = next(iter(plans.values())).settings
    for name, least in LEAST.items():
        if settings["record"][name] < least:
            raise UserError(f"record.{name} {settings['record'][name]}: {least} videos at least are needed to judge by")
    if settings["fit"]["background"] == "none":
        raise UserError("fit.background none: choose another, as pairs are judged by the likelihood ratio too")
    return plans


def record_pairs(plans: Mapping[Pair, Plan], pairs: Pairs, console: Console) -> None:
    """Record what is missing. The background is not recorded where nothing is learned from it."""
    for number, (pair, plan) in enumerate(plans.items(), 1):
        console.print(f"videos of {pair}, {number} of {len(plans)}")
        for behaviour in (EXPERT, *((BACKGROUND,) if pair in pairs.seen else ()), *COMPARED):
            record_videos(plan, behaviour)


def fit_models(plans: Mapping[Pair, Plan], pairs: Pairs, out: Path, console: Console) -> Models:
    """Fit the models that are missing in `out`; one that was interrupted goes on.

    Raises ModelError where there are models of other videos or settings.
    """
    plan = next(iter(plans.values()))

    def fitted(name: str, without: str = "") -> Path:
        tasks = pairs.trained_on(without)
        console.print(f"model {name}, of {', '.join(tasks)}")
        fit_model(plan, plan.data.parent, out / name, tasks)
        return out / name

    arms = sorted({pair.arm for pair in pairs.unseen})
    return Models(fitted("all"), {arm: fitted(f"without_{arm}", arm) for arm in arms})
