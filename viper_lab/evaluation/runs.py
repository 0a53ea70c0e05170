"""What came out of the runs in a folder, and which of them are missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.env import normalised_score
from viper_lab.errors import USER_ERRORS, UserError
from viper_lab.evaluation.rewards import reward_name
from viper_lab.experiment.provenance import IDENTITY, difference
from viper_lab.results.report import SUMMARY, evaluations
from viper_lab.results.run_files import CONFIG, is_finite, read_config, read_json, read_metrics, run_task, value_at
from viper_model.metrics import METRICS

BENCHMARK = "benchmark.json"
"""In the folder of a benchmark's runs: which there are to be, and why some could not be made."""
_WANTED = {"name": str, "sim": str, "task": str, "agent": str, "reward": str, "seed": int, "steps": int, "problem": str}
"""What it says of each run."""
_SEEDS = ("settings.policy_node.seed", "settings.sim_node.seed")


@dataclass(frozen=True)
class Method:
    """What is compared: an agent that learns from a reward."""

    agent: str
    reward: str
    """A name in `rewards.REWARDS`, or of a reward source."""


@dataclass(frozen=True)
class Result:
    """A run that has been carried out."""

    name: str
    sim: str
    task: str
    method: Method
    seed: int
    steps: int
    """Environment steps that the policy was trained for."""
    episodes: int
    """Over which the return is a mean."""
    task_return: float
    """Ground-truth return of the trained policy."""
    score: float
    """The same, normalised: see `sim.env.normalised_score`."""
    return_range: tuple[float, float]
    curve: tuple[tuple[int, float], ...]
    """Steps and mean score of each round of evaluation."""
    expert_return: float | None
    """Mean ground-truth return of the task's expert videos, where the run's report tells it."""


@dataclass(frozen=True)
class Missing:
    """A run that is not counted."""

    name: str
    sim: str
    task: str
    method: Method
    seed: int | None
    why: str


@dataclass(frozen=True)
class Outcome:
    title: str
    description: str
    results: tuple[Result, ...]
    missing: tuple[Missing, ...]


def read_outcome(folder: Path) -> Outcome:
    """All runs of a folder: of a benchmark those that there are to be, of another folder those that are there.

    Raises UserError where there is none with a result.
    """
    benchmark = _read_benchmark(folder)
    wanted: dict[str, Mapping[str, Any]] = {each["name"]: each for each in benchmark.get("runs", ())}
    names = wanted or {path.parent.name: {} for path in sorted(folder.glob(f"*/{CONFIG}"))}
    results: list[Result] = []
    missing: list[Missing] = []
    first: dict[tuple[str, str, Method], tuple[Result, dict[str, Any]]] = {}
    counted: dict[tuple[Any, ...], str] = {}
    for name, run in names.items():
        try:
            result, config = _read_run(folder / name, run)
            other, same = first.setdefault((result.sim, result.task, result.method), (result, config))
            keys = [key for key in IDENTITY if key not in _SEEDS]
            if what := difference(same, config, keys):
                raise UserError(f"it is no other seed of {other.name}, which has {what}")
            if result.steps != other.steps:
                raise UserError(f"it is no other seed of {other.name}: it has {result.steps} steps, not {other.steps}")
            seeds = (result.sim, result.task, result.method, *(value_at(config, key) for key in _SEEDS))
            if (twin := counted.setdefault(seeds, name)) != name:
                raise UserError(f"it is the seed of {twin} again: give it another by seed:=")
        except USER_ERRORS as error:
            missing.append(_missing(folder / name, run, str(error)))
        else:
            results.append(result)
    if not results:
        why = f": {missing[0].name}: {missing[0].why}" if missing else ""
        raise UserError(f"no run in {folder} has been carried out yet{why}")
    return Outcome(
        benchmark.get("suite", folder.resolve().name),
        benchmark.get("description", ""),
        tuple(results),
        tuple(missing),
    )


