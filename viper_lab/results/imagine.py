"""Imagined continuations of videos, as videos and as errors against the true frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from viper_lab.errors import UserError
from viper_lab.results.figure import new_figure, save_figure
from viper_lab.results.text import write_csv
from viper_model.reward.rollout import FrameErrors, frame_errors, imagine, montage
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.dataset import read_recording
from viper_model.videos.settings import VideoSettings
from viper_model.videos.video_io import write_video


@dataclass(frozen=True)
class Rollout:
    """What was imagined from one video's frames under one task's label."""

    name: str
    """Of the video: its number among the videos, and what its file is called."""
    task: str
    given: np.ndarray
    """uint8 [time, height, width, 3]."""
    truth: np.ndarray
    """The true frames that follow, uint8 [time, height, width, 3]."""
    imagined: np.ndarray
    """uint8 [samples, steps, height, width, 3]."""

    @cached_property
    def errors(self) -> FrameErrors:
        return frame_errors(self.imagined, self.truth)

    @cached_property
    def errors_of_a_still_picture(self) -> FrameErrors:
        """The errors of repeating the last given frame, a baseline."""
        return frame_errors(self.given[None, [-1] * len(self.truth)], self.truth)

    def videos(self) -> list[np.ndarray]:
        """The truth and each sample, with the given frames before."""
        return [np.concatenate([self.given, video]) for video in (self.truth, *self.imagined)]


def imagine_videos(
    videos: Sequence[Path],
    model_folder: Path,
    out: Path,
    *,
    tasks: Sequence[str] = (),
    start: int = 0,
    given: int = 1,
    steps: int = 40,
    samples: int = 3,
    seed: int = 0,
    rate: float = 10.0,
    device: str = "cpu",
) -> list[Path]:
    """Imagine how each video goes on from `given` of its frames, under each of `tasks` (all that the model knows where
    none), `samples` times; write videos and errors to `out` and return their paths.

    Only every frame_skip-th frame of a video counts, from frame `start` on: `given` and `steps` are of those.
    <number>_<video>_as_<task>.mp4: what came, then each sample. grid.mp4: a row a video; what came, then a sample for
    each task. errors.csv and errors.png: PSNR and SSIM to what came by step, mean and standard deviation over samples,
    and those of the last given frame, held. The same seed gives the same videos, whichever others are asked for.
    Raises ModelError or UserError for an unreadable video or model, an unknown task, a video that ends before there is
    anything to imagine, and where `out` can't be written.
    """
    model = VideoModel.load(model_folder, device)
    for task in tasks:
        model.task_index(task)
    rollouts = [
        [
            _rollout(
                model,
                f"{number}_{video.stem}",
                video,
                task,
                VideoSettings.of_video(video, model_folder),
                start,
                given,
                steps,
                samples,
                seed,
            )
            for task in tasks or model.tasks
        ]
        for number, video in enumerate(videos, 1)
    ]
    paths = []
    for rollout in (rollout for row in rollouts for rollout in row):
        path = out / f"{rollout.name}_as_{rollout.task}.mp4"
        write_video(path, montage([rollout.videos()]), rate)
        paths.append(path)
    grid = out / "grid.mp4"
    write_video(
        grid, montage([[row[0].videos()[0], *(rollout.videos()[1] for rollout in row)] for row in rollouts]), rate
    )
    every = [rollout for row in rollouts for rollout in row]
    table, plot = out / "errors.csv", out / "errors.png"
    write_csv(table, _error_rows(every))
    save_figure(plot, plot_errors(every), dpi=150)
    return [*paths, grid, table, plot]


def _rollout(
    model: VideoModel,
    name: str,
    video: Path,
    task: str,
    settings: VideoSettings,
    start: int,
    given: int,
    steps: int,
    samples: int,
    seed: int,
) -> Rollout:
    frames = read_recording(video, task, settings=settings, image_size=model.image_size).frames
    counted = frames[start :: model.frame_skip]  # [time, height, width, 3]
    if len(counted) <= given:
        raise UserError(
            f"{video} has {len(frames)} frames: too few to begin at frame {start} with {given} given frames, "
            f"{model.frame_skip} apart, and compare what follows"
        )
    generator = torch.Generator(model.device).manual_seed(seed)
    imagined = imagine(model, counted[:given], task, steps, samples, generator)
    return Rollout(name, task, counted[:given], counted[given : given + steps], imagined)


def _error_rows(rollouts: Sequence[Rollout]) -> Iterator[Sequence[Any]]:
    measures = ("psnr_db", "ssim")
    names = [f"{measure}_{what}" for measure in measures for what in ("mean", "std", "of_a_still_picture")]
    yield "video", "task", "step", *names
    for rollout in rollouts:
        errors, still = rollout.errors, rollout.errors_of_a_still_picture
        columns = [
            column
            for of, of_still in ((errors.psnr, still.psnr), (errors.ssim, still.ssim))
            for column in (of.mean(0), of.std(0), of_still[0])
        ]
        for step, row in enumerate(zip(*columns, strict=True), 1):
            yield rollout.name, rollout.task, step, *(f"{value:.6g}" for value in row)


def plot_errors(rollouts: Sequence[Rollout]) -> Figure:
    """Likeness to the true frames by step: each rollout's mean and spread over samples; dashed, a still picture's."""
    figure = new_figure(9, 3.4)
    for axes, measure, unit in zip(figure.subplots(1, 2), ("psnr", "ssim"), ("PSNR [dB]", "SSIM"), strict=True):
        for number, rollout in enumerate(rollouts):
            values = getattr(rollout.errors, measure)  # [samples, steps]
            steps = np.arange(1, values.shape[1] + 1)
            mean, spread = values.mean(0), values.std(0)
            colour = f"C{number % 10}"
            axes.plot(steps, mean, color=colour, label=f"{rollout.name} as {rollout.task}")
            axes.fill_between(steps, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0)
            still = getattr(rollout.errors_of_a_still_picture, measure)[0]
            axes.plot(steps, still, color=colour, linestyle="--", linewidth=0.8)
        axes.set(xlabel="step", ylabel=f"{unit} to what came")
    figure.axes[0].legend(frameon=False, fontsize=8)
    return figure
