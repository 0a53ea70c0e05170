"""A video, scored: numbers, plot and likelihood-map video; or a whole bag, with the rewards beside its frames."""

from __future__ import annotations

import csv
from pathlib import Path

import matplotlib

from viper_lab.errors import UserError
from viper_model.reward.scorer import likelihood_map_video, score
from viper_model.torch_tools.inference import prepare_for_inference
from viper_model.video_model.video_model import VideoModel
from viper_model.videos import rosbag
from viper_model.videos.dataset import read_recording
from viper_model.videos.settings import VideoSettings
from viper_model.videos.video_io import write_video
from viper_ros.bags.scoring import score_bag

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def score_video(
    video: Path,
    model_folder: Path,
    task: str | None,
    out: Path,
    rate: float,
    precision: str = "float32",
    episode: int | None = None,
    maps: bool = False,
    device: str = "cpu",
) -> list[Path]:
    """Score every frame of `video` (of its `episode`, where it holds several), prepared as the model's own videos were.

    Writes <video>_likelihood.csv, .png and _likelihood_map.mp4 to `out` and returns their paths; for a bag without
    `episode` a bag, <video>_scored, with all it held and its rewards (and, where `maps`, its likelihood maps): see
    `score_bag`. precision: see `prepare_for_inference`.
    Raises ModelError or UserError for an unreadable video or model, an unknown task, and where `out` can't be written.
    """
    model = VideoModel.load(model_folder, device)
    prepare_for_inference(model, precision)
    settings = VideoSettings.load(model_folder)
    if rosbag.holds(video) and episode is None:
        scored = out / f"{video.resolve().name}_scored"
        score_bag(video, scored, model, settings, task, maps)
        return [scored]
    if task is None:
        if len(model.tasks) > 1:
            raise UserError(f"say what the video shows: --task, one of {', '.join(model.tasks)}")
        task = model.tasks[0]
    model.task_index(task)
    frames = read_recording(video, task, episode=episode, settings=settings, image_size=model.image_size).frames
    scores = score(model, frames, task)
    stem = video.stem if episode is None else f"{video.stem}_{episode}"
    table, plot, surprise = (
        out / f"{stem}_{name}" for name in ("likelihood.csv", "likelihood.png", "likelihood_map.mp4")
    )
    try:
        out.mkdir(parents=True, exist_ok=True)
        with open(table, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["frame", "log_likelihood_nats", "joint_log_likelihood_nats", "reward"])
            writer.writerows(zip(range(len(frames)), scores.conditional, scores.joint, scores.reward, strict=True))
        figure, axes = plt.subplots(figsize=(8, 3), layout="constrained")
        axes.plot(scores.conditional, linewidth=1)
        axes.set(xlabel="frame", ylabel="ln p(x$_t$ | x$_{<t}$)  [nats]", title=f"{video.name} as {task}")
        figure.savefig(plot, dpi=150)
        plt.close(figure)
    except OSError as error:
        raise UserError(f"can't write to {out}: {error.strerror}") from error
    write_video(surprise, likelihood_map_video(frames, scores.code_log_probs), rate)
    return [table, plot, surprise]
