"""The methods of one simulator side by side, as numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from scipy.stats import sem

from viper_lab.evaluation import statistics
from viper_lab.evaluation.rewards import REWARDS
from viper_lab.evaluation.runs import Method, Missing, Outcome, Result
from viper_lab.evaluation.statistics import Estimate

SHARES = np.linspace(0, 1, 21)
"""Of a task's environment steps, at which curves are compared."""
THRESHOLD_COUNT = 101


@dataclass(frozen=True)
class Cell:
    """One method on one task."""

    scores: tuple[float, ...]
    """One a seed."""
    missing: int
    """How many runs there should be besides."""

    @property
    def mean(self) -> float:
        return float(np.mean(self.scores))

    @property
    def standard_error(self) -> float | None:
        """Of the mean, over seeds; None where there is one seed."""
        return float(sem(self.scores)) if len(self.scores) > 1 else None


@dataclass(frozen=True)
class Row:
    """One method on all its tasks."""

    method: Method
    tasks: tuple[str, ...]
    """Those that it has results of."""
    seeds: int
    """How many each of these tasks has, at least: so many of each count."""
    metrics: dict[str, Estimate]


@dataclass(frozen=True)
class Improvement:
    better: Method
    worse: Method
    tasks: int
    """How many both have results of."""
    probability: Estimate


@dataclass(frozen=True)
class Comparison:
    """The results of one simulator. Scores are normalised: see `sim.env.normalised_score`."""

    sim: str
    results: tuple[Result, ...]
    missing: tuple[Missing, ...]

    @cached_property
    def _wanted(self) -> list[Result | Missing]:
        return [*self.results, *self.missing]

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.task for each in self._wanted))

    @cached_property
    def methods(self) -> tuple[Method, ...]:
        """Those that have a result and those that should have, by agent, and in the order of REWARDS."""
        place = {name: number for number, name in enumerate(REWARDS)}
        found = {each.method for each in self._wanted}
        return tuple(sorted(found, key=lambda m: (m.agent, place.get(m.reward, len(place)), m.reward)))

    def of(self, method: Method, task: str) -> list[Result]:
        """The runs of a method on a task, by seed."""
        found = [each for each in self.results if (each.method, each.task) == (method, task)]
        return sorted(found, key=lambda result: result.seed)

    def cell(self, method: Method, task: str) -> Cell:
        missing = [each for each in self.missing if (each.method, each.task) == (method, task)]
        return Cell(tuple(each.score for each in self.of(method, task)), len(missing))

    @cached_property
    def uneven(self) -> dict[str, tuple[int, int]]:
        """By task, where its methods were not trained for equally many environment steps: the fewest and the most."""
        of_tasks = {task: {each.steps for each in self.results if each.task == task} for task in self.tasks}
        return {task: (min(steps), max(steps)) for task, steps in of_tasks.items() if len(steps) > 1}

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """Of the methods that have a result."""
        return tuple(self._row(method) for method in self.methods if self.tasks_of(method))

    def _row(self, method: Method) -> Row:
        tasks = self.tasks_of(method)
        scores = self.scores(method, tasks)
        return Row(method, tasks, len(scores), statistics.aggregates(scores))

    def tasks_of(self, *methods: Method) -> tuple[str, ...]:
        """The tasks that all these methods have results of."""
        return tuple(task for task in self.tasks if all(self.of(method, task) for method in methods))

    def scores(self, method: Method, tasks: Sequence[str]) -> np.ndarray:
        """Float [seeds, tasks], with as many seeds as each of these tasks has."""
        return np.array([[each.score for each in runs] for runs in self._runs(method, tasks)]).T

    def curves(self, method: Method, tasks: Sequence[str]) -> np.ndarray:
        """The scores at SHARES of the tasks' steps: float [seeds, tasks, shares]."""
        return np.array([[_curve(each) for each in runs] for runs in self._runs(method, tasks)]).swapaxes(0, 1)

    def _runs(self, method: Method, tasks: Sequence[str]) -> list[list[Result]]:
        """By task; as many of each as all of them have."""
        runs = [self.of(method, task) for task in tasks]
        return [each[: min(map(len, runs))] for each in runs]

    @cached_property
    def improvements(self) -> tuple[Improvement, ...]:
        """Of each pair of methods that share a task, the one that is more often the better first."""
        found = []
        for pair in combinations(self.methods, 2):
            tasks = self.tasks_of(*pair)
            if not tasks:
                continue
            scores = [self.scores(method, tasks) for method in pair]
            probability = statistics.probability_of_improvement(*scores)
            if probability.value < 0.5:
                pair, probability = (pair[1], pair[0]), statistics.probability_of_improvement(*scores[::-1])
            found.append(Improvement(*pair, len(tasks), probability))
        return tuple(found)

    @cached_property
    def thresholds(self) -> np.ndarray:
        """Scores at which the methods' profiles are drawn: float [THRESHOLD_COUNT]."""
        highest = max(1.0, *(each.score for each in self.results))
        return np.linspace(min(0.0, *(each.score for each in self.results)), highest, THRESHOLD_COUNT)

    @cached_property
    def profiles(self) -> dict[Method, Estimate]:
        return {
            row.method: statistics.performance_profile(self.scores(row.method, row.tasks), self.thresholds)
            for row in self.rows
        }

    @cached_property
    def efficiency(self) -> dict[Method, Estimate]:
        """The IQM at SHARES of the tasks' steps."""
        return {row.method: statistics.iqm_over_time(self.curves(row.method, row.tasks)) for row in self.rows}

    def learning(self, method: Method, task: str) -> tuple[np.ndarray, Estimate]:
        """Environment steps, float [shares], and the mean score over seeds at them."""
        steps = SHARES * self.of(method, task)[0].steps
        return steps, statistics.mean_over_time(self.curves(method, [task])[:, 0])


def _curve(result: Result) -> np.ndarray:
    """The score at SHARES of the run's steps, straight between rounds of evaluation: float [shares]."""
    steps, scores = zip(*result.curve, strict=True)
    return np.interp(SHARES * result.steps, steps, scores)


def compare(outcome: Outcome) -> Iterator[Comparison]:
    """One comparison a simulator that there are results of."""
    for sim in dict.fromkeys(each.sim for each in outcome.results):
        yield Comparison(
            sim,
            tuple(each for each in outcome.results if each.sim == sim),
            tuple(each for each in outcome.missing if each.sim == sim),
        )
