"""Training of a video model: the tokenizer on frames, then code models on clips."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

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
from viper_model.torch_tools.distributed import make_fabric, mean_of_processes
from viper_model.video_model.fit.example_videos import write_example_videos
from viper_model.video_model.fit.identity import FINISHED, finished_identity, refuse_another, training_identity
from viper_model.video_model.fit.sampler import BackgroundSampler, ClipSampler, Sampler
from viper_model.video_model.fit.schedule import SCHEDULES, TrainingSchedule
from viper_model.video_model.fit.stages import (
    VALIDATE_EVERY,
    CodeModelStage,
    PatchesStage,
    Stage,
    VQGANStage,
)
from viper_model.video_model.sizes import size_config
from viper_model.video_model.tokenizers.patches import Patches
from viper_model.video_model.tokenizers.vqgan import VQGAN
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.dataset import Dataset, FrameSet, Video, load_dataset
from viper_model.videos.find import BACKGROUND, EXPERT

if TYPE_CHECKING:
    from lightning_fabric import Fabric

SAVE_SECONDS = 20
"""How much work a crash may cost."""
LOG_EVERY = 20
ENCODED_AT_ONCE = 512
"""Frames."""

Background = Literal["auto", "recorded", "made", "none"]
"""What the background's code model learns from. recorded: videos of the behaviour `background`. made: experts' videos,
frozen, reversed and shuffled. auto: recorded where there are such videos of every task, else made."""
BACKGROUNDS: tuple[Background, ...] = get_args(Background)


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
    tokenizer_steps: int | None = None,
    code_model_steps: int | None = None,
    background_steps: int | None = None,
    device: torch.device | str = "cpu",
) -> VideoModel:
    """Train a model of a named size on the expert videos under `data` (of `tasks`; all where None), into `folder`.

    tokenizer: a name in `TOKENIZERS` that the size has; its first where empty. code_model: a name in `CODE_MODELS`.
    background: see `Background`; `none` makes a model that can't give a reward of the form `ratio`.

    Interrupted at any time and called again, it goes on from its last checkpoint and ends with the same weights as
    if it had not been interrupted. A folder whose training has finished is only loaded. The folder then holds the
    model (see `VideoModel.save`), `metrics.jsonl` and `videos/` (reconstructions and imagined rollouts).

    Under torchrun its processes share every batch: what is learned is what one process learns from the same batches.
    Only the first one writes. A training can go on with another number of processes.
    tokenizer_steps, code_model_steps, background_steps: instead of the size's own. Raises ModelError.
    """
    config = size_config(size, tokenizer, code_model)
    schedule = _shortened(SCHEDULES[size], tokenizer_steps, code_model_steps, background_steps)
    shortest = config.code_model.context * config.frame_skip
    dataset = load_dataset(data, config.tokenizer.image_size, tasks, shortest=shortest)
    source = _resolved(background, dataset)
    behaviours = (EXPERT, BACKGROUND) if source == "recorded" else (EXPERT,)
    used = [video for video in dataset.videos if video.behaviour in behaviours]
    identity = training_identity(config, schedule, source, seed, dataset, used)
    if (folder / "config.yaml").exists():
        model = VideoModel.load(folder, device)
        refuse_another(folder, "a finished model", finished_identity(folder, model, identity), identity)
        return model
    fabric = make_fabric(device)
    with torch.random.fork_rng([fabric.device] if fabric.device.type == "cuda" else []):
        torch.manual_seed(seed)
        model = VideoModel(config, dataset.tasks, background=source != "none").to(fabric.device)
        stages = make_stages(fabric, model, dataset, schedule, source, seed)
        training = Training(fabric, model, stages, seed, folder, identity)
        training.resume()
        training.run()
    if fabric.is_global_zero:
        model.calibration = calibrate(model, dataset)
        write_example_videos(model, dataset, folder / "videos")
        dataset.settings.save(folder, model.tasks)
        replace_file(folder / FINISHED, json.dumps(identity, indent=2).encode())
        model.save(folder)
        training.file.unlink(missing_ok=True)
    fabric.barrier()
    return VideoModel.load(folder, fabric.device)


def _shortened(
    schedule: TrainingSchedule, tokenizer: int | None, code_model: int | None, background: int | None
) -> TrainingSchedule:
    of_tokenizer, of_code_model = schedule.tokenizer, schedule.code_model
    return TrainingSchedule(
        dataclasses.replace(of_tokenizer, steps=tokenizer or of_tokenizer.steps),
        dataclasses.replace(
            of_code_model,
            steps=code_model or of_code_model.steps,
            background_steps=background or of_code_model.background_steps,
        ),
    )


def _resolved(background: str, dataset: Dataset) -> Background:
    """What `auto` stands for. Raises ModelError for another name, and where what is to be used isn't there."""
    source = next((each for each in BACKGROUNDS if each == background), None)
    if source is None:
        raise ModelError(f"unknown background '{background}': choose one of {', '.join(BACKGROUNDS)}")
    missing = [task for task in dataset.tasks if not dataset.select(BACKGROUND, task=task, held_out=False)]
    if source == "auto":
        return "made" if missing else "recorded"
    if source == "recorded" and missing:
        raise ModelError(
            f"there are no {BACKGROUND} videos of {', '.join(missing)} to train on: record two or more into "
            f"<task>/{BACKGROUND}, or choose the background made"
        )
    return source


