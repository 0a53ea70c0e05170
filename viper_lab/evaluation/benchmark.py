"""A suite carried out: what is missing is prepared and trained, side by side, and compared on a page."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from viper_lab.errors import UserError
from viper_lab.evaluation.jobs import Crew, Engine, Job
from viper_lab.evaluation.progress import Estimate, collected_steps, duration
from viper_lab.evaluation.runs import BENCHMARK
from viper_lab.evaluation.suite import Run, Suite
from viper_lab.experiment.existing_run import made_otherwise
from viper_lab.experiment.plan import Plan
from viper_lab.results.report import SUMMARY
from viper_lab.results.run_files import CONFIG
from viper_model.errors import ModelError
from viper_model.files import replace_file

FIRST_NEWS_SECONDS, NEWS_SECONDS = 60.0, 300.0
"""From the start to the first line of progress, and between two."""
LOGS = "logs"
"""In the suite's folder of runs: what the commands said."""

Place = tuple[str, str]
"""Simulator and label of a task: its videos and its video model have one place."""


@dataclass
class Benchmark:
    """A suite in a directory, and what is left of it to do."""

    suite: Suite
    directory: Path
    """Has data/, models/ and runs/."""
    finished: set[str] = field(default_factory=set)
    """Names of runs."""
    problems: dict[str, str] = field(default_factory=dict)
    """Why a run could not be made, by its name."""

    def __post_init__(self) -> None:
        """Look at the runs that are there."""
        for run in self.suite.runs:
            try:
                if is_finished(run.plan(self.directory)):
                    self.finished.add(run.name)
            except (UserError, ModelError) as error:
                self.problems[run.name] = str(error)

    @property
    def folder(self) -> Path:
        return self.suite.directory(self.directory)

    def unfinished(self) -> list[Run]:
        """The runs that are still to be made."""
        return [run for run in self.suite.runs if run.name not in self.finished and run.name not in self.problems]

    def jobs(self) -> list[Job]:
        """What is left to do; what several runs need is made once, before them."""
        needs = {run: self._places(run) for run in self.unfinished()}
        preparations = {
            place: self._preparation([run for run in self.suite.runs if _place(run) == place])
            for place in dict.fromkeys(place for places in needs.values() for place in places)
        }
        trainings = [
            Job(
                run.name,
                run.arguments(self.directory),
                self._log(run.name),
                frozenset(preparations[place].name for place in places),
            )
            for run, places in needs.items()
        ]
        return [*preparations.values(), *trainings]

    def _places(self, run: Run) -> list[Place]:
        """Where the videos and models are that a run needs."""
        if not run.plan(self.directory).learns_from_videos:
            return []
        if not run.compared_reward.needs_all_tasks:
            return [_place(run)]
        return list(dict.fromkeys(_place(other) for other in self.suite.runs if other.sim == run.sim))

    def _preparation(self, runs: Sequence[Run]) -> Job:
        """Makes all that the runs of one task need."""
        with_model = [run for run in runs if run.compared_reward.likelihood is not None]
        from_videos = [run for run in runs if run.plan(self.directory).learns_from_videos]
        name = f"prepare_{runs[0].label}"
        chosen = (with_model or from_videos or runs)[0]
        arguments = chosen.preparation(self.directory, model=bool(with_model))
        return Job(name, arguments, self._log(name))

    def carry_out(self, engine: Engine, workers: int, console: Console) -> None:
        """Do what is left, `workers` jobs at a time. What fails is kept in `problems`, and the others go on.

        SIGINT and SIGTERM stop all, see `Crew.run`; called again, it goes on.
        """
        by_name = {run.name: run for run in self.unfinished()}

        tell = console.print
        for name, why in self.problems.items():
            tell(f"failed: {name}: {why}")
        tell(f"{self.suite.name}: {len(self.finished)} of {len(self.suite.runs)} runs are done, {len(by_name)} to do")
        crew = Crew(self.jobs(), engine, workers, tell)
        estimate = Estimate(self.folder)
        next_news = time.monotonic() + FIRST_NEWS_SECONDS
        self._save()

        def watch() -> None:
            nonlocal next_news
            ended = {name for name in crew.done | crew.failed.keys() if name in by_name}
            if ended - self.finished - self.problems.keys():
                self.finished |= {name for name in ended if name in crew.done}
                self.problems |= {name: crew.failed[name] for name in ended if name in crew.failed}
                self._save()
            if time.monotonic() >= next_news:
                next_news = time.monotonic() + NEWS_SECONDS
                under_way = [by_name[name] for name in crew.running if name in by_name]
                estimate.update(under_way)
                seconds = estimate.remaining_seconds(self.unfinished(), workers)
                tell(self._news([*crew.running], under_way, seconds))

        crew.run(watch)
        watch()

    def _news(self, names: list[str], under_way: list[Run], seconds: float | None) -> str:
        shares = {run.name: min(1.0, collected_steps(self.folder / run.name) / run.steps) for run in under_way}
        now = ", ".join(f"{name} {shares[name]:.0%}" if name in shares else name for name in names)
        left = "no estimate yet" if seconds is None else f"about {duration(seconds)} to go, preparations not counted"
        failed = f", {len(self.problems)} failed" if self.problems else ""
        return f"{len(self.finished)} of {len(self.suite.runs)} runs done{failed}; under way: {now}; {left}"

    def _log(self, name: str) -> Path:
        return self.folder / LOGS / f"{name}.txt"

    def _save(self) -> None:
        """Write down which runs there are to be, for who compares them."""
        document = {
            "suite": self.suite.name,
            "description": self.suite.description,
            "runs": [
                {
                    "name": run.name,
                    "sim": run.sim,
                    "task": run.label,
                    "agent": run.agent,
                    "reward": run.reward,
                    "seed": run.seed,
                    "steps": run.steps,
                    "problem": self.problems.get(run.name, ""),
                }
                for run in self.suite.runs
            ],
        }
        replace_file(self.folder / BENCHMARK, json.dumps(document, indent=2).encode())


def is_finished(plan: Plan) -> bool:
    """Has the run of this plan reached its end, with a report? Raises UserError where another run is in its place."""
    if not (plan.run / CONFIG).exists():
        return False
    if what := made_otherwise(plan):
        raise UserError(f"{plan.run} was started with {what}: remove it, or choose another directory:=")
    try:
        return bool(json.loads((plan.run / SUMMARY).read_text())["steps"] >= plan.settings["policy_node"]["steps"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _place(run: Run) -> Place:
    return run.sim, run.label
