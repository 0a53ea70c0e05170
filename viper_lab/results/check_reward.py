"""A model judged as a reward, by videos alone: a table, check.json and a page."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from rich.text import Text

from viper_lab.errors import UserError
from viper_lab.results.figure import new_figure, plot_url
from viper_lab.results.page import Clip, template
from viper_lab.results.run_files import best_rewarded_videos, read_config, rewarded_task, value_at
from viper_lab.results.text import write_text
from viper_model.errors import ModelError
from viper_model.reward.check import JudgedVideo, RewardCheck, TaskCheck, check_reward, judged_videos
from viper_model.reward.likelihood import Form
from viper_model.reward.scorer import likelihood_map_video, score_video
from viper_model.reward.verdict import NOT_USABLE
from viper_model.video_model.fit.identity import pictures_of, trained_on
from viper_model.video_model.folder import model_hash
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.dataset import EXPERT, Dataset, Recording, load_dataset
from viper_model.videos.find import BACKGROUND, find_videos
from viper_model.videos.settings import VideoSettings
from viper_model.videos.video_io import write_video

logger = logging.getLogger(__name__)

SHOWN_FRAMES = 200
"""Videos on the page are this long at most."""
RATE = 15.0
"""Frames a second of videos on the page."""


def check_model(
    data: Path,
    folder: Path,
    console: Console,
    *,
    form: str = "auto",
    tasks: Sequence[str] = (),
    out: Path | None = None,
    run: Path | None = None,
    device: str,
) -> bool:
    """Judge a model as a reward by the videos kept from its training; say so and write it down.

    Into `out` go check.json, check.html and, in check/, the page's plots and videos: where None into the model's
    folder, or with a `run` into the run's, so that what was found before it was trained stays.
    form: of the reward, see `scorer.chosen_form`. tasks: only these; all that the model knows and the data has where
    empty. run: a run whose episodes are tried as well, those that its reward thought best. Returns whether no task is
    found not usable. Raises ModelError or UserError where the model doesn't know the data's tasks, or a file can't be
    written.
    """
    out = out or run or folder
    model = VideoModel.load(folder, device)
    known = _known_tasks(data, model, tasks)
    shortest, settings = model.context * model.frame_skip, VideoSettings.of_model(folder)
    dataset = load_dataset(data, model.image_size, known, shortest=shortest, of_model=settings)
    dataset = _without_trained_on(dataset, folder)
    judged = tuple(tasks) or known
    policy = _policy_videos(run, folder, model, settings, judged) if run else {}
    result = check_reward(model, dataset, form, judged, policy)
    write_text(out / "check.json", json.dumps(result.to_dict(), indent=2))
    page = write_page(model, dataset, result, out, policy)
    for task, check in result.tasks.items():
        console.print(_table(task, check))
        console.print(Text.assemble((f"{task}:", "bold"), f" {check.verdict.text}"))
        for reason in check.verdict.reasons[1:]:
            console.print(f"Besides: {reason}")
    missing = [task for task in model.tasks if task not in known]
    if missing and not tasks:
        console.print(f"not judged, as {data} has no videos of them: {', '.join(missing)}")
    console.print(f"report: {page}")
    return all(check.verdict.level != NOT_USABLE for check in result.tasks.values())


def _without_trained_on(dataset: Dataset, folder: Path) -> Dataset:
    """Without what is to be judged by and the model was trained on: videos that have been moved or renamed since."""
    seen = trained_on(folder)
    held_out = [each for each in dataset.videos if each.held_out and each.behaviour in (EXPERT, BACKGROUND)]
    known = {video.name for video in held_out if seen and pictures_of(video) in seen}
    if known:
        logger.warning(
            "%d held-out videos are not judged by, as the model was trained on them before they moved or others came: "
            "the first is %s",
            len(known),
            min(known),
        )
    return replace(dataset, videos=tuple(video for video in dataset.videos if video.name not in known))


def _policy_videos(
    run: Path, folder: Path, model: VideoModel, settings: VideoSettings, judged: Sequence[str]
) -> dict[str, list[Recording]]:
    """By task, what a run's policy did that its reward thought best. folder: of the model. settings: of the model's
    videos.

    Raises UserError where its task isn't judged, and where its reward was of other pictures than it has kept.
    """
    config = read_config(run)
    if value_at(config, "video_model.sha256") != model_hash(folder):
        logger.warning("%s learned from another reward than that of %s as it is now", run, folder)
    task = rewarded_task(config)
    if task not in judged:
        raise UserError(f"{run} learned from the reward for '{task}'; what is judged here is {', '.join(judged)}")
    prepared = settings.of(task)
    if prepared.crop or prepared.mask is not None:
        raise UserError(
            f"{run} has kept the pictures that its agent saw, and the model was shown cropped or masked ones: "
            "what its reward was can't be told from them, so leave out run:="
        )
    return {task: best_rewarded_videos(run, model.image_size)}


def _known_tasks(data: Path, model: VideoModel, wanted: Sequence[str]) -> tuple[str, ...]:
    """Tasks that the model knows and the data has videos of. Raises ModelError where none, or not those `wanted`."""
    for task in wanted:
        model.task_index(task)
    available = {video.task for video in find_videos(data, VideoSettings.load(data).camera).videos}
    known = tuple(task for task in model.tasks if task in available)
    for task in wanted or (() if known else model.tasks):
        if task not in available:
            there = f"it has videos of {', '.join(sorted(available))}" if available else "it has none that can be read"
            raise ModelError(f"{data} has no videos of '{task}', which the model is to be judged by: {there}")
    return known


def _table(task: str, check: TaskCheck) -> Table:
    table = Table(
        title=f"{task}: what videos earn in an episode of {check.episode_frames} frames, by the {check.form} form"
    )
    table.add_column("kind", no_wrap=True)
    for column in (
        "videos",
        "nats a frame",
        "episode",
        "best, unsolved",
        "of expert's",
        "ground truth",
        "AUC of clips",
    ):
        table.add_column(column, justify="right")
    expert = check.kinds[EXPERT].episode_reward
    for kind, k in check.kinds.items():
        best = k.best_hack
        table.add_row(
            kind,
            str(k.videos),
            f"{k.log_likelihood:.1f}",
            f"{k.episode_reward:.0f}",
            _number(best, 0),
            "" if best is None or expert <= 0 else f"{best / expert:.0%}",
            _return(k.ground_truth_return),
            _number(k.clip_auc),
        )
    table.caption = "AUC: 1 tells every clip of a kind from an expert's, 0.5 is a coin"
    if check.return_correlation is not None:
        table.caption += f"; rank correlation with the ground-truth return: {check.return_correlation:.3f}"
    return table


def _number(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _return(value: float | None) -> str:
    """Of up to 1000, or a share of successes."""
    return "" if value is None else f"{value:.3g}"


def write_page(
    model: VideoModel, data: Dataset, result: RewardCheck, out: Path, policy: dict[str, list[Recording]]
) -> Path:
    """Write check.html, which holds everything that it shows. Returns its path. Raises UserError, ModelError."""
    tasks = []
    for task, check in result.tasks.items():
        videos = judged_videos(data, task, model.tasks, policy.get(task, ()))
        tasks.append(
            {
                "name": task,
                "check": check,
                "plot": plot_url(out / "check" / f"{task}_reward.png", plot_rewards(check), dpi=120),
                "clips": [
                    _clip(model, check.form, task, kind, of_kind[0], out / "check") for kind, of_kind in videos.items()
                ],
            }
        )
    page = template("check.html.jinja").render(tasks=tasks, number=_number, ground_truth=_return)
    path = out / "check.html"
    write_text(path, page)
    return path


def plot_rewards(check: TaskCheck, columns: int = 4) -> Figure:
    """The reward over time of each video of each kind, before the experts' median."""
    rows = -(-len(check.kinds) // columns)
    figure = new_figure(3 * columns, 2.2 * rows)
    experts = _median_over_videos(check.rewards[EXPERT])
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, (kind, videos) in zip(grid.flat, check.rewards.items(), strict=False):
        for video in videos:
            axes.plot(video, color="C0" if kind == EXPERT else "C3", linewidth=0.6, alpha=max(0.15, 1 / len(videos)))
        axes.plot(experts, color="0.2", linewidth=1)
        axes.set_title(kind.replace("_", " "), fontsize=10)
    for axes in grid.flat[len(check.kinds) :]:
        axes.set_axis_off()
    figure.supxlabel("frame")
    figure.supylabel("reward")
    return figure


def _median_over_videos(videos: Sequence[np.ndarray]) -> np.ndarray:
    """float [longest time], of those videos that last as long."""
    return np.array([np.median([video[t] for video in videos if t < len(video)]) for t in range(max(map(len, videos)))])


def _clip(model: VideoModel, form: Form, task: str, kind: str, video: JudgedVideo, folder: Path) -> Clip:
    frames = video.frames[:SHOWN_FRAMES]
    scores = score_video(model, frames, task, form)
    path = folder / f"{task}_{kind}.mp4"
    write_video(path, likelihood_map_video(frames, scores.code_log_probs), RATE)
    return Clip(f"{kind.replace('_', ' ')}: reward {scores.reward[1:].mean():.2f} a frame", path)
