"""Is the likelihood a reward? Expert films must score above films that look right and move wrong.

All films are scored whole, from their first frame on, as the reward of an episode is. What is done to an expert's film
to make it wrong is done to the whole film: shuffling a stretch in which an expert stands still changes nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from scipy.stats import mannwhitneyu, spearmanr

from viper_model.errors import ModelError
from viper_model.reward.likelihood import Calibration, LikelihoodModel, conditional
from viper_model.reward.verdict import Verdict, judge
from viper_model.videos.dataset import EXPERT, Dataset, Film

FROZEN_START, FROZEN_ANYWHERE, REVERSED, SHUFFLED = "frozen_start", "frozen_anywhere", "reversed", "shuffled"
OTHER_TASK = "other_task"
MADE = (FROZEN_START, FROZEN_ANYWHERE, REVERSED, SHUFFLED, OTHER_TASK)
"""Kinds that the check makes; all others are behaviours, as filmed."""
CLIP_FRAMES = 48
"""Length of the clips into which scored films are cut, or that of the shortest film where that is less."""
MOST_FILMS = 32
"""So many films of a kind are judged, ..."""
MOST_FRAMES = 1000
"""... and so many of their first frames, so that checking takes minutes whatever the size of the data."""


class CalibratedModel(LikelihoodModel, Protocol):
    calibration: dict[str, Calibration]
    """By task."""


@dataclass(frozen=True)
class JudgedFilm:
    """A film, or what was made of it by showing its frames in another order."""

    film: Film
    order: np.ndarray
    """int64 [time], which of the film's frames is shown when."""

    @property
    def frames(self) -> np.ndarray:
        """uint8 [time, image_size, image_size, 3], a copy."""
        return self.film.frames[self.order]


@dataclass(frozen=True)
class KindCheck:
    """Films of one kind beside held-out expert films."""

    films: int
    log_likelihood: float
    """Mean nats a frame."""
    reward: tuple[float, ...]
    """Quantiles of the calibrated reward of their frames, at Calibration.LEVELS."""
    film_auc: float | None
    """The probability that an expert film's mean likelihood is above that of a film of this kind, 0 to 1, ties counted
    as one half. None for expert films."""
    clip_auc: float | None
    """The same for clips of `TaskCheck.clip_frames` frames, cut out of the films once those are scored."""
    value_order_correlation: float | None
    """See `value_order_correlation`, mean over films; None where it is defined for none."""


@dataclass(frozen=True)
class TaskCheck:
    verdict: Verdict
    clip_frames: int
    kinds: dict[str, KindCheck]
    """`expert` first, then the kinds of MADE, then other behaviours as filmed."""
    return_correlation: float | None
    """Spearman's ρ between the mean likelihood of a film and its true return, over held-out films of all behaviours;
    None where there are not three different returns among them."""
    log_likelihoods: dict[str, list[np.ndarray]]
    """What all this is measured on: by kind, float32 [time] nats for each film."""


@dataclass(frozen=True)
class RewardCheck:
    tasks: dict[str, TaskCheck]

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON; without the likelihoods of single frames."""
        document = dataclasses.asdict(self)
        for check in document["tasks"].values():
            del check["log_likelihoods"]
        return document


def check_reward(model: CalibratedModel, data: Dataset, tasks: Sequence[str] | None = None) -> RewardCheck:
    """Judge `model` on `tasks` (all that it knows where None) by the films of `data` that were kept from its training.

    `data` is at the model's image size and has expert films of each task. Raises ModelError.
    """
    return RewardCheck({task: _check_task(model, data, task) for task in tasks or model.tasks})


def calibrate(model: LikelihoodModel, data: Dataset) -> dict[str, Calibration]:
    """Each task's calibration, measured on held-out films. Raises ModelError as `judged_films` does."""
    return {
        task: Calibration.of({k: np.concatenate(v) for k, v in log_likelihoods(model, data, task).items()})
        for task in model.tasks
    }


def judged_films(data: Dataset, task: str, known_tasks: Sequence[str]) -> dict[str, list[JudgedFilm]]:
    """What a reward for `task` is judged by, by kind, the same on every call.

    `expert`: held-out films; made of those: `frozen_start` (the first frame is all there is: what a robot sees that
    doesn't move), `frozen_anywhere` (the same with any one frame), `reversed` and `shuffled` in time; `other_task`,
    held-out expert films of other `known_tasks`, where there are any; and all other behaviours as they were filmed.
    Raises ModelError where there are no held-out expert films, or a behaviour is called as one of the made kinds.
    """
    experts = [_as_filmed(film) for film in _some(data.select(EXPERT, task=task))]
    if not experts:
        raise ModelError(f"no {EXPERT} films of '{task}' were kept from training: there is nothing to judge by")
    rng = np.random.default_rng(0)
    films = {
        EXPERT: experts,
        FROZEN_START: [_reordered(film, np.zeros_like(film.order)) for film in experts],
        FROZEN_ANYWHERE: [_reordered(film, np.full_like(film.order, rng.choice(film.order))) for film in experts],
        REVERSED: [_reordered(film, film.order[::-1]) for film in experts],
        SHUFFLED: [_reordered(film, rng.permutation(film.order)) for film in experts],
    }
    others = [film for other in known_tasks if other != task for film in data.select(EXPERT, task=other)]
    if others:
        films[OTHER_TASK] = [_as_filmed(film) for film in _some(others)]
    for behaviour in sorted({film.behaviour for film in data.films if film.task == task} - {EXPERT}):
        if behaviour in MADE:
            raise ModelError(
                f"the data has films of a behaviour '{behaviour}' of '{task}', which is also what the check calls "
                "films that it makes: rename their folder"
            )
        films[behaviour] = [_as_filmed(film) for film in _some(data.select(behaviour, task=task))]
    return films


