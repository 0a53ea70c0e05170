"""A video, scored: a table, a plot and a video of likelihood maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from viper_lab.errors import UserError
from viper_lab.results.figure import new_figure, save_figure
from viper_lab.results.text import write_csv
from viper_model.reward.scorer import VideoScores, likelihood_map_video, score_video
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.dataset import read_recording
from viper_model.videos.settings import VideoSettings
from viper_model.videos.video_io import write_video


def load_for_scoring(folder: Path, precision: str, device: str) -> VideoModel:
    """A model that is only to be evaluated. Raises ModelError, see `VideoModel.prepare_for_inference`."""
    model = VideoModel.load(folder, device)
    model.prepare_for_inference(precision)
    return model


def only_task(model: VideoModel, task: str | None) -> str:
    """The task's label, or the only one that the model knows. Raises UserError, ModelError."""
    if task is None:
        if len(model.tasks) > 1:
            raise UserError(f"say what the video shows: --task, one of {', '.join(model.tasks)}")
        return model.tasks[0]
    model.task_index(task)
    return task


def score_to_files(
    video: Path,
    model_folder: Path,
    task: str | None,
    out: Path,
    *,
    form: str = "auto",
    rate: float = 15.0,
    precision: str = "float32",
    episode: int | None = None,
    device: str = "cpu",
) -> list[Path]:
    """Score every frame of `video` (of its `episode`, where it holds several), prepared as the model's own videos were;
    how it was recorded is told by its data folder's videos.yaml before the model's.

    Writes <video>_likelihood.csv, .png and _likelihood_map.mp4 (at `rate` frames a second) to `out` and returns their
    paths. form: of the reward, see `scorer.chosen_form`. precision: see `VideoModel.prepare_for_inference`.
    Raises ModelError or UserError for an unreadable video or model, an unknown task or form, and where `out` can't be
    written.
    """
    model = load_for_scoring(model_folder, precision, device)
    task, settings = only_task(model, task), VideoSettings.of_video(video, model_folder)
    frames = read_recording(video, task, episode=episode, settings=settings, image_size=model.image_size).frames
    scores = score_video(model, frames, task, form)
    stem = video.stem if episode is None else f"{video.stem}_{episode}"
    table, plot, maps = (out / f"{stem}_{name}" for name in ("likelihood.csv", "likelihood.png", "likelihood_map.mp4"))
    write_csv(table, _rows(scores))
    save_figure(plot, _plot(scores, f"{video.name} as {task}"), dpi=150)
    write_video(maps, likelihood_map_video(frames, scores.code_log_probs), rate)
    return [table, plot, maps]


def _rows(scores: VideoScores) -> Iterator[Sequence[Any]]:
    yield "frame", "conditional_nats", f"{scores.form}_nats", "reward"
    rows = zip(scores.conditional, scores.log_likelihood, scores.reward, strict=True)
    yield from ((index, *row) for index, row in enumerate(rows))


def _plot(scores: VideoScores, title: str) -> Figure:
    figure = new_figure(8, 3)
    axes = figure.subplots()
    axes.plot(scores.log_likelihood, linewidth=1)
    axes.set(xlabel="frame", ylabel=f"{scores.form} [nats]", title=title)
    return figure
