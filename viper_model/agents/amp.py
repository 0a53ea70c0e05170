"""AMP: a reward from a discriminator that tells experts' videos from what the agent lives through.

Adversarial motion priors (Peng et al. 2021, arXiv 2104.02180), on pixels, as VIPER's authors compare with (Escontrela
et al. 2023; code: Alescontrela/viper_rl, dreamerv3/agent.py: `WorldModel.loss`, dreamerv3/nets.py: `Discriminator`).
The discriminator D sees windows of WINDOW frames, stacked over channels.

    loss    1/2 (D(expert) - 1)² + 1/2 (D(agent) + 1)² + 1/2 |∂D(expert)/∂window|²
    reward  clip(1 - 1/4 (D - 1)², -2, 2)

Like the reference: the window, the targets, the penalty, on experts' windows alone, and its weight (2.5 / WINDOW, of
pixels from 0 to 1), convolutions (kernel 4, stride 2, channels doubled down to some 4x4, layer norm, SiLU), a
perceptron on the symlog of what they make, Adam with a rate of 1e-4, and one update of D for each of the agent, from
its batch.

Unlike it:
* The reward belongs to the last frame of its window. There it is given to the frame after.
* A window begins with its episode at the earliest, the first frame repeated. There windows run across episodes, and
  steps near the beginning of a sequence have none.
* Every agent learns from the newest D, by rewards that its batch gets after D's update. There a head of Dreamer's world
  model learns D's rewards as they were before it.
* D has an optimizer of its own, without a limit on the gradient. There it shares Dreamer's, with a limit of 1000 for
  the world model and D together.
* D learns from `Size.windows` of the agent's windows and as many of experts'. There from all that are in the batch.
* `paper` is the reference's size for DeepMind Control, whatever the environment. There games have a larger one. `tiny`
  has fewer pixels to look at, fewer units and a higher rate.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from viper_model.agents.base import LearnedReward
from viper_model.agents.batches import episode_starts
from viper_model.agents.dreamer.networks import MLP, Norm, symlog
from viper_model.errors import ModelError
from viper_model.torch_tools.checkpoint import load_optimizer, load_weights, optimizer_tensors
from viper_model.torch_tools.cuda_streams import QUICK, on, own_stream

WINDOW = 5
"""Frames that the discriminator sees at once."""
PENALTY = 2.5 / WINDOW
"""Weight of the squared norm of D's gradient."""
SMALLEST_SIDE = 8
"""A grid of fewer cells a side is not halved any more."""


@dataclass(frozen=True)
class Size:
    """How large the discriminator is."""

    first_stride: int
    """Of the first convolution; the others have 2."""
    depth: int
    """Channels of the first convolution, doubled by each of the next."""
    units: int
    """Of the perceptron's two hidden layers."""
    windows: int
    """How many of the agent's windows, and of experts', an update learns from."""
    learning_rate: float


SIZES = {
    "tiny": Size(first_stride=4, depth=16, units=128, windows=32, learning_rate=3e-4),
    "paper": Size(first_stride=2, depth=32, units=512, windows=1024, learning_rate=1e-4),
}
"""`tiny` is for a CPU core, beside an agent of that size; `paper` beside all others."""


