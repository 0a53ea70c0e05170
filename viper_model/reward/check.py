"""Is the likelihood a reward? Expert videos must score above videos that look right and move wrong.

All videos are scored whole, from their first frame on, as the reward of an episode is. What is done to an expert's
video to make it wrong is done to the whole video: shuffling a stretch in which an expert stands still changes nothing.
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
from viper_model.videos.dataset import EXPERT, Dataset, Video

FROZEN_START, FROZEN_ANYWHERE, REVERSED, SHUFFLED = "frozen_start", "frozen_anywhere", "reversed", "shuffled"
OTHER_TASK = "other_task"
MADE = (FROZEN_START, FROZEN_ANYWHERE, REVERSED, SHUFFLED, OTHER_TASK)
"""Kinds that the check makes; all others are behaviours, as recorded."""
CLIP_FRAMES = 48
"""Length of the clips into which scored videos are cut, or that of the shortest video where that is less."""
MOST_VIDEOS = 32
"""So many videos of a kind are judged, ..."""
MOST_FRAMES = 1000
"""... and so many of their first frames, so that checking takes minutes whatever the size of the data."""


class CalibratedModel(LikelihoodModel, Protocol):
    calibration: dict[str, Calibration]
    """By task."""


@dataclass(frozen=True)
class JudgedVideo:
    """A video, or what was made of it by showing its frames in another order."""

    video: Video
    order: np.ndarray
    """int64 [time], which of the video's frames is shown when."""

    @property
    def frames(self) -> np.ndarray:
        """uint8 [time, image_size, image_size, 3], a copy."""
        return self.video.frames[self.order]


@dataclass(frozen=True)
class KindCheck:
    """Videos of one kind beside held-out expert videos."""

    videos: int
    log_likelihood: float
    """Mean nats a frame."""
    reward: tuple[float, ...]
    """Quantiles of the calibrated reward of their frames, at Calibration.LEVELS."""
    video_auc: float | None
    """The probability that an expert video's mean likelihood is above that of a video of this kind, 0 to 1, ties
    counted as one half. None for expert videos."""
    clip_auc: float | None
    """The same for clips of `TaskCheck.clip_frames` frames, cut out of the videos once those are scored."""
    value_order_correlation: float | None
    """See `value_order_correlation`, mean over videos; None where it is defined for none."""


@dataclass(frozen=True)
class TaskCheck:
    verdict: Verdict
    clip_frames: int
    kinds: dict[str, KindCheck]
    """`expert` first, then the kinds of MADE, then other behaviours as recorded."""
    return_correlation: float | None
    """Spearman's ρ between the mean likelihood of a video and its ground-truth return, over held-out videos of all
    behaviours; None where there are not three different returns among them."""
    log_likelihoods: dict[str, list[np.ndarray]]
    """What all this is measured on: by kind, float32 [time] nats for each video."""


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
    """Judge `model` on `tasks` (all that it knows where None) by the videos of `data` that were kept from its training.

    `data` is at the model's image size and has expert videos of each task. Raises ModelError.
    """
    return RewardCheck({task: _check_task(model, data, task) for task in tasks or model.tasks})


def calibrate(model: LikelihoodModel, data: Dataset) -> dict[str, Calibration]:
    """Each task's calibration, measured on held-out videos. Raises ModelError as `judged_videos` does."""
    return {
        task: Calibration.of({k: np.concatenate(v) for k, v in log_likelihoods(model, data, task).items()})
        for task in model.tasks
    }


def judged_videos(data: Dataset, task: str, known_tasks: Sequence[str]) -> dict[str, list[JudgedVideo]]:
    """What a reward for `task` is judged by, by kind, the same on every call.

    `expert`: held-out videos; made of those: `frozen_start` (the first frame is all there is: what a robot sees that
    doesn't move), `frozen_anywhere` (the same with any one frame), `reversed` and `shuffled` in time; `other_task`,
    held-out expert videos of other `known_tasks`, where there are any; and all other behaviours as they were recorded.
    Raises ModelError where there are no held-out expert videos, or a behaviour is called as one of the made kinds.
    """
    experts = [_as_videoed(video) for video in _some(data.select(EXPERT, task=task))]
    if not experts:
        raise ModelError(f"no {EXPERT} videos of '{task}' were kept from training: there is nothing to judge by")
    rng = np.random.default_rng(0)
    videos = {
        EXPERT: experts,
        FROZEN_START: [_reordered(video, np.zeros_like(video.order)) for video in experts],
        FROZEN_ANYWHERE: [_reordered(video, np.full_like(video.order, rng.choice(video.order))) for video in experts],
        REVERSED: [_reordered(video, video.order[::-1]) for video in experts],
        SHUFFLED: [_reordered(video, rng.permutation(video.order)) for video in experts],
    }
    others = [video for other in known_tasks if other != task for video in data.select(EXPERT, task=other)]
    if others:
        videos[OTHER_TASK] = [_as_videoed(video) for video in _some(others)]
    for behaviour in sorted({video.behaviour for video in data.videos if video.task == task} - {EXPERT}):
        if behaviour in MADE:
            raise ModelError(
                f"the data has videos of a behaviour '{behaviour}' of '{task}', which is also what the check calls "
                "videos that it makes: rename their folder"
            )
        videos[behaviour] = [_as_videoed(video) for video in _some(data.select(behaviour, task=task))]
    return videos


