"""The stages of a video model's training: a tokenizer, and a code model or two."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from viper_model.torch_tools.distributed import mixed_precision, share_of_batch
from viper_model.video_model.code_model import CodeModel
from viper_model.video_model.fit.sampler import Sampler
from viper_model.video_model.fit.schedule import (
    CodeModelSchedule,
    TokenizerSchedule,
    average_decay,
    learning_rate,
)
from viper_model.video_model.tokenizers.patches import Patches
from viper_model.video_model.tokenizers.vqgan import VQGAN
from viper_model.video_model.tokenizers.vqgan_loss import VQGANLoss
from viper_model.videos.dataset import FrameSet

if TYPE_CHECKING:
    from lightning_fabric import Fabric

VALIDATE_EVERY = 100
"""Steps."""
VALIDATION_CLIPS = 32
TOKENIZER_FRAMES = 1500
"""So many frames at most of all videos choose the codes of patches."""


class Stage(Protocol):
    """A part of a training that goes by steps. Everything random in a step comes from PyTorch's default generator."""

    name: str
    shown: str
    """The metric that tells best how it goes."""
    steps: int

    def step(self, number: int) -> dict[str, float]:
        """Do step `number` (from 0); returns what to log."""
        ...

    def finish(self) -> None:
        """Leave the model with what the stage has learned."""
        ...

    def modules(self) -> dict[str, nn.Module]:
        """What a checkpoint holds of the stage, by name, besides the video model itself."""
        ...

    def optimizers(self) -> dict[str, torch.optim.Optimizer]: ...

    def document(self) -> dict[str, Any]:
        """What else a checkpoint holds, as JSON."""
        ...

    def restore(self, document: dict[str, Any]) -> None: ...


class _Stage:
    """What stages do unless they have reason to do otherwise."""

    def finish(self) -> None:
        pass

    def modules(self) -> dict[str, nn.Module]:
        return {}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {}

    def document(self) -> dict[str, Any]:
        return {}

    def restore(self, document: dict[str, Any]) -> None:
        pass


class PatchesStage(_Stage):
    """Chooses the patches, in one step."""

    name = "tokenizer"
    shown = "pixel_error"
    steps = 1

    def __init__(self, tokenizer: Patches, frames: FrameSet, seed: int) -> None:
        self._tokenizer, self._frames, self._seed = tokenizer, frames, seed

    def step(self, number: int) -> dict[str, float]:
        index = np.arange(0, len(self._frames), math.ceil(len(self._frames) / TOKENIZER_FRAMES))
        return {"pixel_error": self._tokenizer.fit(self._frames[index], self._seed)}


class VQGANStage(_Stage):
    name = "tokenizer"
    shown = "pixel_loss"

    def __init__(
        self, fabric: Fabric, tokenizer: VQGAN, schedule: TokenizerSchedule, frames: FrameSet, held_out: FrameSet
    ) -> None:
        self.steps = schedule.steps
        self._fabric, self._tokenizer, self._schedule = fabric, tokenizer, schedule
        self._frames, self._held_out = frames, held_out
        self._loss = VQGANLoss(schedule.discriminator_width).to(fabric.device)
        self._optimizers = {
            "tokenizer": _adam(tokenizer, schedule.rate, (0.5, 0.9)),
            "discriminator": _adam(self._loss.discriminator, schedule.rate / 2, (0.5, 0.9)),
        }
        # Forward passes through these average the gradients of all processes.
        self._shared: Any = fabric.setup_module(tokenizer)
        self._shared_discriminator = fabric.setup_module(self._loss.discriminator)
        self._share = share_of_batch(fabric, schedule.batch)

    def step(self, number: int) -> dict[str, float]:
        schedule = self._schedule
        rate = schedule.rate * learning_rate(number, schedule.steps)
        index = torch.randint(len(self._frames), [schedule.batch])[self._share]
        frames = torch.from_numpy(self._frames[index.numpy()]).to(self._fabric.device)
        adversarial = number >= schedule.adversarial_start
        objective, reconstruction, metrics = self._loss.generator(self._shared, frames, adversarial)
        descend(self._fabric, self._optimizers["tokenizer"], rate, objective)
        if adversarial:
            hinge = self._loss.discriminate(self._shared_discriminator, frames, reconstruction)
            descend(self._fabric, self._optimizers["discriminator"], rate / 2, hinge)
            metrics["discriminator_loss"] = hinge.item()
        if (number + 1) % VALIDATE_EVERY == 0 or number + 1 == schedule.steps:
            metrics["validation_pixel_loss"] = self._validate()
        return metrics

    def _validate(self) -> float:
        """Mean absolute error of reconstructions of held-out frames, on pixels from 0 to 255."""
        index = np.linspace(0, len(self._held_out) - 1, min(len(self._held_out), 256)).astype(int)
        frames = torch.from_numpy(self._held_out[index]).to(self._fabric.device)
        return (self._tokenizer.decode(self._tokenizer.encode(frames)).float() - frames.float()).abs().mean().item()

    def modules(self) -> dict[str, nn.Module]:
        return {"discriminator": self._loss.discriminator}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return self._optimizers