def _some(films: list[Film]) -> list[Film]:
    """At most MOST_FILMS of them, from all over the list."""
    return films if len(films) <= MOST_FILMS else [films[i * len(films) // MOST_FILMS] for i in range(MOST_FILMS)]


def _as_filmed(film: Film) -> JudgedFilm:
    return JudgedFilm(film, np.arange(min(len(film.frames), MOST_FRAMES)))


def _reordered(film: JudgedFilm, order: np.ndarray) -> JudgedFilm:
    return JudgedFilm(film.film, order)


def log_likelihoods(model: LikelihoodModel, data: Dataset, task: str) -> dict[str, list[np.ndarray]]:
    """The conditional likelihood of every frame of `judged_films`, by kind: float32 [time] nats for each film."""
    return {
        kind: [_log_likelihood(model, film.frames, task) for film in films]
        for kind, films in judged_films(data, task, model.tasks).items()
    }


def _log_likelihood(model: LikelihoodModel, frames: np.ndarray, task: str) -> np.ndarray:
    """uint8 [time, height, width, 3] → float32 [time]."""
    index = torch.tensor([model.tasks.index(task)])
    return conditional(model.log_probs(torch.from_numpy(frames)[None], index))[0].cpu().numpy()


def _check_task(model: CalibratedModel, data: Dataset, task: str) -> TaskCheck:
    scores = log_likelihoods(model, data, task)
    clip_frames = min(CLIP_FRAMES, *(len(film) for films in scores.values() for film in films))
    rewards = {kind: [model.calibration[task].reward(film) for film in films] for kind, films in scores.items()}
    film_means = {kind: np.array([film.mean() for film in films]) for kind, films in scores.items()}
    clip_means = {kind: clip_likelihoods(films, clip_frames) for kind, films in scores.items()}
    kinds = {
        kind: KindCheck(
            films=len(scores[kind]),
            log_likelihood=float(film_means[kind].mean()),
            reward=tuple(map(float, np.quantile(np.concatenate(rewards[kind]), Calibration.LEVELS))),
            film_auc=None if kind == EXPERT else auc(film_means[EXPERT], film_means[kind]),
            clip_auc=None if kind == EXPERT else auc(clip_means[EXPERT], clip_means[kind]),
            value_order_correlation=_mean(value_order_correlation(film) for film in rewards[kind]),
        )
        for kind in scores
    }
    return_correlation = _return_correlation(data, task, film_means)
    verdict = judge(
        films=kinds[EXPERT].films,
        expert_reward=float(np.median(np.concatenate(rewards[EXPERT]))),
        film_auc={kind: k.film_auc for kind, k in kinds.items() if k.film_auc is not None},
        clip_auc={kind: k.clip_auc for kind, k in kinds.items() if k.clip_auc is not None},
        return_correlation=return_correlation,
    )
    return TaskCheck(verdict, clip_frames, kinds, return_correlation, scores)


def clip_likelihoods(films: Sequence[np.ndarray], clip_frames: int) -> np.ndarray:
    """Mean likelihood of each of the non-overlapping clips of scored films, float32 [clips]."""
    return np.concatenate(
        [film[: len(film) // clip_frames * clip_frames].reshape(-1, clip_frames).mean(1) for film in films]
    )


def auc(better: np.ndarray, worse: np.ndarray) -> float:
    """The area under the ROC curve: how often a value of `better` is above one of `worse`, ties counting one half."""
    return float(mannwhitneyu(better, worse).statistic / (len(better) * len(worse)))


def value_order_correlation(reward: np.ndarray) -> float | None:
    """VOC: Spearman's ρ between the progress at each moment of a film and time, -1 to 1.

    The measure is of Ma et al. 2024 (Generative Value Learning, arXiv 2411.04549), who take it of values that a model
    predicts. A likelihood predicts none; the progress that follows from it is the calibrated reward earned so far: it
    grows over a film where each stretch of it is worth more than frames in any order, whose median is worth 0.
    reward: float [time]. None where the progress never changes.
    """
    progress = reward.cumsum()
    return float(spearmanr(progress, np.arange(len(progress))).statistic) if np.ptp(progress) > 0 else None


def _mean(values: Any) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def _return_correlation(data: Dataset, task: str, film_means: dict[str, np.ndarray]) -> float | None:
    pairs = [
        (likelihood, float(judged.film.task_reward[judged.order].sum()))
        for kind, films in judged_films(data, task, ()).items()
        if kind not in MADE
        for judged, likelihood in zip(films, film_means[kind], strict=True)
        if judged.film.task_reward is not None
    ]
    likelihoods, returns = np.array(pairs).reshape(-1, 2).T
    if len(set(returns)) < 3 or len(set(likelihoods)) < 2:
        return None
    return float(spearmanr(likelihoods, returns).statistic)
