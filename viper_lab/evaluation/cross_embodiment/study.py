"""`viper cross-embodiment`: from pairs of arm and task to a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from viper_lab.evaluation.cross_embodiment.fitting import fit_models, make_plans, record_pairs
from viper_lab.evaluation.cross_embodiment.page import write_results
from viper_lab.evaluation.cross_embodiment.pairs import Pair, load_pairs
from viper_lab.evaluation.cross_embodiment.results import PairResult, measure_pair
from viper_lab.evaluation.cross_embodiment.rollouts import Rollouts, roll_out
from viper_lab.evaluation.cross_embodiment.scoring import (
    Judges,
    Likelihoods,
    judged_of_pair,
    likelihoods,
    load_videos,
)
from viper_model.torch_tools.device import torch_device
from viper_model.videos.find import EXPERT

FOLDER = "cross_embodiment"


def cross_embodiment(
    pairs_file: str, sim: str, directory: Path, console: Console, *, assignments: Sequence[str] = (), device: str
) -> Path:
    """Record what is missing, fit one model of the seen pairs, judge it at all pairs, and write a page.

    Videos go where `viper record` keeps them, all else into `<directory>/cross_embodiment/<name of the pairs>/`:
    models/, what they answered (likelihoods/, rollouts/), and results as `write_results` says. What is there already
    and was made of the same is kept; videos or models that were made otherwise are refused. pairs_file: see
    `load_pairs`. assignments: to settings, beside the file's own. Returns the page's path.
    Raises UserError, ModelError, SimError.
    """
    pairs = load_pairs(pairs_file, sim)
    plans = make_plans(pairs, sim, directory, assignments)
    where = torch_device(device)
    out = directory / FOLDER / pairs.name
    record_pairs(plans, pairs, console)
    judges = Judges(fit_models(plans, pairs, out / "models", console), pairs, where)
    dataset = load_videos(next(iter(plans.values())).data.parent, pairs, judges.model)
    results: list[PairResult] = []
    scored: dict[Pair, Likelihoods] = {}
    imagined: dict[Pair, Rollouts] = {}
    for number, pair in enumerate(pairs.all, 1):
        console.print(f"judging {pair}, {number} of {len(pairs.all)}")
        asked, videos = judges.of(pair), judged_of_pair(dataset, pairs, pair)
        file = f"{pair}.npz"
        scored[pair] = likelihoods(out / "likelihoods" / file, asked, videos)
        imagined[pair] = roll_out(out / "rollouts" / file, asked, videos[EXPERT])
        results.append(measure_pair(pairs, pair, scored[pair], imagined[pair], judges.model.frame_skip))
    return write_results(out, results, scored, imagined, judges.model.frame_skip)
