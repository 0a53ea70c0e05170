"""What the models say of each pair's videos: likelihoods of every frame, under right and wrong labels."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from viper_lab.errors import UserError
from viper_lab.evaluation.cross_embodiment.fitting import COMPARED, Models
from viper_lab.evaluation.cross_embodiment.kept import kept
from viper_lab.evaluation.cross_embodiment.pairs import Pair, Pairs
from viper_model.reward.check import FROZEN, OTHER_TASK, JudgedVideo, judged_videos
from viper_model.reward.scorer import score_video
from viper_model.video_model.folder import model_hash
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.dataset import Dataset, load_dataset
from viper_model.videos.find import EXPERT

KINDS = (EXPERT, *COMPARED, FROZEN, OTHER_TASK)
"""Of videos: experts', of the same arm all, and what they are compared with."""
FORMS = ("conditional", "ratio")
RIGHT, WRONG_LABEL, OTHER_ARM = "right label", "wrong label", "other arm's model"
"""Who is asked: the model of all seen pairs under the task's label; the same under another's; and under the task's
label a model that has never seen the pair's arm."""
LEAST_VIDEOS = 2

Likelihoods = dict[str, dict[str, list[np.ndarray]]]
"""By who was asked and by kind: of each video, float32 [forms, time], nats."""


@dataclass(frozen=True)
class Asked:
    """A model and the label under which it is asked."""

    model: VideoModel
    sha256: str
    label: str


class Judges:
    """The fitted models, by what each pair asks of them."""

    def __init__(self, models: Models, pairs: Pairs, device: str) -> None:
        """Raises ModelError where a model can't be read."""
        self._pairs = pairs
        self._all = self._load(models.all, device)
        self._without = {arm: self._load(folder, device) for arm, folder in models.without.items()}

    @property
    def model(self) -> VideoModel:
        """The model of all seen pairs."""
        return self._all[0]

    def of(self, pair: Pair) -> dict[str, Asked]:
        """By RIGHT, WRONG_LABEL and, for a pair that is unseen, OTHER_ARM."""
        asked = {
            RIGHT: Asked(*self._all, pair.task),
            WRONG_LABEL: Asked(*self._all, self._pairs.wrong_label(pair)),
        }
        if pair in self._pairs.unseen:
            asked[OTHER_ARM] = Asked(*self._without[pair.arm], pair.task)
        return asked

    @staticmethod
    def _load(folder: Path, device: str) -> tuple[VideoModel, str]:
        return VideoModel.load(folder, device), model_hash(folder) or ""


def load_videos(data: Path, pairs: Pairs, model: VideoModel) -> Dataset:
    """The videos of all pairs as the model sees them. All of an unseen pair are held out. Raises ModelError."""
    names = [str(pair) for pair in pairs.all]
    dataset = load_dataset(data, model.image_size, names, shortest=model.context * model.frame_skip)
    unseen = {str(pair) for pair in pairs.unseen}
    videos = tuple(
        dataclasses.replace(video, held_out=video.held_out or video.pair in unseen) for video in dataset.videos
    )
    return dataclasses.replace(dataset, videos=videos)


def judged_of_pair(dataset: Dataset, pairs: Pairs, pair: Pair) -> dict[str, list[JudgedVideo]]:
    """By kind, the videos that a pair is judged by, all kept from training: OTHER_TASK is experts of the same arm.

    Raises UserError where there are too few that can be used.
    """
    same_arm = [str(each) for each in pairs.all if each.arm == pair.arm]
    videos = judged_videos(dataset, str(pair), same_arm)
    for kind in KINDS:
        if len(videos.get(kind, ())) < LEAST_VIDEOS:
            raise UserError(
                f"{pair}: {len(videos.get(kind, ()))} {kind} videos can be used to judge by, {LEAST_VIDEOS} are "
                "needed: record more, or longer ones (`viper data` names what is too short)"
            )
    return {kind: videos[kind] for kind in KINDS}


def videos_told(videos: Mapping[str, list[JudgedVideo]]) -> dict[str, Any]:
    """What tells these videos from others, as JSON has it."""
    return {
        kind: [hashlib.sha256(np.ascontiguousarray(video.frames).data).hexdigest() for video in of_kind]
        for kind, of_kind in videos.items()
    }


def likelihoods(path: Path, asked: Mapping[str, Asked], videos: Mapping[str, list[JudgedVideo]]) -> Likelihoods:
    """Every frame's likelihood, kept at `path`. Raises ModelError."""
    made_of = {
        "asked": {who: [each.sha256, each.label] for who, each in asked.items()},
        "videos": videos_told(videos),
        "forms": FORMS,
    }

    def score() -> dict[str, np.ndarray]:
        return {
            f"{who}/{kind}/{number}": _score(each, video)
            for who, each in asked.items()
            for kind, of_kind in videos.items()
            for number, video in enumerate(of_kind)
        }

    arrays = kept(path, made_of, score)
    return {
        who: {
            kind: [arrays[f"{who}/{kind}/{number}"] for number in range(len(of_kind))]
            for kind, of_kind in videos.items()
        }
        for who in asked
    }


def _score(asked: Asked, video: JudgedVideo) -> np.ndarray:
    scores = score_video(asked.model, video.frames, asked.label, "ratio")
    return np.stack([scores.conditional, scores.log_likelihood])