class EncodedFrames:
    """The codes of videos' frames, made when they are first asked for: int16, two bytes a token stay in memory."""

    def __init__(self, model: VideoModel, trained_on: Sequence[Video], held_out: Sequence[Video]) -> None:
        self._model = model
        self._videos = (trained_on, held_out)
        self._codes: tuple[Tensor, Tensor] | None = None

    def __call__(self) -> tuple[Tensor, Tensor]:
        """Of the videos trained on, and of those held out: int16 [frames, tokens] each."""
        if self._codes is None:
            trained_on, held_out = (self._encode(videos) for videos in self._videos)
            self._codes = trained_on, held_out
        return self._codes

    def _encode(self, videos: Sequence[Video]) -> Tensor:
        device = self._model.device
        chunks = [
            self._model.tokenizer.encode(
                torch.from_numpy(video.frames[begin : begin + ENCODED_AT_ONCE].copy()).to(device)
            )
            for video in videos
            for begin in range(0, len(video.frames), ENCODED_AT_ONCE)
        ]
        return torch.cat([chunk.flatten(1).short().cpu() for chunk in chunks])


def make_stages(
    fabric: Fabric, model: VideoModel, dataset: Dataset, schedule: TrainingSchedule, background: Background, seed: int
) -> list[Stage]:
    """The stages of a training, in order."""
    experts, held_out = (dataset.select(EXPERT, held_out=each) for each in (False, True))
    others = dataset.select(BACKGROUND, held_out=False) if background == "recorded" else []

    def sampler(videos: Sequence[Video]) -> ClipSampler:
        return ClipSampler(
            lengths=[len(video.frames) for video in videos],
            tasks=[model.task_index(video.task) for video in videos],
            clip_frames=schedule.code_model.clip_frames,
            frame_skip=model.frame_skip,
        )

    def code_model_stage(name: str, videos: tuple[list[Video], list[Video]], steps: int, make: Any) -> CodeModelStage:
        kept = model.code_model if name == "code_model" else model.background_model()
        train, held = (make(sampler(each)) for each in videos)
        codes = EncodedFrames(model, *videos)
        return CodeModelStage(name, fabric, kept, schedule.code_model, steps, train, held, codes)

    def as_they_are(clips: ClipSampler) -> Sampler:
        return clips

    def not_the_task(clips: ClipSampler) -> Sampler:
        return BackgroundSampler(clips, made=background == "made")

    stages: list[Stage] = [_tokenizer_stage(fabric, model, schedule, [*experts, *others], held_out, seed)]
    stages.append(code_model_stage("code_model", (experts, held_out), schedule.code_model.steps, as_they_are))
    if background != "none":
        videos = (others, dataset.select(BACKGROUND)) if others else (experts, held_out)
        stages.append(code_model_stage("background", videos, schedule.code_model.background_steps, not_the_task))
    return stages


def _tokenizer_stage(
    fabric: Fabric,
    model: VideoModel,
    schedule: TrainingSchedule,
    videos: Sequence[Video],
    held_out: Sequence[Video],
    seed: int,
) -> Stage:
    if isinstance(model.tokenizer, Patches):
        return PatchesStage(model.tokenizer, FrameSet(videos), seed)
    assert isinstance(model.tokenizer, VQGAN)
    return VQGANStage(fabric, model.tokenizer, schedule.tokenizer, FrameSet(videos), FrameSet(held_out))


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
        self.file = folder / "training.safetensors"
        self.metrics = folder / "metrics.jsonl"
        self.step = 0
        """Steps done, of all stages."""

    def run(self) -> None:
        """Train to the end of the schedule."""
        saved = time.monotonic()
        first = self.fabric.is_global_zero
        total = sum(stage.steps for stage in self.stages)
        begin = 0
        with _progress(self.stages, self.step, first) as advance, _appending(self.metrics if first else None) as log:
            for stage in self.stages:
                while self.step < begin + stage.steps:
                    torch.manual_seed(int(np.random.SeedSequence([self.seed, self.step]).generate_state(1)[0]))
                    metrics = stage.step(self.step - begin)
                    self.step += 1
                    if self.step % LOG_EVERY == 0 or self.step == begin + stage.steps:
                        values = mean_of_processes(torch.tensor(list(metrics.values()), device=self.model.device))
                        metrics = dict(zip(metrics, values.tolist(), strict=True))
                        if not all(map(math.isfinite, metrics.values())):
                            raise ModelError(f"training diverged at step {self.step}: {metrics}")
                        log({"step": self.step, "stage": stage.name, **metrics})
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
            self.metrics.unlink(missing_ok=True)
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
        if self.metrics.exists():  # what was logged after the checkpoint will be logged again
            lines = [line for line in self.metrics.read_text().splitlines() if _step_of(line) <= self.step]
            replace_file(self.metrics, "".join(line + "\n" for line in lines).encode())


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
