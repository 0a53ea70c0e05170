"""Training of a video model: the tokenizer on frames, then code models on clips."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from viper_model.errors import ModelError
from viper_model.files import locked, replace_file, saving
from viper_model.metrics import METRICS, MetricsLog
from viper_model.reward.check import calibrate, refuse_names_of_the_check
from viper_model.torch_tools.checkpoint import (
    load_optimizer,
    load_weights,
    optimizer_tensors,
    read_tensors,
    write_tensors,
)
from viper_model.torch_tools.distributed import make_fabric, mean_of_processes
from viper_model.video_model.fit.assembly import make_stages
from viper_model.video_model.fit.background import RECORDED, resolve_background
from viper_model.video_model.fit.example_videos import write_example_videos
from viper_model.video_model.fit.identity import (
    FINISHED,
    TRAINED_ON,
    finished_identity,
    pictures_of,
    read_identity,
    refuse_another,
    settings_identity,
    training_identity,
)
from viper_model.video_model.fit.schedule import SCHEDULES, TrainingSchedule
from viper_model.video_model.fit.stages import VALIDATE_EVERY, Stage
from viper_model.video_model.folder import WEIGHTS
from viper_model.video_model.sizes import size_config
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.dataset import load_dataset
from viper_model.videos.find import BACKGROUND, EXPERT
from viper_model.videos.source import SETTINGS

if TYPE_CHECKING:
    from lightning_fabric import Fabric

LOCK = ".lock"
CHECKPOINT = "training.safetensors"
LONGEST_NAME = 200
"""Bytes of a task's name: file systems take 255, with what is put behind it."""
SAVE_SECONDS = 20
"""How much work a crash may cost."""
LOG_EVERY = 20


def fit(
    data: Path,
    folder: Path,
    size: str,
    *,
    tokenizer: str = "",
    code_model: str = "videogpt",
    background: str = "auto",
    tasks: Sequence[str] | None = None,
    seed: int = 0,
    tokenizer_steps: int = 0,
    code_model_steps: int = 0,
    background_steps: int = 0,
    device: torch.device | str = "cpu",
) -> VideoModel:
    """Train a model of a named size on the expert videos under `data`, into `folder`.

    tasks: only these, of whichever embodiment, or of one, as `panda/lift`; all where None.
    tokenizer: a name in `TOKENIZERS` that the size has; its first where empty. code_model: a name in `CODE_MODELS`.
    background: see `Background`; `none` makes a model that can't give a reward of the form `ratio`.

    Interrupted at any time and called again, it goes on from its last checkpoint and ends with the same weights as
    if it had not been interrupted. A folder whose training has finished is only loaded. The folder then holds the
    model (see `VideoModel.save`), `metrics.jsonl` with TensorBoard's event files, and `videos/` (reconstructions and
    imagined rollouts).

    Under torchrun its processes share every batch: what is learned is what one process learns from the same batches.
    Only the first one writes. A training can go on with another number of processes.
    tokenizer_steps, code_model_steps, background_steps: instead of the size's own; 0: those.
    Raises ModelError.
    """
    if folder.exists() and not folder.is_dir():
        raise ModelError(f"{folder} is a file: choose another folder for the model")
    _refuse_anothers_folder(folder, data)
    config = size_config(size, tokenizer, code_model)
    schedule = _shortened(SCHEDULES[size], tokenizer_steps, code_model_steps, background_steps)
    shortest = config.code_model.context * config.frame_skip
    dataset = load_dataset(data, config.tokenizer.image_size, tasks, shortest=shortest)
    refuse_names_of_the_check(dataset)
    _refuse_long_names(dataset.tasks)
    source = resolve_background(background, dataset)
    behaviours = (EXPERT, BACKGROUND) if source in RECORDED else (EXPERT,)
    used = [video for video in dataset.videos if video.behaviour in behaviours]
    identity = training_identity(config, schedule, source, seed, dataset, used)
    if (folder / "config.yaml").exists():
        model = VideoModel.load(folder, device)
        refuse_another(folder, "a finished model", finished_identity(folder, model, identity), identity)
        return model
    fabric = make_fabric(device)
    with _alone(folder) if fabric.is_global_zero else nullcontext():
        with torch.random.fork_rng([fabric.device] if fabric.device.type == "cuda" else []):
            torch.manual_seed(seed)
            model = VideoModel(config, dataset.tasks, background=source != "none").to(fabric.device)
            stages = make_stages(fabric, model, dataset, schedule, source, seed)
            training = Training(fabric, model, stages, seed, folder, identity)
            training.resume()
            training.run()
        if fabric.is_global_zero:
            model.calibration = calibrate(model, dataset)
            dataset.settings.save(folder, model.tasks)
            seen = [pictures_of(video) for video in used if not video.held_out]
            replace_file(folder / FINISHED, json.dumps({**identity, TRAINED_ON: seen}, indent=2).encode())
            model.save(folder)
            training.file.unlink(missing_ok=True)
            write_example_videos(model, dataset, folder / "videos")
    fabric.barrier()
    return VideoModel.load(folder, fabric.device)


