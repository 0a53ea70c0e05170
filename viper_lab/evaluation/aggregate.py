"""Runs compared on one self-contained page, with its numbers as CSV beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from viper_lab.evaluation import plots
from viper_lab.evaluation.comparison import SHARES, Comparison, compare
from viper_lab.evaluation.rewards import title
from viper_lab.evaluation.runs import Method, Outcome, read_outcome
from viper_lab.evaluation.statistics import METRICS, Estimate
from viper_lab.results.figure import plot_url
from viper_lab.results.page import template
from viper_lab.results.text import write_csv, write_text

PAGE = "aggregate.html"
FILES = "aggregate"
"""In the folder of the runs: the folder of CSV files and plots."""
HUMAN_SCORES = "Wang et al. 2016, arXiv:1511.06581, table of random and human scores"
"""Where the scores come from between which Atari's are normalised, see `sim.atari.GAMES`."""


def write_aggregate(folder: Path) -> tuple[Path, list[str]]:
    """Compare the runs of a folder: write its aggregate.html, and aggregate/ with runs.csv, metrics.csv,
    profiles.csv, curves.csv, improvements.csv and the page's plots. Returns the page's path, and the results in lines.

    Raises UserError where no run has been carried out yet, ModelError where the page can't be written.
    """
    outcome = read_outcome(folder)
    comparisons = list(compare(outcome))
    files = folder / FILES
    for name, rows in _tables(outcome, comparisons).items():
        write_csv(files / f"{name}.csv", [[*rows[0]], *([*row.values()] for row in rows)] if rows else [])
    page = template("aggregate.html.jinja", Path(__file__).parent).render(
        outcome=outcome,
        parts=[
            {
                "comparison": comparison,
                "unit": plots.score_name(comparison.sim),
                "plots": {
                    name: plot_url(files / f"{comparison.sim}_{name}.png", figure, dpi=130)
                    for name, figure in _figures(comparison)
                },
                "experts": _experts(comparison),
                "ranges": _ranges(comparison),
            }
            for comparison in comparisons
        ],
        metrics=METRICS,
        title=title,
        short_title=plots.short_title,
        with_interval=_with_interval,
        one_seed=sorted({result.method for result in outcome.results} - _with_seeds(outcome), key=str),
        human_scores=HUMAN_SCORES,
    )
    path = folder / PAGE
    write_text(path, page)
    missing = [f"missing: {each.name}: {each.why}" for each in outcome.missing]
    return path, [*_result_lines(comparisons), *_uneven_lines(comparisons), *missing]


def _result_lines(comparisons: Iterable[Comparison]) -> list[str]:
    """What came out, a line a method."""
    return [
        f"{comparison.sim}, {plots.short_title(row.method)}: IQM of {plots.score_name(comparison.sim)} "
        f"{_with_interval(row.metrics['IQM'])} over {len(row.tasks)} of {_count(len(comparison.tasks), 'task')}, "
        f"{_count(row.seeds, 'seed')}"
        for comparison in comparisons
        for row in comparison.rows
    ]


def _uneven_lines(comparisons: Iterable[Comparison]) -> list[str]:
    return [
        f"{comparison.sim}, {task}: trained for {least:,} to {most:,} steps: scores at the end are not at equal steps"
        for comparison in comparisons
        for task, (least, most) in comparison.uneven.items()
    ]


def _figures(comparison: Comparison) -> Iterable[tuple[str, Figure]]:
    yield "metrics", plots.plot_aggregates(comparison)
    yield "profiles", plots.plot_profiles(comparison)
    yield "efficiency", plots.plot_efficiency(comparison)
    yield "tasks", plots.plot_tasks(comparison)


def _experts(comparison: Comparison) -> dict[str, float]:
    """The normalised score of each task's expert, where a run tells it."""
    found: dict[str, float] = {}
    for result in comparison.results:
        if result.expert_return is not None:
            low, high = result.return_range
            found[result.task] = (result.expert_return - low) / (high - low)
    return found


def _ranges(comparison: Comparison) -> dict[str, tuple[float, float]]:
    """By task, the returns whose scores are 0 and 1."""
    return {result.task: result.return_range for result in comparison.results}


def _with_seeds(outcome: Outcome) -> set[Method]:
    """The methods that have several seeds on some task."""
    seen = [(result.method, result.sim, result.task) for result in outcome.results]
    return {each[0] for each in seen if seen.count(each) > 1}


def _with_interval(estimate: Estimate) -> str:
    if np.isnan(estimate.low):
        return f"{estimate.value:.2f}"
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _tables(outcome: Outcome, comparisons: Sequence[Comparison]) -> dict[str, list[dict[str, Any]]]:
    """The rows of each CSV file by its name. Scores are normalised; an interval that can't be had is empty."""
    runs = [
        {
            "name": each.name,
            "sim": each.sim,
            "task": each.task,
            **_words(each.method),
            "seed": each.seed,
            "steps": each.steps,
            "episodes": each.episodes,
            "ground_truth_return": each.task_return,
            "score": each.score,
            "missing": "",
        }
        for each in outcome.results
    ]
    empty = dict.fromkeys(runs[0], "")
    runs += [
        {
            **empty,
            "name": each.name,
            "sim": each.sim,
            "task": each.task,
            **_words(each.method),
            "seed": "" if each.seed is None else each.seed,
            "missing": each.why,
        }
        for each in outcome.missing
    ]
    tables: dict[str, list[dict[str, Any]]] = {
        "runs": runs,
        "metrics": [],
        "profiles": [],
        "curves": [],
        "improvements": [],
    }
    for comparison in comparisons:
        sim = {"sim": comparison.sim}
        for row in comparison.rows:
            of = {**sim, **_words(row.method)}
            seeds = {"seeds": row.seeds, "tasks": len(row.tasks), "tasks_of_all": len(comparison.tasks)}
            tables["metrics"] += [{**of, "metric": name, **_numbers(row.metrics[name]), **seeds} for name in METRICS]
            tables["profiles"] += [
                {**of, "threshold": threshold, **numbers}
                for threshold, numbers in zip(
                    comparison.thresholds, _each(comparison.profiles[row.method]), strict=True
                )
            ]
            tables["curves"] += [
                {**of, "task": "", "share_of_steps": share, "steps": "", "metric": "IQM", **numbers}
                for share, numbers in zip(SHARES, _each(comparison.efficiency[row.method]), strict=True)
            ]
            for task in row.tasks:
                steps, estimate = comparison.learning(row.method, task)
                tables["curves"] += [
                    {**of, "task": task, "share_of_steps": share, "steps": step, "metric": "mean", **numbers}
                    for share, step, numbers in zip(SHARES, steps, _each(estimate), strict=True)
                ]
        tables["improvements"] += [
            {
                **sim,
                **{f"better_{key}": value for key, value in _words(each.better).items()},
                **{f"worse_{key}": value for key, value in _words(each.worse).items()},
                "tasks": each.tasks,
                **_numbers(each.probability),
            }
            for each in comparison.improvements
        ]
    return tables


def _words(method: Method) -> dict[str, str]:
    return {"agent": method.agent, "reward": method.reward}


def _numbers(estimate: Estimate) -> dict[str, Any]:
    """Of one value."""
    known = not np.isnan(estimate.low)
    return {
        "value": float(estimate.value),
        "low": float(estimate.low) if known else "",
        "high": float(estimate.high) if known else "",
    }


def _each(estimate: Estimate) -> list[dict[str, Any]]:
    return [_numbers(Estimate(*numbers)) for numbers in zip(estimate.value, estimate.low, estimate.high, strict=True)]
