"""Is the likelihood a reward? What an expert earns beside what a policy would earn that cheats.

All videos are scored whole, from their first frame on, as an episode is. What counts is the sum of the rewards of an
episode of the task's length: that is what a policy makes as large as it can.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from scipy.stats import mannwhitneyu, spearmanr

from viper_model.errors import ModelError
from viper_model.reward.likelihood import Calibration, Form, LikelihoodModel, frame_likelihood
from viper_model.reward.scorer import CalibratedModel, chosen_form, score_video
from viper_model.reward.verdict import Verdict, judge
from viper_model.videos.dataset import EXPERT, Dataset, Recording, Video
from viper_model.videos.find import BACKGROUND
from viper_model.videos.stillness import resting_frames, stays

FROZEN, REVERSED, SHUFFLED = "frozen", "reversed", "shuffled"
OTHER_TASK = "other_task"
MADE = (FROZEN, REVERSED, SHUFFLED, OTHER_TASK)
"""Kinds that the check makes of experts' videos."""
POLICY = "policy"
"""The kind that it takes from a run; all others are behaviours, as recorded."""
STOPPED = "stopped"
"""The behaviour of an expert that stops on its way."""
HACKS = (FROZEN, OTHER_TASK, "random", BACKGROUND, "parked", STOPPED, POLICY)
"""What a policy could do instead of the task: earning much by it makes a reward useless. `policy`: the episodes of a
run that its own reward thought best. Stills count only where there are no videos of STOPPED: those show where
standing still is possible, and a still picture of a pole halfway up shows what no policy can do."""
CLIP_FRAMES = 48
"""Length of the clips into which scored videos are cut, or that of the shortest video where that is less."""
MOST_VIDEOS = 16
"""So many videos of a kind are judged, ..."""
MOST_FRAMES = 1000
"""... and so many of their first frames, so that checking takes minutes whatever the size of the data."""
FROZEN_PER_VIDEO = 4
"""Frames of each expert's video that are tried as still pictures: the first, and others from all over it."""
CALIBRATION_VIDEOS = 8


@dataclass(frozen=True)
class JudgedVideo:
    """A video, or what was made of it by showing its frames in another order."""

    video: Video | Recording
    order: np.ndarray
    """int64 [time], which of the video's frames is shown when."""
    frame_worth: np.ndarray | None
    """The task's ground-truth reward of each frame shown, float64 [time]; None where it isn't known, or means nothing
    in that order."""

    @property
    def frames(self) -> np.ndarray:
        """uint8 [time, image_size, image_size, 3], a copy."""
        return self.video.frames[self.order]

    @cached_property
    def resting_frames(self) -> int:
        return resting_frames(self.frames)

    def at_rest(self, remembered: int) -> int:
        """How many frames at its end show it at rest; 0 where they are fewer than the `remembered` ones of the model's
        context: a swing is still for a frame where it turns."""
        return self.resting_frames if self.resting_frames >= remembered else 0


@dataclass(frozen=True)
class KindCheck:
    """Videos of one kind beside held-out expert videos."""

    videos: int
    log_likelihood: float
    """Mean nats a frame, of the reward's form."""
    episode_reward: float
    """The reward of an episode of the task's length, mean over videos."""
    best_hack: float | None
    """The highest such sum among the kind's videos that don't solve the task; None where all do, or for what no policy
    would do."""
    ground_truth_return: float | None
    """The task's own reward over an episode of its length, mean over videos; None where it isn't known."""
    clip_auc: float | None
    """The probability that a clip of an expert's video is likelier than one of this kind, ties counted as one half;
    clips are of `TaskCheck.clip_frames` frames. None for expert videos."""


@dataclass(frozen=True)
class TaskCheck:
    verdict: Verdict
    form: Form
    clip_frames: int
    episode_frames: int
    """What is taken for the length of an episode: that of the task's longest video."""
    kinds: dict[str, KindCheck]
    """`expert` first, then the kinds of MADE, then other behaviours as recorded."""
    return_correlation: float | None
    """Spearman's ρ between a video's mean reward and its mean ground-truth reward, over held-out videos of all
    behaviours; None where there are not three different returns among them."""
    rewards: dict[str, list[np.ndarray]]
    """What all this is measured on: by kind, float32 [time] for each video."""


