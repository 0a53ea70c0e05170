"""Training of the video model: the VQ-GAN on frames, then the model of codes on clips."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from viper_model.errors import ModelError
from viper_model.files import replace_file
from viper_model.reward.check import calibrate
from viper_model.torch_tools.checkpoint import (
    load_optimizer,
    load_weights,
    optimizer_tensors,
    read_tensors,
    write_tensors,
)
from viper_model.torch_tools.distributed import make_fabric, mean_of_processes, mixed_precision, share_of_batch
from viper_model.video_model.tokenizers.vqgan_loss import VQGANLoss
from viper_model.video_model.video_model import VideoModel, VideoModelConfig, size_config
from viper_model.videos.dataset import EXPERT, Dataset, FrameSet, Video, load_dataset
from viper_model.videos.video_io import write_video

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PROCEDURE = 2
"""Counts the changes of what the same settings and videos end with."""
FINISHED = "training.json"
"""What a finished model was trained on and how, beside it."""
SAVE_SECONDS = 20
"""How much work a crash may cost."""
LOG_EVERY = 20
VALIDATE_EVERY = 100
VALIDATION_VIDEOS = 32
"""So many held-out videos at most are validated on, evenly spread over all of them,"""
VALIDATION_FRAMES = 1000
"""and so many frames at most of each."""
ENCODED_AT_ONCE = 512
"""Frames."""


@dataclass(frozen=True)
class Schedule:
    """How a size is trained."""

    vqgan_steps: int
    vqgan_batch: int
    """Frames."""
    vqgan_rate: float
    adversarial_start: int
    """The VQ-GAN's step from which the discriminator takes part."""
    discriminator_width: int
    code_model_steps: int
    code_model_batch: int
    """Clips."""
    code_model_rate: float
    clip_frames: int
    """Longer than the context, so that the band is trained as it is used."""
    ema_decay: float
    """The code model that is kept is the exponential moving average of the trained one, with this decay a step, and
    with less at first: see `average_decay`."""


SCHEDULES = {
    "tiny": Schedule(
        vqgan_steps=600,
        vqgan_batch=32,
        vqgan_rate=2e-3,
        adversarial_start=500,
        discriminator_width=16,
        code_model_steps=800,
        code_model_batch=8,
        code_model_rate=2e-3,
        clip_frames=16,
        ema_decay=0.98,
    ),
    "dmc": Schedule(
        vqgan_steps=100_000,
        vqgan_batch=128,
        vqgan_rate=1e-4,
        adversarial_start=20_000,
        discriminator_width=32,
        code_model_steps=200_000,
        code_model_batch=32,
        code_model_rate=3e-4,
        clip_frames=32,
        ema_decay=0.9999,
    ),
}
SCHEDULES["tiny64"] = dataclasses.replace(SCHEDULES["tiny"], clip_frames=8)
SCHEDULES["atari"] = SCHEDULES["arms"] = dataclasses.replace(SCHEDULES["dmc"], clip_frames=8)


def fit(
    data: Path,
    folder: Path,
    size: str,
    *,
    likelihood: str = "videogpt",
    tasks: Sequence[str] | None = None,
    seed: int = 0,
    vqgan_steps: int | None = None,
    code_model_steps: int | None = None,
    device: torch.device | str = "cpu",
) -> VideoModel:
    """Train a model of a named size on the expert videos under `data` (of `tasks`; all where None), into `folder`.

    likelihood: which model of codes, a name of `LIKELIHOODS`.

    Interrupted at any time and called again, it goes on from its last checkpoint and ends with the same weights as
    if it had not been interrupted. A folder whose training has finished is only loaded. The folder then holds the
    model (see `VideoModel.save`), `metrics.jsonl` and `videos/` (reconstructions and imagined rollouts).

    Under torchrun its processes share every batch: what is learned is what one process learns from the same batches.
    Only the first one writes. A training can go on with another number of processes.
    vqgan_steps, code_model_steps: instead of the size's own. Raises ModelError.
    """
    config, schedule = size_config(size, likelihood), SCHEDULES[size]
    steps = {"vqgan_steps": vqgan_steps, "code_model_steps": code_model_steps}
    schedule = dataclasses.replace(schedule, **{name: value for name, value in steps.items() if value is not None})
    shortest = config.code_model.context * config.frame_skip
    dataset = load_dataset(data, config.vqgan.image_size, tasks, shortest=shortest)
    identity = training_identity(config, likelihood, schedule, seed, dataset)
    if (folder / "config.yaml").exists():
        model = VideoModel.load(folder, device)
        _refuse_another(folder, "a finished model", _finished_identity(folder, model, identity), identity)
        return model
    fabric = make_fabric(device)
    with torch.random.fork_rng([fabric.device] if fabric.device.type == "cuda" else []):
        torch.manual_seed(seed)
        model = VideoModel(config, dataset.tasks).to(fabric.device)
        training = Training(fabric, model, dataset, schedule, seed, folder, identity)
        training.resume()
        training.run()
    if fabric.is_global_zero:
        model.calibration = calibrate(model, dataset)
        write_videos(model, dataset, folder / "videos")
        dataset.settings.save(folder, model.tasks)
        replace_file(folder / FINISHED, json.dumps(identity, indent=2).encode())
        model.save(folder)
        training.file.unlink(missing_ok=True)
    fabric.barrier()
    return VideoModel.load(folder, fabric.device)