def refuse_other_settings(
    folder: Path,
    size: str,
    *,
    tokenizer: str,
    code_model: str,
    background: str,
    seed: int,
    tokenizer_steps: int,
    code_model_steps: int,
    background_steps: int,
) -> None:
    """Raises ModelError where `fit` made the finished model in a folder by other settings than these; one that it did
    not make may be any."""
    there = read_identity(folder)
    if there is None:
        return
    config = size_config(size, tokenizer, code_model)
    schedule = _shortened(SCHEDULES[size], tokenizer_steps, code_model_steps, background_steps)
    wanted = settings_identity(config, schedule, seed)
    if background != "auto":
        wanted["background"] = background
    refuse_another(folder, "a finished model", there, wanted)


def _refuse_anothers_folder(folder: Path, data: Path) -> None:
    """Raises ModelError where a model would take the place of something else, or its videos be taken for a task's."""
    place, videos = folder.resolve(), data.resolve()
    if place.is_relative_to(videos) and not any(part.startswith(".") for part in place.relative_to(videos).parts):
        raise ModelError(
            f"{folder} is in the videos' folder {data}, where a model's example videos would be taken for videos of a "
            "task: choose a folder beside it"
        )
    ours = (LOCK, FINISHED, CHECKPOINT, "config.yaml")
    if any((folder / name).exists() for name in ours):
        return
    written = (WEIGHTS, "tasks.yaml", METRICS, SETTINGS, "masks", "videos")
    if there := [name for name in written if (folder / name).exists()]:
        raise ModelError(
            f"{folder} is no folder of a model, and its {' and '.join(there)} would be written over: choose another"
        )