class Discriminator(nn.Module):
    """Tells experts' windows (+1) from the agent's (-1)."""

    def __init__(self, size: Size, image_size: int) -> None:
        super().__init__()
        stride, channels = size.first_stride, size.depth
        padding = (4 - stride) // 2
        # Over frames whose colours lie beside each other: 4 pixels are 12 columns.
        self.first = nn.Conv2d(WINDOW, channels, (4, 12), (stride, 3 * stride), (padding, 3 * padding), bias=False)
        self.others, self.norms = nn.ModuleList(), nn.ModuleList([Norm(channels)])
        side = image_size // stride
        while side >= SMALLEST_SIDE:
            self.others.append(nn.Conv2d(channels, 2 * channels, 4, 2, 1, bias=False))
            self.norms.append(Norm(2 * channels))
            channels, side = 2 * channels, side // 2
        self.perceptron = MLP(side * side * channels, size.units, 2, 1)

    def forward(self, windows: Tensor) -> Tensor:
        """float32 [n, WINDOW, side, side * 3], pixels from 0 to 1 → [n]."""
        x = windows - 0.5
        for convolution, norm in zip((self.first, *self.others), self.norms, strict=True):
            x = norm(convolution(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)  # [n, channels, rows, columns]
        judged: Tensor = self.perceptron(symlog(x.permute(0, 2, 3, 1).flatten(1)))  # [n, 1]
        return judged.squeeze(1)


def discriminator_loss(discriminator: nn.Module, expert: Tensor, agent: Tensor) -> dict[str, Tensor]:
    """What the discriminator is to minimise, `discriminator_loss`, and what it is made of, scalars.

    expert, agent: float32 [n, ...], pixels from 0 to 1.
    """
    expert = expert.detach().requires_grad_()
    of_expert, of_agent = discriminator(expert), discriminator(agent)  # [n] each
    (gradient,) = torch.autograd.grad(of_expert.sum(), expert, create_graph=True)  # as `expert`
    penalty = PENALTY * gradient.square().flatten(1).sum(1).mean()
    told_apart = 0.5 * ((of_expert - 1).square().mean() + (of_agent + 1).square().mean())
    return {
        "discriminator_loss": told_apart + penalty,
        "discriminator_penalty": penalty,
        "discriminator_of_expert": of_expert.mean(),
        "discriminator_of_agent": of_agent.mean(),
    }


def reward_of(judged: Tensor) -> Tensor:
    """clip(1 - 1/4 (D - 1)², -2, 2): 1 for what D takes for an expert's. Any shape."""
    return (1 - 0.25 * (judged - 1).square()).clamp(-2, 2)


def as_input(windows: Tensor) -> Tensor:
    """uint8 [n, WINDOW, side, side, 3] → float32 [n, WINDOW, side, side * 3], pixels from 0 to 1."""
    return windows.flatten(3).float().mul_(1 / 255)


def window_frames(is_first: Tensor) -> Tensor:
    """Which steps of its sequence the window that ends with each step shows: none before the step's episode began.

    bool [sequences, steps] → int64 [sequences, steps, WINDOW]. Where the episode began before the sequence did, the
    sequence's first step stands for what is missing.
    """
    back = torch.arange(WINDOW - 1, -1, -1, device=is_first.device)
    step = torch.arange(is_first.shape[1], device=is_first.device)[:, None] - back  # [steps, WINDOW]
    return torch.maximum(step, episode_starts(is_first)[..., None])


class AdversarialMotionPrior(LearnedReward):
    """The discriminator, trained beside an agent, and the reward it gives. `reward` may be asked from any thread."""

    context = WINDOW - 1

    def __init__(
        self,
        videos: Sequence[np.ndarray],
        agent_size: str,
        image_size: int,
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        """videos: experts', uint8 [time, image_size, image_size, 3] each; maps of files will do. agent_size: a name
        of the agent's sizes. Raises ModelError where there are no videos or they are of another kind.
        """
        if not videos:
            raise ModelError("AMP has no expert videos to compare with")
        for video in videos:
            if video.dtype != np.uint8 or video.shape[1:] != (image_size, image_size, 3):
                raise ModelError(
                    f"AMP compares with uint8 videos [time, {image_size}, {image_size}, 3], "
                    f"not {video.dtype} {list(video.shape)}"
                )
            if len(video) < WINDOW:
                raise ModelError(f"AMP compares windows of {WINDOW} frames: an expert video has only {len(video)}")
        self.size = SIZES.get(agent_size, SIZES["paper"])
        self.updates = 0
        self._videos = videos
        self._ends = np.cumsum([len(video) for video in videos])
        self._device = torch.device(device)
        with torch.random.fork_rng(devices=[]):  # weights are drawn on the CPU
            torch.manual_seed(seed)
            self.discriminator = Discriminator(self.size, image_size).to(self._device)
        self._optimizer = torch.optim.Adam(
            self.discriminator.parameters(), lr=self.size.learning_rate, eps=1e-8, fused=True
        )
        self._random = np.random.default_rng(seed)
        self._identity = {"name": "amp", "image_size": image_size, "discriminator": asdict(self.size)}
        self._stream, self._quick_stream = own_stream(self._device), own_stream(self._device, QUICK)
        self._weights_lock = threading.Lock()

    def relabel(self, batch: Mapping[str, np.ndarray], steps: int) -> tuple[np.ndarray, dict[str, float]]:
        with on(self._stream):
            images = torch.as_tensor(batch["image"]).to(self._device)  # [sequences, context + steps, side, side, 3]
            frames = window_frames(torch.as_tensor(batch["is_first"]).to(self._device))[:, -steps:].flatten(0, 1)
            sequence = torch.arange(len(images), device=self._device).repeat_interleave(steps)[:, None]  # as `frames`
            chosen = torch.from_numpy(self._random.permutation(len(frames))[: self.size.windows]).to(self._device)
            metrics = self._update(images[sequence[chosen], frames[chosen]])
            rewards = self._judged(images[sequence, frames])  # [sequences * steps]
            return rewards.view(len(images), steps).cpu().numpy(), metrics

    def reward(self, windows: np.ndarray) -> np.ndarray:
        """The reward for reaching the last frame of each window by what the discriminator knows now.

        uint8 [n, WINDOW, image_size, image_size, 3] → float32 [n].
        """
        with self._weights_lock, on(self._quick_stream):
            return self._judged(torch.from_numpy(windows).to(self._device)).cpu().numpy()

    @torch.no_grad()
    def _judged(self, windows: Tensor) -> Tensor:
        """uint8 [n, WINDOW, side, side, 3] → rewards, float32 [n]."""
        return reward_of(self.discriminator(as_input(windows)))

    def _update(self, agent: Tensor) -> dict[str, float]:
        """Learn from some of the agent's windows, uint8 [n, WINDOW, side, side, 3], and as many of experts'."""
        expert = torch.from_numpy(self._expert_windows(len(agent))).to(self._device)
        losses = discriminator_loss(self.discriminator, as_input(expert), as_input(agent))
        self._optimizer.zero_grad()
        losses["discriminator_loss"].backward(inputs=list(self.discriminator.parameters()))
        logged = dict(zip(losses, torch.stack(list(losses.values())).tolist(), strict=True))
        if not all(map(math.isfinite, logged.values())):
            raise ModelError(f"update {self.updates} of the discriminator diverged: go back to the last checkpoint")
        with self._weights_lock:
            self._optimizer.step()
            self.updates += 1
            if self._stream:
                self._stream.synchronize()
        return logged

    def _expert_windows(self, n: int) -> np.ndarray:
        """Windows that end with any frame of any video, all equally likely: uint8 [n, WINDOW, side, side, 3]."""
        last = self._random.integers(self._ends[-1], size=n)
        video = np.searchsorted(self._ends, last, side="right")
        last -= np.where(video > 0, self._ends[video - 1], 0)
        frames = np.maximum(last[:, None] + np.arange(1 - WINDOW, 1), 0)  # [n, WINDOW]
        return np.stack([self._videos[v][f] for v, f in zip(video, frames, strict=True)])

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors = {f"weights.{name}": value for name, value in self.discriminator.state_dict().items()}
        tensors |= optimizer_tensors(self._optimizer, "optimizer")
        return tensors, {**self._identity, "updates": self.updates, "random": self._random.bit_generator.state}

    def restore(self, tensors: Mapping[str, Tensor], document: Mapping[str, Any], path: Path) -> None:
        for key, own in self._identity.items():
            if document.get(key) != own:
                raise ModelError(f"{path} holds a learned reward of {key} {document.get(key)!r}, not {own!r}")
        weights = {k.removeprefix("weights."): v for k, v in tensors.items() if k.startswith("weights.")}
        with self._weights_lock, on(self._stream):
            load_weights(self.discriminator, weights, path)
            load_optimizer(self._optimizer, dict(tensors), "optimizer")
            self.updates = document["updates"]
            self._random.bit_generator.state = document["random"]
            if self._stream:
                self._stream.synchronize()