class Training:
    """Everything that changes while a model trains, and how it is saved.

    Each step seeds its own randomness, so the number of steps done is all that resuming needs to know of it.
    """

    def __init__(
        self,
        fabric: Fabric,
        model: VideoModel,
        dataset: Dataset,
        schedule: Schedule,
        seed: int,
        folder: Path,
        identity: dict[str, Any],
    ) -> None:
        """identity: see `training_identity`."""
        device = model.device
        self.fabric = fabric
        self.model = model
        """What is kept: its code model is the average of `code_model`."""
        self.code_model = copy.deepcopy(model.code_model)
        """What is trained."""
        self.dataset = dataset
        self.schedule = schedule
        self.seed = seed
        self.identity = identity
        self.file = folder / "training.safetensors"
        self.metrics = folder / "metrics.jsonl"
        self.step = 0
        """Steps done: the VQ-GAN's, then the code model's."""
        self.best = copy.deepcopy(model.code_model)
        """The average that was best so far,"""
        self.best_loss = math.inf
        """and its nats a code on held-out clips."""
        self.vqgan_loss = VQGANLoss(schedule.discriminator_width).to(device)
        self.optimizers = {
            "vqgan": _adam(model.vqgan, schedule.vqgan_rate, (0.5, 0.9)),
            "discriminator": _adam(self.vqgan_loss.discriminator, schedule.vqgan_rate / 2, (0.5, 0.9)),
            "code_model": _adam(self.code_model, schedule.code_model_rate, (0.9, 0.95)),
        }
        # Forward passes through these average the gradients of all processes.
        self.shared_vqgan: Any = fabric.setup_module(model.vqgan)
        self.shared_discriminator = fabric.setup_module(self.vqgan_loss.discriminator)
        self.shared_code_model = fabric.setup_module(self.code_model)
        self.shared_code_model.mark_forward_method("loss")
        self.vqgan_share = share_of_batch(fabric, schedule.vqgan_batch)
        self.code_model_share = share_of_batch(fabric, schedule.code_model_batch)
        self.frames = FrameSet(dataset.select(EXPERT, held_out=False))
        self.clips = ClipSampler(
            lengths=self.frames.lengths,
            tasks=[model.task_index(video.task) for video in self.frames.videos],
            clip_frames=schedule.clip_frames,
            frame_skip=model.frame_skip,
        )
        self.codes: Tensor | None = None
        """int16 [all training frames, tokens], once the VQ-GAN is trained: two bytes a token stay in memory."""

    def run(self) -> None:
        """Train to the end of the schedule."""
        saved = time.monotonic()
        total = self.schedule.vqgan_steps + self.schedule.code_model_steps
        first = self.fabric.is_global_zero
        with _progress(self.schedule, self.step, first) as advance, _appending(self.metrics if first else None) as log:
            while self.step < total:
                self._seed()
                in_vqgan = self.step < self.schedule.vqgan_steps
                metrics = self.vqgan_step() if in_vqgan else self.code_model_step()
                self.step += 1
                if self.step % LOG_EVERY == 0 or self.step == total:
                    values = mean_of_processes(torch.tensor(list(metrics.values()), device=self.model.device))
                    metrics = dict(zip(metrics, values.tolist(), strict=True))
                    if not all(map(math.isfinite, metrics.values())):
                        raise ModelError(f"training diverged at step {self.step}: {metrics}")
                    log({"step": self.step, "stage": "vqgan" if in_vqgan else "code_model", **metrics})
                advance(in_vqgan, metrics)
                if first and self.step < total and time.monotonic() - saved > SAVE_SECONDS:
                    self.save()
                    saved = time.monotonic()
        self.model.code_model.load_state_dict(self.best.state_dict())
        self.model.eval()

    def _seed(self, *more: int) -> None:
        torch.manual_seed(int(np.random.SeedSequence([self.seed, self.step, *more]).generate_state(1)[0]))

    def vqgan_step(self) -> dict[str, float]:
        schedule, vqgan, loss = self.schedule, self.shared_vqgan, self.vqgan_loss
        rate = learning_rate(self.step, schedule.vqgan_steps)
        index = torch.randint(len(self.frames), [schedule.vqgan_batch])[self.vqgan_share]
        frames = torch.from_numpy(self.frames[index.numpy()]).to(self.model.device)
        adversarial = self.step >= schedule.adversarial_start
        objective, reconstruction, metrics = loss.generator(vqgan, frames, adversarial)
        self._descend("vqgan", schedule.vqgan_rate * rate, objective)
        if adversarial:
            hinge = loss.discriminate(self.shared_discriminator, frames, reconstruction)
            self._descend("discriminator", schedule.vqgan_rate / 2 * rate, hinge)
            metrics["discriminator_loss"] = hinge.item()
        done = self.step + 1
        if done % VALIDATE_EVERY == 0 or done == schedule.vqgan_steps:
            metrics["validation_pixel_loss"] = self.validate_vqgan()
        return metrics

    def code_model_step(self) -> dict[str, float]:
        schedule, code_model = self.schedule, self.shared_code_model
        if self.codes is None:
            self.codes = self.encode_frames()
        done = self.step + 1 - schedule.vqgan_steps
        index, task = (x[self.code_model_share] for x in self.clips.draw(schedule.code_model_batch))
        codes, task = self.codes[index].to(self.model.device).long(), task.to(self.model.device)
        self._seed(self.fabric.global_rank)  # what is dropped out differs from process to process
        code_model.train()
        with mixed_precision(codes.device):
            loss = code_model.loss(codes, task)
        code_model.eval()
        rate = schedule.code_model_rate * learning_rate(done - 1, schedule.code_model_steps)
        norm = self._descend("code_model", rate, loss)
        with torch.no_grad():
            average = get_ema_multi_avg_fn(average_decay(schedule.ema_decay, done))
            average(list(self.model.code_model.parameters()), list(self.code_model.parameters()), done)
        metrics = {"nats_a_code": loss.item(), "gradient_norm": norm}
        if done % VALIDATE_EVERY == 0 or done == schedule.code_model_steps:
            metrics["validation_nats_a_code"] = validation = self.validate_code_model()
            if validation < self.best_loss:
                self.best_loss = validation
                self.best.load_state_dict(self.model.code_model.state_dict())
        return metrics

    def _descend(self, name: str, rate: float, loss: Tensor) -> float:
        """One step with gradients clipped to norm 1. Returns their norm before that."""
        optimizer = self.optimizers[name]
        (group,) = optimizer.param_groups
        group["lr"] = rate
        optimizer.zero_grad()
        self.fabric.backward(loss)
        norm = nn.utils.clip_grad_norm_(group["params"], 1.0)
        optimizer.step()
        return norm.item()

    def encode_frames(self) -> Tensor:
        """The codes of all training frames, int16 [frames, tokens]."""
        chunks = [
            self.model.vqgan.encode(
                torch.from_numpy(video.frames[begin : begin + ENCODED_AT_ONCE].copy()).to(self.model.device)
            )
            for video in self.frames.videos
            for begin in range(0, len(video.frames), ENCODED_AT_ONCE)
        ]
        return torch.cat([chunk.flatten(1).short().cpu() for chunk in chunks])

    def validation_videos(self) -> list[Video]:
        videos = self.dataset.select(EXPERT)
        return videos[:: math.ceil(len(videos) / VALIDATION_VIDEOS)]

    def validate_vqgan(self) -> float:
        """Mean absolute error of reconstructions of held-out frames, on pixels from 0 to 255."""
        frames = np.concatenate([video.frames[:: len(video.frames) // 8] for video in self.validation_videos()])
        held_out = torch.from_numpy(frames).to(self.model.device)
        vqgan = self.model.vqgan
        return (vqgan.decode(vqgan.encode(held_out)).float() - held_out.float()).abs().mean().item()

    def validate_code_model(self) -> float:
        """Mean -ln p of the codes of held-out videos."""
        losses = [
            -self.model.log_probs(
                torch.from_numpy(video.frames[None, :VALIDATION_FRAMES].copy()).to(self.model.device),
                torch.tensor([self.model.task_index(video.task)], device=self.model.device),
            ).mean()
            for video in self.validation_videos()
        ]
        return torch.stack(losses).mean().item()

    def _modules(self) -> dict[str, nn.Module]:
        return {
            "model": self.model,
            "code_model": self.code_model,
            "best": self.best,
            "discriminator": self.vqgan_loss.discriminator,
        }

    def save(self) -> None:
        tensors = {
            f"{name}.{key}": tensor
            for name, module in self._modules().items()
            for key, tensor in module.state_dict().items()
        }
        for name, optimizer in self.optimizers.items():
            tensors |= optimizer_tensors(optimizer, f"optimizer_{name}")
        write_tensors(self.file, tensors, {"identity": self.identity, "step": self.step, "best_loss": self.best_loss})

    def resume(self) -> None:
        """Go back to the last checkpoint, if there is one. Raises ModelError where it is of another training."""
        if not self.file.exists():
            self.metrics.unlink(missing_ok=True)
            return
        tensors, document = read_tensors(self.file, self.model.device)
        _refuse_another(self.file.parent, "an unfinished training", document.get("identity"), self.identity)
        for name, module in self._modules().items():
            prefix = f"{name}."
            weights = {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}
            load_weights(module, weights, self.file)
        for name, optimizer in self.optimizers.items():
            load_optimizer(optimizer, tensors, f"optimizer_{name}")
        self.step, self.best_loss = document["step"], document["best_loss"]
        if self.metrics.exists():  # what was logged after the checkpoint will be logged again
            lines = [line for line in self.metrics.read_text().splitlines() if _step_of(line) <= self.step]
            replace_file(self.metrics, "".join(line + "\n" for line in lines).encode())


def training_identity(
    config: VideoModelConfig, likelihood: str, schedule: Schedule, seed: int, dataset: Dataset
) -> dict[str, Any]:
    """All that decides what a training ends with, as JSON has it, by what a user would call it."""
    videos = "\n".join(f"{video.name} {len(video.frames)}" for video in dataset.videos if video.behaviour == EXPERT)
    return {
        "procedure": PROCEDURE,
        "size": _as_json(config),
        "likelihood": likelihood,
        "steps": _as_json(schedule),
        "seed": seed,
        "videos": hashlib.sha256(videos.encode()).hexdigest(),
        "videos.yaml": [dataset.settings.of(task).key() for task in dataset.tasks],
    }


def _as_json(settings: VideoModelConfig | Schedule) -> dict[str, Any]:
    """With lists for tuples, so that it equals what was written and read."""
    return json.loads(json.dumps(dataclasses.asdict(settings)))


def _finished_identity(folder: Path, model: VideoModel, wanted: dict[str, Any]) -> Any:
    """Of a model that `fit` did not make, only the size and likelihood are known: the rest is taken to be as `wanted`.

    Raises ModelError where what stands there is damaged.
    """
    path = folder / FINISHED
    if not path.exists():
        return {**wanted, "size": _as_json(model.config), "likelihood": model.likelihood}
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is damaged: {error}") from error


def _refuse_another(folder: Path, what: str, there: Any, wanted: dict[str, Any]) -> None:
    """Raises ModelError where the training in a folder is not the one that is wanted. there: as it was read."""
    known = there if isinstance(there, dict) else {}
    others = [name for name, value in wanted.items() if name not in known or known[name] != value]
    if others:
        raise ModelError(
            f"{folder} holds {what} with other {', '.join(others)}: "
            "choose another folder, or delete this one to begin anew"
        )


class ClipSampler:
    """Draws clips from videos that lie one after the other in one long tensor."""

    def __init__(self, lengths: list[int], tasks: list[int], clip_frames: int, frame_skip: int) -> None:
        """lengths: frames of each video. A clip takes every frame_skip-th frame and never leaves its video."""
        lengths_ = torch.tensor(lengths)
        # Short videos make all clips short, as a batch has one length.
        frames = min(clip_frames, -(-min(lengths) // frame_skip))
        self.tasks = torch.tensor(tasks)
        self.begin = lengths_.cumsum(0) - lengths_
        self.starts = lengths_ - (frames - 1) * frame_skip
        """How many first frames a clip of each video can have."""
        self.offsets = torch.arange(frames) * frame_skip

    def draw(self, clips: int) -> tuple[Tensor, Tensor]:
        """Uniformly random clips: frames' indices, int64 [clips, frames], and tasks, int64 [clips]."""
        video = torch.multinomial(self.starts.float(), clips, replacement=True)
        start = (torch.rand(clips, dtype=torch.float64) * self.starts[video]).long()
        return (self.begin[video] + start)[:, None] + self.offsets, self.tasks[video]


def learning_rate(step: int, steps: int) -> float:
    """Share of the full rate: a warm-up over the first twentieth, then half a cosine down to a twentieth."""
    warm_up = min(1.0, (step + 1) / max(1, steps // 20))
    return warm_up * (0.05 + 0.95 * (1 + math.cos(math.pi * step / steps)) / 2)


def average_decay(decay: float, step: int) -> float:
    """Decay of the average of weights at the step-th step, from 1: over the last tenth or so of the steps, until they
    are as many as `decay` stands for.

    Otherwise a training that is short beside 1 / (1 - decay) steps would end with the weights that it began with.
    """
    return min(decay, (1 + step) / (10 + step))


def _adam(module: nn.Module, rate: float, betas: tuple[float, float]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(module.parameters(), rate, betas, weight_decay=0.01, fused=True)


def _step_of(line: str) -> float:
    try:
        return int(json.loads(line)["step"])
    except ValueError:  # cut short by a crash
        return math.inf


@contextmanager
def _appending(path: Path | None) -> Iterator[Any]:
    """Yields a function that appends a document to `path`, or drops it where that is None."""
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
    with open(path or os.devnull, "a", buffering=1) as file:
        yield lambda document: file.write(json.dumps(document) + "\n")


@contextmanager
def _progress(schedule: Schedule, step: int, shown: bool) -> Iterator[Any]:
    """A bar a stage; yields a function to call after each step."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[now]}"), disable=not shown) as progress:
        vqgan = progress.add_task(
            "VQ-GAN", total=schedule.vqgan_steps, completed=min(step, schedule.vqgan_steps), now=""
        )
        code_model = progress.add_task(
            "code model", total=schedule.code_model_steps, completed=max(0, step - schedule.vqgan_steps), now=""
        )

        def advance(in_vqgan: bool, metrics: dict[str, float]) -> None:
            name = "pixel_loss" if in_vqgan else "nats_a_code"
            stage, now = vqgan if in_vqgan else code_model, f"{name} {metrics[name]:.3f}"
            progress.update(stage, advance=1, now=now)
            task = progress.tasks[stage]
            if not progress.console.is_terminal and task.completed % VALIDATE_EVERY == 0:  # a log has no bars
                progress.console.print(f"{task.description} {task.completed:.0f}/{task.total:.0f} {now}")

        yield advance


def write_videos(model: VideoModel, dataset: Dataset, folder: Path) -> None:
    """For each task a held-out video above its reconstruction, and videos imagined from its first frames."""
    generator = torch.Generator(model.device).manual_seed(0)
    for task in model.tasks:
        video = dataset.select(EXPERT, task=task)[0].frames[:VALIDATION_FRAMES].copy()
        frames = torch.from_numpy(video).to(model.device)
        reconstructed = model.vqgan.decode(model.vqgan.encode(frames)).cpu().numpy()
        write_video(folder / f"{task}_reconstructed.mp4", np.concatenate([video, reconstructed], 2), 20)
        given = frames[: model.context * model.frame_skip // 2].expand(3, -1, -1, -1, -1)
        index = torch.full([3], model.task_index(task), device=model.device)
        imagined = model.imagine(given, index, 32, generator)  # [3, 32, height, width, 3]
        rollouts = torch.cat([given, imagined], 1).cpu().numpy()
        real = video[: rollouts.shape[1]]
        rollouts = rollouts[:, : len(real)]
        write_video(folder / f"{task}_imagined.mp4", np.concatenate([real, *rollouts], 2), 20)
