"""Is the likelihood a reward? Expert films must score above films that look right and move wrong."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import mannwhitneyu, spearmanr

from viper_model.dataset import EXPERT, Dataset, Film
from viper_model.likelihood import Calibration, LikelihoodModel, conditional

CLIP_FRAMES = 48
"""Length of the clips that are judged, or that of the shortest film where that is less."""
BATCH = 8
"""Clips scored at once."""


@dataclass(frozen=True)
class TaskCheck:
    clip_frames: int
    clips: dict[str, int]
    """How many clips there are of each kind."""
    log_likelihood: dict[str, float]
    """Mean nats a frame of each kind."""
    auc: dict[str, float]
    """For each kind but expert: the probability that an expert clip is likelier than a clip of this kind, 0 to 1."""
    rank_correlation: float | None
    """Spearman's ρ between the mean likelihood of a film and its true return, over held-out films of all behaviours;
    None where there are not three different returns among them."""


@dataclass(frozen=True)
class RewardCheck:
    tasks: dict[str, TaskCheck]

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return dataclasses.asdict(self)


def check_reward(model: LikelihoodModel, data: Dataset) -> RewardCheck:
    """Judge `model` by the films of `data` that were kept from its training. `data` is at the model's image size."""
    return RewardCheck({task: _check_task(model, data, task) for task in model.tasks})


def _check_task(model: LikelihoodModel, data: Dataset, task: str) -> TaskCheck:
    frames = clip_log_likelihoods(model, data, task)  # kind → [clips, time]
    clips = {kind: values.mean(1) for kind, values in frames.items()}
    auc = {
        kind: float(mannwhitneyu(clips[EXPERT], values).statistic / (len(clips[EXPERT]) * len(values)))
        for kind, values in clips.items()
        if kind != EXPERT
    }
    return TaskCheck(
        clip_frames=frames[EXPERT].shape[1],
        clips={kind: len(values) for kind, values in clips.items()},
        log_likelihood={kind: float(values.mean()) for kind, values in clips.items()},
        auc=auc,
        rank_correlation=_rank_correlation(model, data, task),
    )


def calibrate(model: LikelihoodModel, data: Dataset) -> dict[str, Calibration]:
    """Each task's calibration, measured on held-out films."""
    return {
        task: Calibration.of({k: v.flatten() for k, v in clip_log_likelihoods(model, data, task).items()})
        for task in model.tasks
    }


def clip_log_likelihoods(model: LikelihoodModel, data: Dataset, task: str) -> dict[str, np.ndarray]:
    """The conditional likelihood of every frame of held-out clips, by kind: float32 [clips, time], nats.

    The clips are cut from several places of each film and scored as films of their own, from their first frame on.
    Kinds: `expert`; expert clips made wrong: `frozen` (the first frame stands still), `reversed` in time, `shuffled` in
    time; and `random`, clips of that behaviour, where such films exist.
    """
    expert = data.select(EXPERT, task=task)
    random = data.select("random", task=task)
    length = min(CLIP_FRAMES, *(len(film.frames) for film in expert + random))
    clips = _clips(expert, length)
    order = np.random.default_rng(0).permuted(np.tile(np.arange(length), (len(clips), 1)), axis=1)
    kinds = {
        EXPERT: clips,
        "frozen": clips[:, :1].repeat(length, 1),
        "reversed": clips[:, ::-1],
        "shuffled": clips[np.arange(len(clips))[:, None], order],
    }
    if random:
        kinds["random"] = _clips(random, length)
    return {kind: _log_likelihoods(model, clips, task) for kind, clips in kinds.items()}


def _clips(films: list[Film], length: int) -> np.ndarray:
    """All non-overlapping clips of `length` frames, uint8 [clips, length, height, width, 3]."""
    starts = [(film, start) for film in films for start in range(0, len(film.frames) - length + 1, length)]
    return np.stack([film.frames[start : start + length] for film, start in starts])


def _log_likelihoods(model: LikelihoodModel, clips: np.ndarray, task: str) -> np.ndarray:
    """uint8 [clips, time, height, width, 3] → float32 [clips, time]."""
    index = model.tasks.index(task)
    batches = np.array_split(clips, range(BATCH, len(clips), BATCH))
    scores = [
        conditional(model.log_probs(torch.from_numpy(np.array(batch)), torch.full([len(batch)], index)))
        for batch in batches
    ]
    return torch.cat(scores).cpu().numpy()


def _rank_correlation(model: LikelihoodModel, data: Dataset, task: str) -> float | None:
    films = [film for film in data.films if film.task == task and film.held_out and film.task_reward is not None]
    returns = [float(film.task_reward.sum()) for film in films if film.task_reward is not None]
    if len(set(returns)) < 3:
        return None
    likelihoods = [float(_log_likelihoods(model, film.frames[None], task).mean()) for film in films]
    return float(spearmanr(likelihoods, returns).statistic) if len(set(likelihoods)) > 1 else None