def _some(videos: list[Video]) -> list[Video]:
    """At most MOST_VIDEOS of them, from all over the list."""
    return (
        videos if len(videos) <= MOST_VIDEOS else [videos[i * len(videos) // MOST_VIDEOS] for i in range(MOST_VIDEOS)]
    )


def _as_videoed(video: Video) -> JudgedVideo:
    return JudgedVideo(video, np.arange(min(len(video.frames), MOST_FRAMES)))


def _reordered(video: JudgedVideo, order: np.ndarray) -> JudgedVideo:
    return JudgedVideo(video.video, order)


def log_likelihoods(model: LikelihoodModel, data: Dataset, task: str) -> dict[str, list[np.ndarray]]:
    """The conditional likelihood of every frame of `judged_videos`, by kind: float32 [time] nats for each video."""
    return {
        kind: [_log_likelihood(model, video.frames, task) for video in videos]
        for kind, videos in judged_videos(data, task, model.tasks).items()
    }


def _log_likelihood(model: LikelihoodModel, frames: np.ndarray, task: str) -> np.ndarray:
    """uint8 [time, height, width, 3] → float32 [time]."""
    index = torch.tensor([model.tasks.index(task)])
    return conditional(model.log_probs(torch.from_numpy(frames)[None], index))[0].cpu().numpy()


def _check_task(model: CalibratedModel, data: Dataset, task: str) -> TaskCheck:
    scores = log_likelihoods(model, data, task)
    clip_frames = min(CLIP_FRAMES, *(len(video) for videos in scores.values() for video in videos))
    rewards = {kind: [model.calibration[task].reward(video) for video in videos] for kind, videos in scores.items()}
    video_means = {kind: np.array([video.mean() for video in videos]) for kind, videos in scores.items()}
    clip_means = {kind: clip_likelihoods(videos, clip_frames) for kind, videos in scores.items()}
    kinds = {
        kind: KindCheck(
            videos=len(scores[kind]),
            log_likelihood=float(video_means[kind].mean()),
            reward=tuple(map(float, np.quantile(np.concatenate(rewards[kind]), Calibration.LEVELS))),
            video_auc=None if kind == EXPERT else auc(video_means[EXPERT], video_means[kind]),
            clip_auc=None if kind == EXPERT else auc(clip_means[EXPERT], clip_means[kind]),
            value_order_correlation=_mean(value_order_correlation(video) for video in rewards[kind]),
        )
        for kind in scores
    }
    return_correlation = _return_correlation(data, task, video_means)
    verdict = judge(
        videos=kinds[EXPERT].videos,
        expert_reward=float(np.median(np.concatenate(rewards[EXPERT]))),
        video_auc={kind: k.video_auc for kind, k in kinds.items() if k.video_auc is not None},
        clip_auc={kind: k.clip_auc for kind, k in kinds.items() if k.clip_auc is not None},
        return_correlation=return_correlation,
    )
    return TaskCheck(verdict, clip_frames, kinds, return_correlation, scores)


def clip_likelihoods(videos: Sequence[np.ndarray], clip_frames: int) -> np.ndarray:
    """Mean likelihood of each of the non-overlapping clips of scored videos, float32 [clips]."""
    return np.concatenate(
        [video[: len(video) // clip_frames * clip_frames].reshape(-1, clip_frames).mean(1) for video in videos]
    )


def auc(better: np.ndarray, worse: np.ndarray) -> float:
    """The area under the ROC curve: how often a value of `better` is above one of `worse`, ties counting one half."""
    return float(mannwhitneyu(better, worse).statistic / (len(better) * len(worse)))


def value_order_correlation(reward: np.ndarray) -> float | None:
    """VOC: Spearman's ρ between the progress at each time step of a video and time, -1 to 1.

    The measure is of Ma et al. 2024 (Generative Value Learning, arXiv 2411.04549), who take it of values that a model
    predicts. A likelihood predicts none; the progress that follows from it is the calibrated reward earned so far: it
    grows over a video where each stretch of it is worth more than frames in any order, whose median is worth 0.
    reward: float [time]. None where the progress never changes.
    """
    progress = reward.cumsum()
    return float(spearmanr(progress, np.arange(len(progress))).statistic) if np.ptp(progress) > 0 else None


def _mean(values: Any) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def _return_correlation(data: Dataset, task: str, video_means: dict[str, np.ndarray]) -> float | None:
    pairs = [
        (likelihood, float(judged.video.task_reward[judged.order].sum()))
        for kind, videos in judged_videos(data, task, ()).items()
        if kind not in MADE
        for judged, likelihood in zip(videos, video_means[kind], strict=True)
        if judged.video.task_reward is not None
    ]
    likelihoods, returns = np.array(pairs).reshape(-1, 2).T
    if len(set(returns)) < 3 or len(set(likelihoods)) < 2:
        return None
    return float(spearmanr(likelihoods, returns).statistic)