def _refuse_long_names(tasks: Sequence[str]) -> None:
    for task in tasks:
        if (size := len(os.fsencode(task))) > LONGEST_NAME:
            raise ModelError(
                f"the task '{task[:40]}…' has a name of {size} bytes, and files are called after it: "
                f"{LONGEST_NAME} at most"
            )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other training writes to `folder` meanwhile. Raises ModelError where one does."""

    def taken() -> None:
        raise ModelError(f"another `viper fit` is at work in {folder}: wait for it, or choose another folder")

    with saving(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK, taken):
        yield


def _shortened(schedule: TrainingSchedule, tokenizer: int, code_model: int, background: int) -> TrainingSchedule:
    of_tokenizer, of_code_model = schedule.tokenizer, schedule.code_model
    return TrainingSchedule(
        dataclasses.replace(of_tokenizer, steps=tokenizer or of_tokenizer.steps),
        dataclasses.replace(
            of_code_model,
            steps=code_model or of_code_model.steps,
            background_steps=background or of_code_model.background_steps,
        ),
    )


class Training:
    """Everything that changes while a model trains, and how it is saved.

    Each step seeds its own randomness, so the number of steps done is all that resuming needs to know of it.
    """

    def __init__(
        self,
        fabric: Fabric,
        model: VideoModel,
        stages: Sequence[Stage],
        seed: int,
        folder: Path,
        identity: dict[str, Any],
    ) -> None:
        """identity: see `training_identity`."""
        self.fabric, self.model, self.stages, self.seed, self.identity = fabric, model, stages, seed, identity
        self.folder, self.file = folder, folder / CHECKPOINT
        self.step = 0
        """Steps done, of all stages."""

    def run(self) -> None:
        """Train to the end of the schedule."""
        saved = time.monotonic()
        first = self.fabric.is_global_zero
        total = sum(stage.steps for stage in self.stages)
        begin = 0
        log = MetricsLog(self.folder, after=self.step) if first else None
        with _progress(self.stages, self.step, first) as advance:
            for stage in self.stages:
                while self.step < begin + stage.steps:
                    torch.manual_seed(int(np.random.SeedSequence([self.seed, self.step]).generate_state(1)[0]))
                    metrics = stage.step(self.step - begin)
                    self.step += 1
                    done = self.step - begin
                    if done % LOG_EVERY == 0 or done == stage.steps:
                        values = mean_of_processes(torch.tensor(list(metrics.values()), device=self.model.device))
                        metrics = dict(zip(metrics, values.tolist(), strict=True))
                        if not all(map(math.isfinite, metrics.values())):
                            raise ModelError(f"training diverged at step {self.step}: {metrics}")
                        if log:
                            log.write(self.step, stage=stage.name, **metrics)
                            log.show(self.step, {f"{stage.name}/{name}": value for name, value in metrics.items()})
                    advance(stage, metrics)
                    if first and self.step < total and time.monotonic() - saved > SAVE_SECONDS:
                        self.save()
                        saved = time.monotonic()
                begin += stage.steps
                stage.finish()
        self.model.eval()

    def save(self) -> None:
        tensors = {f"model.{key}": tensor for key, tensor in self.model.state_dict().items()}
        for stage in self.stages:
            for name, module in stage.modules().items():
                tensors |= {f"{name}.{key}": tensor for key, tensor in module.state_dict().items()}
            for name, optimizer in stage.optimizers().items():
                tensors |= optimizer_tensors(optimizer, f"optimizer_{name}")
        documents = [stage.document() for stage in self.stages]
        write_tensors(self.file, tensors, {"identity": self.identity, "step": self.step, "stages": documents})

    def resume(self) -> None:
        """Go back to the last checkpoint, if there is one. Raises ModelError where it is of another training."""
        if not self.file.exists():
            return
        tensors, document = read_tensors(self.file, self.model.device)
        refuse_another(self.file.parent, "an unfinished training", document.get("identity"), self.identity)
        modules = {"model": self.model, **{k: v for stage in self.stages for k, v in stage.modules().items()}}
        for name, module in modules.items():
            prefix = f"{name}."
            weights = {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}
            load_weights(module, weights, self.file)
        for stage, of_stage in zip(self.stages, document["stages"], strict=True):
            stage.restore(of_stage)
            for name, optimizer in stage.optimizers().items():
                load_optimizer(optimizer, tensors, f"optimizer_{name}")
        self.step = document["step"]


@contextmanager
def _progress(stages: Sequence[Stage], step: int, shown: bool) -> Iterator[Any]:
    """A bar a stage; yields a function to call after each step."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[now]}"), disable=not shown) as progress:
        bars = {}
        for stage in stages:
            done = min(max(0, step), stage.steps)
            bars[stage.name] = progress.add_task(
                stage.name.replace("_", " "), total=stage.steps, completed=done, now=""
            )
            step -= stage.steps

        def advance(stage: Stage, metrics: dict[str, float]) -> None:
            bar, now = bars[stage.name], f"{stage.shown} {metrics[stage.shown]:.3f}"
            progress.update(bar, advance=1, now=now)
            task = progress.tasks[bar]
            if not progress.console.is_terminal and task.completed % VALIDATE_EVERY == 0:  # a log has no bars
                progress.console.print(f"{task.description} {task.completed:.0f}/{task.total:.0f} {now}")

        yield advance