def _read_benchmark(folder: Path) -> dict[str, Any]:
    path = folder / BENCHMARK
    if not path.exists():
        return {}
    document: dict[str, Any] = read_json(path, _is_benchmark, "run the benchmark again, which writes it")
    return document


def _is_benchmark(document: Any) -> bool:
    """Is all as `viper benchmark` wrote it that is read here?"""
    return all(type(run[key]) is kind for run in document["runs"] for key, kind in _WANTED.items())


def _read_run(run: Path, wanted: Mapping[str, Any]) -> tuple[Result, dict[str, Any]]:
    """The result of a run, and its configuration. Raises UserError for what is no result."""
    if problem := wanted.get("problem"):
        raise UserError(str(problem))
    if not (run / CONFIG).exists():
        raise UserError("it has not been started")
    config = read_config(run)
    settings = config["settings"]
    steps = max(settings["policy_node"]["steps"], wanted.get("steps", 0))
    path, not_there_yet = run / SUMMARY, UserError(f"it has not reached its {steps} steps")
    if not path.exists():
        raise not_there_yet
    summary = read_json(path, _is_summary, f"`viper report {run}` writes it again")
    if summary["steps"] < steps:
        raise not_there_yet
    reached, returns = summary["steps"], summary["returns"]["policy"]["episodes"]
    if what := difference(config, summary, [key for key in IDENTITY if key.startswith("settings.")]):
        raise UserError(f"its configuration was changed after its report: {what}")
    method = Method(settings["policy_node"]["agent"], reward_name(settings))
    result = Result(
        name=run.name,
        sim=config["sim"],
        task=run_task(config),
        method=method,
        seed=settings["policy_node"]["seed"],
        steps=reached,
        episodes=len(returns),
        task_return=sum(returns) / len(returns),
        score=normalised_score(sum(returns) / len(returns), tuple(config["return_range"])),
        return_range=tuple(config["return_range"]),
        curve=_curve(run, config, reached),
        expert_return=value_at(summary, "returns.expert.mean"),
    )
    is_now = {**vars(result), "agent": method.agent, "reward": method.reward}
    for key in ("sim", "task", "agent", "reward", "seed"):
        if key in wanted and wanted[key] != is_now[key]:
            raise UserError(f"another run is in its place: its {key} is {is_now[key]}, not {wanted[key]}")
    return result, config


def _is_summary(summary: Any) -> bool:
    """Is all as `write_report` wrote it that is read here?"""
    returns, steps = summary["returns"], summary["steps"]
    episodes = returns["policy"]["episodes"]
    means = [returns["expert"]["mean"]] if "expert" in returns else []
    are_episodes = isinstance(episodes, list) and len(episodes) > 0
    return type(steps) is int and are_episodes and all(map(is_finite, [*episodes, *means]))


def _curve(run: Path, config: Mapping[str, Any], last: int) -> tuple[tuple[int, float], ...]:
    rounds = evaluations(read_metrics(run))
    if not any(step <= last for step in rounds):
        raise UserError(f"it has kept no evaluation of its {last} steps: {run / METRICS} lacks them")
    return tuple(
        (step, normalised_score(sum(returns) / len(returns), tuple(config["return_range"])))
        for step, returns in rounds.items()
        if step <= last
    )


def _missing(run: Path, wanted: Mapping[str, Any], why: str) -> Missing:
    try:
        config = read_config(run)
    except UserError:
        config = {"sim": "", "task": "", "settings": {"policy_node": {}}}
    policy = config["settings"]["policy_node"]
    return Missing(
        run.name,
        wanted.get("sim", config["sim"]),
        wanted.get("task", run_task(config)),
        Method(wanted.get("agent", policy.get("agent", "")), wanted.get("reward", reward_name(config["settings"]))),
        wanted.get("seed", policy.get("seed")),
        why.replace(f"{run}", run.name),
    )