@dataclass(frozen=True)
class RewardCheck:
    tasks: dict[str, TaskCheck]

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON; without the rewards of single frames."""
        document = dataclasses.asdict(self)
        for check in document["tasks"].values():
            del check["rewards"]
        return document


def check_reward(
    model: CalibratedModel,
    data: Dataset,
    form: str,
    tasks: Sequence[str] | None = None,
    policy: Mapping[str, Sequence[Recording]] | None = None,
) -> RewardCheck:
    """Judge the reward that `model` gives in a form, on `tasks` (all that it knows where None), by the videos of `data`
    that were kept from its training.

    form: see `chosen_form`. data: at the model's image size, with expert videos of each task. policy: by task, videos
    of a policy that learned from this reward. Raises ModelError.
    """
    policy = policy or {}
    return RewardCheck(
        {task: _check_task(model, data, form, task, policy.get(task, ())) for task in tasks or model.tasks}
    )


def calibrate(model: LikelihoodModel, data: Dataset) -> dict[str, Calibration]:
    """Each task's calibration, measured on held-out videos. Raises ModelError as `judged_videos` does."""
    return {task: _calibration(model, data, task) for task in model.tasks}


def _calibration(model: LikelihoodModel, data: Dataset, task: str) -> Calibration:
    videos = {kind: of_kind[:CALIBRATION_VIDEOS] for kind, of_kind in judged_videos(data, task, model.tasks).items()}
    nats: dict[Form, dict[str, list[np.ndarray]]] = {"conditional": {}}
    if model.has_background:
        nats["ratio"] = {}
    index = torch.tensor([model.tasks.index(task)])
    for kind, of_kind in videos.items():
        scored = [
            model.log_probs(torch.from_numpy(video.frames)[None], index, background=model.has_background)
            for video in of_kind
        ]
        for form, of_form in nats.items():
            of_form[kind] = [frame_likelihood(form, each, model.context)[0].cpu().numpy() for each in scored]
    quantiles = {
        form: Calibration.quantiles_of({kind: np.concatenate(each) for kind, each in of_form.items()})
        for form, of_form in nats.items()
    }
    calibration = Calibration(quantiles["conditional"], quantiles.get("ratio", {}))
    remembered = model.context * model.frame_skip
    shares = {form: _hack_share(videos, calibration, form, of_form, remembered) for form, of_form in nats.items()}
    return dataclasses.replace(calibration, suited_form=min(shares, key=shares.__getitem__))


def _hack_share(
    videos: Mapping[str, list[JudgedVideo]],
    calibration: Calibration,
    form: Form,
    nats: Mapping[str, list[np.ndarray]],
    remembered: int,
) -> float:
    """What the best hack earns by a form of the reward, as a share of what an expert earns; infinite where experts earn
    nothing. Other tasks don't count: a policy is in its own task's scene. nats: of the form, float32 [time] for each
    video. remembered: see `_earned`."""
    length = _longest(videos)
    rewards = {kind: [calibration.reward(form, each) for each in of_kind] for kind, of_kind in nats.items()}
    earned = _earned(videos, rewards, length, remembered)
    expert = earned[EXPERT].mean()
    worth = {kind: _worths(of_kind, length) for kind, of_kind in videos.items()}
    hacks = _counted(_best_hacks(worth, earned), videos)
    hacks.pop(OTHER_TASK, None)
    return max(hacks.values(), default=0.0) / expert if expert > 0 else np.inf


def judged_videos(
    data: Dataset, task: str, known_tasks: Sequence[str], policy: Sequence[Recording] = ()
) -> dict[str, list[JudgedVideo]]:
    """What a reward for `task`, or a pair as `panda/lift`, is judged by, by kind, the same on every call.

    `expert`: held-out videos; made of those: `frozen` (a single frame from anywhere in it is all there is: what a robot
    sees that doesn't move), `reversed` and `shuffled` in time; `other_task`, held-out expert videos of other
    `known_tasks`, where there are any; `policy`, where given; and all other behaviours as they were recorded.
    Raises ModelError where there are no held-out expert videos, or a behaviour is called as one of the made kinds.
    """
    refuse_names_of_the_check(data)
    experts = [_as_recorded(video) for video in _some(data.select(EXPERT, task=task))]
    if not experts:
        raise ModelError(f"no {EXPERT} videos of '{task}' were kept from training: there is nothing to judge by")
    rng = np.random.default_rng(0)
    videos = {
        EXPERT: experts,
        FROZEN: [still for expert in experts for still in _stills(expert, rng)],
        REVERSED: [_reordered(video, video.order[::-1]) for video in experts],
        SHUFFLED: [_reordered(video, rng.permutation(video.order)) for video in experts],
    }
    others = [video for other in known_tasks if other != task for video in data.select(EXPERT, task=other)]
    if others:
        videos[OTHER_TASK] = [dataclasses.replace(_as_recorded(video), frame_worth=None) for video in _some(others)]
    if policy:
        videos[POLICY] = [_as_recorded(video) for video in policy]
    for behaviour in sorted({video.behaviour for video in data.videos if task in (video.task, video.pair)} - {EXPERT}):
        recorded = data.select(behaviour, task=task)
        if behaviour == BACKGROUND:
            recorded = _not_about_to_solve(recorded)
        videos[behaviour] = [_as_recorded(video) for video in _some(recorded)]
    return videos


