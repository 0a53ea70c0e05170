"""Folders of runs that have been carried out, with chosen returns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.viper_lab.results.runs import write_run
from viper_lab.results.report import SUMMARY, Score, _summary, evaluations
from viper_lab.results.run_files import read_config, read_metrics


def write_summary(run: Path) -> None:
    """The run's report.json, as `write_report` writes it beside a page and its plots, which take a second."""
    rounds = evaluations(read_metrics(run))
    scores = [Score("before training", rounds[min(rounds)]), Score("policy", rounds[max(rounds)])]
    (run / SUMMARY).write_text(json.dumps(_summary(read_config(run), scores, max(rounds), None)))


def write_result(
    folder: Path,
    task: str,
    reward: str = "task",
    seed: int = 0,
    *,
    agent: str = "drqv2",
    first: float = 0.0,
    last: float | Sequence[float] = 500.0,
    steps: int = 400,
    likelihood: str = "auto",
    name: str = "",
    **changes: Any,
) -> Path:
    """A finished run and its report: a first, a middle and a last round of evaluation. changes: of its config.yaml."""
    settings = {
        "sim_node": {"sim": "dmc", "task": task, "seed": 100 * seed},
        "reward_node": {"likelihood": likelihood, "reward_task": ""},
        "policy_node": {"seed": seed, "agent": agent, "reward": reward, "steps": steps, "replay_ratio": 32.0},
    }
    returns = list(last) if isinstance(last, Sequence) else [last]
    middle = (first + sum(returns) / len(returns)) / 2
    run = write_run(
        folder / (name or f"{task}_{agent}_{reward}_seed{seed}"),
        {0: [first], steps // 2: [middle], steps: returns},
        **{"task": task, "settings": settings, **changes},
    )
    write_summary(run)
    return run


def write_benchmark(folder: Path, runs: Sequence[dict[str, Any]]) -> None:
    usual = {"sim": "dmc", "agent": "drqv2", "reward": "task", "seed": 0, "steps": 400, "problem": ""}
    document = {"suite": "mine", "description": "Mine.", "runs": [{**usual, **run} for run in runs]}
    (folder / "benchmark.json").write_text(json.dumps(document))
