"""Frames in, rewards out: what the reward node, bags and videos all use."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from viper_model.errors import ModelError
from viper_model.reward.likelihood import (
    FORMS,
    Calibration,
    CodeLogProbs,
    Form,
    LikelihoodModel,
    conditional,
    frame_likelihood,
    likelihood_map,
)


class CalibratedModel(LikelihoodModel, Protocol):
    calibration: dict[str, Calibration]
    """By task."""

    def task_index(self, task: str) -> int:
        """The number that stands for a task. Raises ModelError where the model doesn't know it."""
        ...


AUTO = "auto"
"""Stands for the form that suits a task: see `Calibration.suited_form`."""


def chosen_form(model: CalibratedModel, name: str, task: str) -> Form:
    """The form of a task's reward by its name, AUTO included.

    Raises ModelError for an unknown name or task, and for a ratio where the model has no background.
    """
    model.task_index(task)
    form = model.calibration[task].suited_form if name == AUTO else next((each for each in FORMS if each == name), None)
    if form is None:
        raise ModelError(f"no form of reward '{name}': choose {AUTO} or one of {', '.join(FORMS)}")
    if form == "ratio" and not model.has_background:
        raise ModelError(
            "a reward of the form 'ratio' needs a model with a background, which this one has not: "
            "fit one with background:=auto, or choose the form conditional"
        )
    return form


@dataclass(frozen=True)
class FrameScore:
    reward: float
    """What an agent learns from, see `Calibration.reward`."""
    log_likelihood: float
    """The form's nats, see `likelihood.Form`."""
    code_log_probs: np.ndarray
    """Under the task's model, float32 [rows, columns], nats."""


class Scorer:
    """Scores several videos frame by frame, as their frames arrive."""

    def __init__(self, model: CalibratedModel, form: str, videos: int) -> None:
        """form: AUTO or one of FORMS. Raises ModelError as `chosen_form` does."""
        self.model = model
        self._forms = {task: chosen_form(model, form, task) for task in model.tasks}
        self._stream = model.stream(videos, background="ratio" in self._forms.values())
        self._windows: list[deque[Tensor]] = [deque(maxlen=model.context) for _ in range(videos)]
        """Of each video, for the joint form: log-probabilities of codes, float32 [rows, columns], newest last."""

    def step(
        self, videos: Sequence[int], frames: np.ndarray, tasks: Sequence[str], is_first: Sequence[bool]
    ) -> list[FrameScore]:
        """Score the next frame of each of `videos`, none of which is named twice.

        frames: uint8 [n, image_size, image_size, 3]. is_first: the frame begins an episode: what came before it is
        forgotten. Raises ModelError, and remembers nothing, for an unknown task or frames of another size.
        """
        index = [self.model.task_index(task) for task in tasks]
        log_probs = self._stream.step(
            torch.tensor(videos), torch.tensor(frames), torch.tensor(index), torch.tensor(is_first)
        )
        likelihoods = self._likelihoods([self._forms[task] for task in tasks], videos, log_probs, is_first)
        return [
            FrameScore(self._reward(task, likelihood), float(likelihood), codes)
            for task, likelihood, codes in zip(tasks, likelihoods, log_probs.task.numpy(), strict=True)
        ]

    def _reward(self, task: str, likelihood: np.ndarray) -> float:
        return float(self.model.calibration[task].reward(self._forms[task], likelihood))

    def _likelihoods(
        self, forms: Sequence[Form], videos: Sequence[int], log_probs: CodeLogProbs, is_first: Sequence[bool]
    ) -> list[np.ndarray]:
        """Each frame's nats by its form, float32 []."""
        of_form = {
            form: frame_likelihood(form, log_probs, self.model.context).numpy() for form in set(forms) - {"joint"}
        }
        return [
            self._joint(video, log_probs.task[place], is_first[place]) if form == "joint" else of_form[form][place]
            for place, (form, video) in enumerate(zip(forms, videos, strict=True))
        ]

    def _joint(self, video: int, code_log_probs: Tensor, is_first: bool) -> np.ndarray:
        window = self._windows[video]
        if is_first:
            window.clear()
        window.append(code_log_probs)
        newest = frame_likelihood("joint", CodeLogProbs(torch.stack(tuple(window)), None), self.model.context)[-1]
        return newest.numpy()


@dataclass(frozen=True)
class VideoScores:
    """A whole video's scores, the numbers that a `Scorer` gives frame by frame."""

    form: Form
    conditional: np.ndarray
    """ln p(x_t | x_<t, task), float32 [time], nats."""
    log_likelihood: np.ndarray
    """The form's nats, float32 [time]."""
    reward: np.ndarray
    """float32 [time], see `Calibration.reward`."""
    code_log_probs: np.ndarray
    """Under the task's model, float32 [time, rows, columns], nats."""


def score_video(model: CalibratedModel, frames: np.ndarray, task: str, name: str) -> VideoScores:
    """Score a video, uint8 [time, image_size, image_size, 3], that begins with an episode's first frame.

    name: of the form, see `chosen_form`. Raises ModelError as that does, and for frames of another size.
    """
    form = chosen_form(model, name, task)
    index = torch.tensor([model.task_index(task)])
    log_probs = model.log_probs(torch.tensor(frames)[None], index, background=form == "ratio")
    log_likelihood = frame_likelihood(form, log_probs, model.context)[0].cpu().numpy()
    return VideoScores(
        form=form,
        conditional=conditional(log_probs.task)[0].cpu().numpy(),
        log_likelihood=log_likelihood,
        reward=model.calibration[task].reward(form, log_likelihood),
        code_log_probs=log_probs.task[0].cpu().numpy(),
    )


def likelihood_map_video(frames: np.ndarray, code_log_probs: np.ndarray) -> np.ndarray:
    """Each frame beside its likelihood map.

    frames: uint8 [time, height, width, 3]. code_log_probs: float32 [time, rows, columns].
    Returns uint8 [time, height, 2 × width, 3].
    """
    height, width = frames.shape[1:3]
    grey = likelihood_map(code_log_probs)  # [time, rows, columns]
    rows, columns = grey.shape[1:]
    enlarged = grey[:, np.arange(height) * rows // height][:, :, np.arange(width) * columns // width]
    return np.concatenate([frames, enlarged[..., None].repeat(3, -1)], 2)