class CodeModelStage(_Stage):
    """Trains a copy of a code model; the model itself becomes the average of the copy's weights."""

    shown = "nats_a_code"

    def __init__(
        self,
        name: str,
        fabric: Fabric,
        kept: CodeModel,
        schedule: CodeModelSchedule,
        steps: int,
        sampler: Sampler,
        held_out: Sampler,
        codes: Callable[[], tuple[Tensor, Tensor]],
    ) -> None:
        """sampler, held_out: clips to train on, and to choose the best average by. codes: of the frames that these
        index, int16 [frames, tokens] each; asked for at the first step."""
        self.name, self.steps = name, steps
        self._fabric, self._schedule = fabric, schedule
        self._kept = kept
        self._trained = copy.deepcopy(kept)
        self._best = copy.deepcopy(kept)
        self._best_loss = math.inf
        self._sampler, self._held_out = sampler, held_out
        self._codes = codes
        self._optimizer = _adam(self._trained, schedule.rate, (0.9, 0.95))
        self._shared = fabric.setup_module(self._trained)
        self._shared.mark_forward_method("loss")
        self._share = share_of_batch(fabric, schedule.batch)

    def step(self, number: int) -> dict[str, float]:
        schedule, shared = self._schedule, self._shared
        codes, _ = self._codes()
        index, task = (x[self._share] for x in self._sampler.draw(schedule.batch))
        clips, task = codes[index].to(self._fabric.device).long(), task.to(self._fabric.device)
        torch.manual_seed(torch.initial_seed() + self._fabric.global_rank)  # dropout differs from process to process
        shared.train()
        with mixed_precision(clips.device):
            loss = shared.loss(clips, task)
        shared.eval()
        norm = descend(self._fabric, self._optimizer, schedule.rate * learning_rate(number, self.steps), loss)
        with torch.no_grad():
            average = get_ema_multi_avg_fn(average_decay(schedule.ema_decay, number + 1))
            average(list(self._kept.parameters()), list(self._trained.parameters()), number + 1)
        metrics = {"nats_a_code": loss.item(), "gradient_norm": norm}
        if (number + 1) % VALIDATE_EVERY == 0 or number + 1 == self.steps:
            metrics["validation_nats_a_code"] = validation = self._validate()
            if validation < self._best_loss:
                self._best_loss = validation
                self._best.load_state_dict(self._kept.state_dict())
        return metrics

    @torch.no_grad()
    def _validate(self) -> float:
        """Mean -ln p of the codes of held-out clips, the same every time."""
        _, codes = self._codes()
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            index, task = self._held_out.draw(VALIDATION_CLIPS)
        clips, task = codes[index].to(self._fabric.device).long(), task.to(self._fabric.device)
        losses = [
            -self._kept.log_probs(clip, label).mean() for clip, label in zip(clips.split(8), task.split(8), strict=True)
        ]
        return torch.stack(losses).mean().item()

    def finish(self) -> None:
        self._kept.load_state_dict(self._best.state_dict())

    def modules(self) -> dict[str, nn.Module]:
        return {f"{self.name}_trained": self._trained, f"{self.name}_best": self._best}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {self.name: self._optimizer}

    def document(self) -> dict[str, Any]:
        return {"best_loss": self._best_loss}

    def restore(self, document: dict[str, Any]) -> None:
        self._best_loss = document["best_loss"]


def descend(fabric: Fabric, optimizer: torch.optim.Optimizer, rate: float, loss: Tensor) -> float:
    """One step with gradients clipped to norm 1. Returns their norm before that."""
    (group,) = optimizer.param_groups
    group["lr"] = rate
    optimizer.zero_grad()
    fabric.backward(loss)
    norm = nn.utils.clip_grad_norm_(group["params"], 1.0)
    optimizer.step()
    return norm.item()


def _adam(module: nn.Module, rate: float, betas: tuple[float, float]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(module.parameters(), rate, betas, weight_decay=0.01, fused=True)
