"""What the reward means, and what a video model must answer to give it.

Frames are uint8 [..., height, width, 3] RGB; a frame is a grid of codes; likelihoods are float32 nats. The index of a
reward is the frame that was reached: it rewards the action taken one step before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple, Protocol, get_args

import numpy as np
import torch
from torch import Tensor

Form = Literal["conditional", "joint", "ratio"]
"""How a reward follows from the log-probabilities of codes: see the functions of these names."""
FORMS: tuple[Form, ...] = get_args(Form)


class CodeLogProbs(NamedTuple):
    """The log-probability of each code of frames given what came before it, float32 [..., time, rows, columns]."""

    task: Tensor
    """Under the model of experts at a task."""
    background: Tensor | None
    """Under the model of behaviour that is not the task; None where it wasn't asked for."""


class LikelihoodStream(Protocol):
    """Several independent videos, each scored frame by frame as its frames arrive."""

    def step(self, index: Tensor, frames: Tensor, task: Tensor, is_first: Tensor) -> CodeLogProbs:
        """Score the next frame of videos `index`.

        index: int64 [n], which of the videos, none twice. frames: uint8 [n, height, width, 3]. task: int64 [n].
        is_first: bool [n], this frame begins a new episode: what came before it is forgotten.
        Returns float32 [n, rows, columns] each. All are on the CPU.
        """
        ...


class LikelihoodModel(Protocol):
    """A video model that can be a reward. It answers three questions; everything else is built on them."""

    tasks: tuple[str, ...]
    image_size: int
    """Frames are square, this many pixels a side."""
    context: int
    """T, the frames that a frame is predicted from, itself included."""
    frame_skip: int
    """Only every frame_skip-th frame counts as the past of a frame."""
    has_background: bool
    """Whether it can tell a `ratio`."""

    def log_probs(self, frames: Tensor, task: Tensor, *, background: bool = False) -> CodeLogProbs:
        """How likely was each frame of these clips?

        frames: uint8 [batch, time, height, width, 3], from the first frame of an episode on. task: int64 [batch].
        Returns float32 [batch, time, rows, columns] each, on the model's device.
        """
        ...

    def stream(self, videos: int, *, background: bool = False) -> LikelihoodStream:
        """How likely is the frame that has just arrived? The same numbers as `log_probs`, a frame at a time."""
        ...

    def imagine(self, frames: Tensor, task: Tensor, steps: int, generator: torch.Generator) -> Tensor:
        """What comes next? Sampled frames after the given ones, uint8 [batch, steps, height, width, 3]."""
        ...


def conditional(code_log_probs: Tensor) -> Tensor:
    """ln p(x_t | x_<t, task): the paper's reward (Escontrela et al. 2023, eq. 2).

    [..., time, rows, columns] → [..., time], nats a frame.
    """
    return code_log_probs.sum((-2, -1))


def joint(code_log_probs: Tensor, context: int) -> Tensor:
    """The mean of `conditional` over the `context` frames up to t, or as many as there are.

    The reference code's joint likelihood is the sum over a window of frames that is scored by itself, so that its first
    frame is given nothing; here all of them are given their past.

    [..., time, rows, columns] → [..., time], nats a frame.
    """
    frame = conditional(code_log_probs)  # [..., time]
    total = frame.cumsum(-1)
    window = total.clone()
    window[..., context:] -= total[..., :-context]
    frames = torch.arange(1, frame.shape[-1] + 1, device=frame.device).clamp(max=context)
    return window / frames


def ratio(code_log_probs: Tensor, background_log_probs: Tensor) -> Tensor:
    """ln p(x_t | x_<t, task) - ln p(x_t | x_<t, background): what is merely easy to predict cancels.

    Likelihood ratios of Ren et al. 2019, "Likelihood Ratios for Out-of-Distribution Detection". Above 0 where a frame
    is rather the expert's, below 0 where it is rather anything else.
    [..., time, rows, columns] each → [..., time], nats a frame.
    """
    return conditional(code_log_probs) - conditional(background_log_probs)