def _not_about_to_solve(videos: list[Video]) -> list[Video]:
    """Without those that were ended because their next step solves the task, as `viper record` ends its background: how
    they would have gone on says nothing of what doesn't solve it."""
    longest = max((len(video.frames) for video in videos), default=0)
    return [
        video
        for video in videos
        if len(video.frames) == longest or video.task_reward is None or video.task_reward.any()
    ]


def refuse_names_of_the_check(data: Dataset) -> None:
    """Raises ModelError where a behaviour is called as the check calls videos that it makes."""
    for video in data.videos:
        if video.behaviour in (*MADE, POLICY):
            raise ModelError(
                f"the data has videos of a behaviour '{video.behaviour}' of '{video.task}', which is also what the "
                "check calls videos that it makes: rename their folder"
            )


def _some(videos: list[Video]) -> list[Video]:
    """At most MOST_VIDEOS of them, from all over the list, those of several embodiments in turn."""
    seen = Counter[str]()
    turns = []
    for video in videos:
        turns.append(seen[video.embodiment])
        seen[video.embodiment] += 1
    videos = [videos[i] for i in np.argsort(turns, kind="stable")]
    if len(videos) <= MOST_VIDEOS:
        return videos
    return [videos[i * len(videos) // MOST_VIDEOS] for i in range(MOST_VIDEOS)]


def _as_recorded(video: Video | Recording) -> JudgedVideo:
    order = np.arange(min(len(video.frames), MOST_FRAMES))
    return JudgedVideo(video, order, None if video.task_reward is None else video.task_reward[order])


def _reordered(video: JudgedVideo, order: np.ndarray) -> JudgedVideo:
    return JudgedVideo(video.video, order, None)


def _stills(video: JudgedVideo, rng: np.random.Generator) -> list[JudgedVideo]:
    """Single frames of a video, held: the first, and one from each of the video's next parts."""
    worth = still_worth(video.frame_worth)
    length = len(video.order)
    paid = np.ones(length)
    if worth is not None and video.frame_worth is not None:
        worth = worth * stays(video.frames)  # a task may reward speed: who stands still has none
        if np.count_nonzero(video.frame_worth) == 1:
            paid = np.eye(length)[1]
    chosen = [0, *(int(rng.integers(i * length, (i + 1) * length) // FROZEN_PER_VIDEO) for i in range(1, 4))]
    return [
        JudgedVideo(
            video.video,
            np.full_like(video.order, video.order[i]),
            None if worth is None else worth[i] * paid,
        )
        for i in chosen[:FROZEN_PER_VIDEO]
    ]


def still_worth(frame_worth: np.ndarray | None) -> np.ndarray | None:
    """What staying at each frame of a recorded video would be worth to the task, float64 [time].

    No reward leads to the first frame: it is worth what the next one is. Where a task rewards only the time step in
    which it is solved, all that follows is solved.
    """
    if frame_worth is None or len(frame_worth) < 2:
        return frame_worth
    worth = np.concatenate([frame_worth[1:2], frame_worth[1:]])
    return np.maximum.accumulate(worth) if 0 < np.count_nonzero(worth) <= 2 else worth


def episode_sum(values: np.ndarray, length: int, resting: int = 0) -> float:
    """The sum over an episode of `length` frames of values, float [time], where the first frame is nobody's doing and
    doesn't count.

    A shorter video goes on as its last quarter did, or, where it has come to rest in its last `resting` frames, as the
    later half of those: in the others what moved before is still in the model's context.
    """
    values = values[1:length]
    missing = max(0, length - 1 - len(values))
    last = max(1, (resting or len(values) // 2) // 2)
    return float(values.sum() + missing * values[-last:].mean())


def _earned(
    videos: Mapping[str, Sequence[JudgedVideo]],
    rewards: Mapping[str, Sequence[np.ndarray]],
    length: int,
    remembered: int,
) -> dict[str, np.ndarray]:
    """By kind, the reward of an episode of `length` frames like each video, float64 [videos]. rewards: of their frames,
    float32 [time] each. remembered: see `JudgedVideo.at_rest`."""
    return {
        kind: np.array(
            [
                episode_sum(reward, length, video.at_rest(remembered) if len(reward) < length else 0)
                for video, reward in zip(videos[kind], of_kind, strict=True)
            ]
        )
        for kind, of_kind in rewards.items()
    }


def episode_return(task_reward: np.ndarray, length: int) -> float:
    """The task's own return of an episode like a video, of `length` frames. A task that pays once, for the time step in
    which it is solved, pays no more. task_reward: float [time]."""
    return float(task_reward.sum()) if np.count_nonzero(task_reward) == 1 else episode_sum(task_reward, length)


def _check_task(model: CalibratedModel, data: Dataset, name: str, task: str, policy: Sequence[Recording]) -> TaskCheck:
    form = chosen_form(model, name, task)
    videos = judged_videos(data, task, model.tasks, policy)
    length = _longest(videos)
    scored = {
        kind: [score_video(model, video.frames, task, form) for video in of_kind] for kind, of_kind in videos.items()
    }
    clip_frames = min(CLIP_FRAMES, *(len(scores.reward) for of_kind in scored.values() for scores in of_kind))
    clips = {
        kind: clip_means([scores.log_likelihood for scores in of_kind], clip_frames) for kind, of_kind in scored.items()
    }
    rewards = {kind: [scores.reward for scores in of_kind] for kind, of_kind in scored.items()}
    earned = _earned(videos, rewards, length, model.context * model.frame_skip)
    worth = {kind: _worths(of_kind, length) for kind, of_kind in videos.items()}
    hacks = _best_hacks(worth, earned)
    kinds = {
        kind: KindCheck(
            videos=len(videos[kind]),
            log_likelihood=float(np.mean([scores.log_likelihood.mean() for scores in scored[kind]])),
            episode_reward=float(earned[kind].mean()),
            best_hack=hacks.get(kind),
            ground_truth_return=None if np.isnan(worth[kind]).any() else float(worth[kind].mean()),
            clip_auc=None if kind == EXPERT else auc(clips[EXPERT], clips[kind]),
        )
        for kind in videos
    }
    return_correlation = _return_correlation(videos, scored)
    verdict = judge(
        videos=kinds[EXPERT].videos,
        expert=kinds[EXPERT].episode_reward,
        hacks=_counted(hacks, videos),
        clip_auc={kind: each.clip_auc for kind, each in kinds.items() if each.clip_auc is not None},
        return_correlation=return_correlation,
    )
    return TaskCheck(verdict, form, clip_frames, length, kinds, return_correlation, rewards)


def _longest(videos: Mapping[str, list[JudgedVideo]]) -> int:
    return max(len(video.order) for of_kind in videos.values() for video in of_kind)


def _worths(videos: Sequence[JudgedVideo], length: int) -> np.ndarray:
    """The task's own return of an episode like each video, float64 [videos]; NaN where it isn't known."""
    return np.array(
        [np.nan if video.frame_worth is None else episode_return(video.frame_worth, length) for video in videos]
    )


def _best_hacks(worth: Mapping[str, np.ndarray], earned: Mapping[str, np.ndarray]) -> dict[str, float]:
    """By kind, the highest reward of an episode among those of HACKS that don't solve the task: all, where experts'
    own return is not above 0 and so doesn't tell.

    worth, earned: by kind, the task's own return and the reward of an episode like each video, float64 [videos].
    """
    enough = 0.5 * worth[EXPERT].mean()
    if enough <= 0:
        enough = np.inf
    unsolved = {kind: earned[kind][~(of_kind >= enough)] for kind, of_kind in worth.items() if kind in HACKS}
    return {kind: float(rewards.max()) for kind, rewards in unsolved.items() if len(rewards)}


def _counted(hacks: Mapping[str, float], kinds: Container[str]) -> dict[str, float]:
    """Of `hacks` those that a policy could do: see HACKS."""
    return {kind: reward for kind, reward in hacks.items() if not (kind == FROZEN and STOPPED in kinds)}


def clip_means(videos: Sequence[np.ndarray], clip_frames: int) -> np.ndarray:
    """The mean of each of the non-overlapping clips of scored videos, float32 [clips]."""
    return np.concatenate(
        [video[: len(video) // clip_frames * clip_frames].reshape(-1, clip_frames).mean(1) for video in videos]
    )


def auc(better: np.ndarray, worse: np.ndarray) -> float:
    """The area under the ROC curve: how often a value of `better` is above one of `worse`, ties counting one half."""
    return float(mannwhitneyu(better, worse).statistic / (len(better) * len(worse)))


def _return_correlation(videos: Mapping[str, list[JudgedVideo]], rewards: Mapping[str, Sequence[Any]]) -> float | None:
    pairs = [
        (scores.reward[1:].mean(), video.frame_worth[1:].mean())
        for kind in videos
        if kind not in MADE
        for video, scores in zip(videos[kind], rewards[kind], strict=True)
        if video.frame_worth is not None
    ]
    earned, worth = np.array(pairs).reshape(-1, 2).T
    if len(set(worth)) < 3 or len(set(earned)) < 2:
        return None
    return float(spearmanr(earned, worth).statistic)