def frame_likelihood(form: Form, log_probs: CodeLogProbs, context: int) -> Tensor:
    """The named form of every frame: [..., time, rows, columns] → float32 [..., time], nats."""
    if form == "conditional":
        return conditional(log_probs.task)
    if form == "joint":
        return joint(log_probs.task, context)
    assert log_probs.background is not None
    return ratio(log_probs.task, log_probs.background)


def likelihood_map(code_log_probs: np.ndarray) -> np.ndarray:
    """Where in the picture the model was surprised: white where it was not, as in the paper's last figure.

    float32 [rows, columns] in nats, at most 0 → uint8 [rows, columns]: each code's probability on a scale of its
    log, from black at e^-8 or less to white at 1.
    """
    return (255 * (1 + code_log_probs / 8).clip(0, 1)).astype(np.uint8)


def symlog(x: np.ndarray) -> np.ndarray:
    """sign(x) ln(|x| + 1) (Hafner et al. 2023, eq. 9)."""
    return np.sign(x) * np.log1p(np.abs(x))


@dataclass(frozen=True)
class Calibration:
    """How likely held-out videos of one task are, by kind, and the scale of rewards that follows from it."""

    LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
    SCALE = ("shuffled", "expert")
    """The kinds whose medians are 0 and 1."""
    RATIO_UNIT = 10.0
    """Nats."""
    REWARD_VERSION = 2
    """Counts up with every change of what `reward` answers: a run doesn't go on with another one."""

    quantiles: dict[str, tuple[float, ...]]
    """Quantiles at LEVELS of `conditional`, nats a frame, by kind: `expert`, `shuffled`, …"""
    ratio_quantiles: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """The same of `ratio`; empty where the model has no background."""
    suited_form: Form = "conditional"
    """What an agent learns from unless told otherwise."""

    @staticmethod
    def quantiles_of(likelihoods: dict[str, np.ndarray]) -> dict[str, tuple[float, ...]]:
        """By kind, of the likelihoods of frames, float32 [frames]."""
        return {kind: tuple(map(float, np.quantile(v, Calibration.LEVELS))) for kind, v in likelihoods.items()}

    def calibrated(self, log_likelihood: np.ndarray) -> np.ndarray:
        """`conditional` or `joint` nats on a scale: the median frame of a shuffled expert video is 0, an expert's is 1.

        Shuffled videos are the zero because any videos have them: they look right and move wrong.
        """
        shuffled, expert = (self.quantiles[kind][2] for kind in self.SCALE)
        return (log_likelihood - shuffled) / max(expert - shuffled, 1.0)

    def _scaled_ratio(self, likelihood: np.ndarray) -> np.ndarray:
        return symlog(likelihood / self.RATIO_UNIT)

    @cached_property
    def _ratio_middle(self) -> float:
        """Of `_scaled_ratio`, halfway between the median frames of experts and of what the background learned from; 0
        until measured."""
        if not self.ratio_quantiles:
            return 0.0
        expert = self.ratio_quantiles["expert"][2]
        other = self.ratio_quantiles.get("background", self.ratio_quantiles["shuffled"])[2]
        return float(self._scaled_ratio(np.array([expert, other])).mean())

    def reward(self, form: Form, likelihood: np.ndarray) -> np.ndarray:
        """What an agent learns from, for a form's nats: float32 of any shape, dimensionless.

        The symlog of what counts, so that neither one very unlikely frame nor a goal that is far from the way there
        drowns the rest, and no slope is clipped away: of `calibrated`, 0 as shuffled and ln 2 as experts; of a `ratio`
        in tens of nats, less the middle between experts and the background.
        """
        if form == "ratio":
            return (self._scaled_ratio(likelihood) - self._ratio_middle).astype(np.float32)
        return symlog(self.calibrated(likelihood)).astype(np.float32)
