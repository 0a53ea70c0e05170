"""A run as one self-contained page: did it learn, what does it look like, what surprised the video model."""

from __future__ import annotations

import json
import logging
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter
from scipy.stats import sem

from sim.env import normalised_score
from viper_lab.errors import UserError
from viper_lab.results.figure import new_figure, plot_url, save_figure
from viper_lab.results.page import Clip, template
from viper_lab.results.run_files import (
    CONFIG,
    EPISODES,
    episode_rewards,
    is_finite,
    read_config,
    read_json,
    read_metrics,
    rewarded_task,
    run_task,
    value_at,
)
from viper_lab.results.text import write_text
from viper_model.errors import ModelError
from viper_model.reward.check import episode_return
from viper_model.reward.likelihood import likelihood_map
from viper_model.reward.scorer import AUTO, VideoScores, likelihood_map_video, score_video
from viper_model.video_model.folder import model_hash, read_calibration
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.dataset import EXPERT, Dataset, Video, load_dataset, read_recording
from viper_model.videos.preparation import resize
from viper_model.videos.settings import VideoSettings
from viper_model.videos.video_io import write_video

logger = logging.getLogger(__name__)

SUMMARY = "report.json"
PLOTS = "plots"
LOSSES = ("image_loss", "reward_loss", "kl", "critic_loss", "discriminator_loss")
SAME_FOR_THE_ORACLE = ("sim", "settings.policy_node.agent", "settings.sim_node.action_repeat")
"""What of a run and of its Task Oracle must be the same."""
PAGE_IMAGE_SIZE = 64
"""Pixels a side of videos that are only looked at."""


@dataclass(frozen=True)
class Score:
    """Ground-truth returns of some episodes."""

    who: str
    returns: Sequence[float]
    steps: int | None = None
    """After how many environment steps, where that is other than of the run that is reported."""

    @property
    def mean(self) -> float:
        return float(np.mean(self.returns))

    def normalised(self, return_range: tuple[float, float]) -> float:
        """The mean as a normalised score: the human-normalised score on Atari."""
        return normalised_score(self.mean, return_range)

    @property
    def error(self) -> float | None:
        """Standard error of the mean, over episodes of one policy; None for a single episode."""
        return float(sem(self.returns)) if len(self.returns) > 1 else None

    @property
    def text(self) -> str:
        return with_error(self.mean, self.error)


def with_error(mean: float, error: float | None) -> str:
    """A mean as people read it, whether it is of returns up to 1000 or of successes from 0 to 1."""
    return f"{mean:.4g}" + ("" if error is None else f" ± {error:.2g}")


def evaluations(records: list[dict[str, Any]]) -> dict[int, list[float]]:
    """Ground-truth returns of the evaluation episodes, by round (the step at which it fell due).

    A round that a killed run went through again is what it was then.
    """
    rounds: dict[int, list[float]] = defaultdict(list)
    for record in records:
        if "evaluation_return" in record:
            if record.get("episode") == 0:
                rounds[record["round"]].clear()
            rounds[record["round"]].append(record["evaluation_return"])
    return dict(sorted(rounds.items()))


def improvement(before: Score, after: Score) -> float | None:
    """The difference of two means in standard errors of that difference; None where those tell nothing: of a single
    episode, or of episodes that all came out alike."""
    if before.error is None or after.error is None:
        return None
    error = math.hypot(before.error, after.error)
    return (after.mean - before.mean) / error if error else None


def write_report(run: Path) -> Path:
    """Write report.html into a run's directory, with its plots and videos beside it, and report.json, the same result
    for programs. Returns the page's path.

    Raises UserError where there is no run, or nothing has been evaluated yet, and UserError or ModelError where one of
    its files, or of its video model's, is damaged.
    """
    config = read_config(run)
    records = read_metrics(run)
    rounds = evaluations(records)
    if not rounds:
        raise UserError(f"nothing has been evaluated yet in {run}: train on")
    last = max(rounds)
    untrained = Score("before training", rounds[0]) if 0 in rounds else None
    trained = Score("policy", rounds[last])
    data = _videos(config)
    sampled = _sampled(records, len(trained.returns))
    scores = [*filter(None, [untrained]), trained, *sampled, *_oracle(run, config, last), *_behaviours(data)]
    model = _video_model(run, config)
    videos = _scored_videos(run, model, last, data, config) if model else []
    check = _check(model, config) if model else None
    if videos:
        save_figure(run / PLOTS / "videos.png", plot_videos(videos), dpi=150)
    page = template("report.html.jinja").render(
        config=config,
        compared=config.get("expert_videos"),
        untrained=untrained,
        trained=trained,
        sampled=next(iter(sampled), None),
        improvement=improvement(untrained, trained) if untrained else None,
        step=last,
        scores=scores,
        expert=next((score for score in scores if score.who == EXPERT), None),
        return_range=config["return_range"],
        plots=[
            plot_url(run / PLOTS / "returns.png", plot_returns(rounds, records, scores, config), dpi=150),
            plot_url(run / PLOTS / "learning.png", plot_learning(records), dpi=150),
        ],
        clips=[_clip(run, video) for video in videos],
        imagined=_imagined(model) if model else [],
        check=check,
    )
    path = run / "report.html"
    write_text(path, page)
    write_text(run / SUMMARY, json.dumps(_summary(config, scores, last, check), indent=2))
    return path


def result_line(run: Path) -> str:
    """What came out of a run whose report is written, in one line."""
    summary = json.loads((run / SUMMARY).read_text())
    returns = [
        f"{who.replace('_', ' ')} {with_error(score['mean'], score['standard_error_over_episodes'])}"
        for who, score in summary["returns"].items()
    ]
    return (
        f"{summary['task']}, ground-truth return at step {summary['steps']}: {', '.join(returns)} "
        "(± standard error over episodes of one policy)"
    )


def _summary(config: dict[str, Any], scores: list[Score], step: int, check: dict[str, Any] | None) -> dict[str, Any]:
    """What report.json holds."""
    return {
        "sim": config["sim"],
        "task": config["task"],
        "steps": step,
        "returns": {
            score.who.replace(" ", "_"): {
                "mean": score.mean,
                "standard_error_over_episodes": score.error,
                "episodes": list(score.returns),
                "normalised": score.normalised(tuple(config["return_range"])),
            }
            for score in scores
        },
        "verdict": check["verdict"] if check else None,
        "seed": config["settings"]["policy_node"]["seed"],
        "settings": config["settings"],
        "video_model": config["video_model"],
        "versions": config["versions"],
    }


def plot_returns(
    rounds: dict[int, list[float]], records: list[dict[str, Any]], scores: list[Score], config: dict[str, Any]
) -> Figure:
    """The ground-truth return over environment steps, in evaluation and while collecting, with others' returns as
    lines."""
    figure = new_figure(8, 3.6)
    axes = figure.subplots()
    train = [(r["step"], r["train_return"]) for r in records if "train_return" in r]
    if train:
        axes.plot(*zip(*train, strict=True), ".", color="0.75", markersize=4, label="while collecting")
    means = [Score("", returns) for returns in rounds.values()]
    axes.errorbar(
        list(rounds),
        [s.mean for s in means],
        [s.error or 0.0 for s in means],
        marker="o",
        capsize=3,
        label="evaluation ± SE\nover episodes",
    )
    for number, other in enumerate(s for s in scores if s.who in (EXPERT, "random", "Task Oracle")):
        axes.axhline(other.mean, color=f"C{number + 1}", linestyle="--", linewidth=1, label=other.who)
    axes.set(xlabel="environment steps", ylabel="ground-truth return")
    axes.update_datalim([(0, limit) for limit in config["return_range"]], updatex=False)
    axes.autoscale_view()
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


def plot_learning(records: list[dict[str, Any]]) -> Figure:
    """What is learned from beside what it is for, and losses."""
    figure = new_figure(8, 3.2)
    left, right = figure.subplots(1, 2)
    episodes = [r for r in records if "train_return" in r]
    if episodes:
        reward, true = [r["train_reward"] for r in episodes], [r["train_return"] for r in episodes]
        points = left.scatter(reward, true, c=[r["step"] for r in episodes], s=10)
        figure.colorbar(points, ax=left, label="environment steps")
    left.set(xlabel="learned-from reward of an episode", ylabel="its ground-truth return")
    for loss in LOSSES:
        curve = [(r["step"], r[loss]) for r in episodes if loss in r]
        if curve:
            right.plot(*zip(*curve, strict=True), label=loss.replace("_", " "))
    right.set(xlabel="environment steps", yscale="log")
    right.yaxis.set_major_formatter(LogFormatter())  # The usual one writes formulas.
    right.yaxis.set_minor_formatter(LogFormatter())
    if right.lines:
        right.legend(frameon=False)
    return figure


def _sampled(records: list[dict[str, Any]], episodes: int) -> list[Score]:
    """The last of the episodes from which was learned, with actions sampled to explore; an evaluation takes the best
    known."""
    returns = [record["train_return"] for record in records if record.get("updates")]
    return [Score("policy with sampled actions", returns[-episodes:])] if returns else []


def _videos(config: dict[str, Any]) -> Dataset | None:
    """The videos of the task that were learned from, and those that judge the result, where they are still there."""
    if not config["data"]:
        return None  # A run on the simulator's own reward needs no videos.
    try:
        return load_dataset(Path(config["data"]), PAGE_IMAGE_SIZE, tasks=(config["task"],))
    except ModelError:
        return None


def _behaviours(data: Dataset | None) -> list[Score]:
    """What is in the videos, an episode each. Those that were cut count as if they had gone on as they ended."""
    longest = max((len(video.frames) for video in data.videos), default=0) if data else 0
    returns: dict[str, list[float]] = defaultdict(list)
    for video in data.videos if data else ():
        if video.task_reward is not None and video.behaviour in (EXPERT, "random"):
            returns[video.behaviour].append(episode_return(video.task_reward, longest))
    return [Score(who, values) for who, values in sorted(returns.items())]


def _oracle(run: Path, config: dict[str, Any], step: int) -> list[Score]:
    """The Task Oracle of the same agent on the same task, where it has been run beside this run under its usual name:
    in its last round of evaluation that is no later than `step`, once it has learned."""
    other = run.resolve().parent / f"{run_task(config)}_oracle"
    learned_from_videos = config["video_model"] or config.get("expert_videos")
    if not learned_from_videos or not (other / "metrics.jsonl").exists():
        return []
    try:
        its_config, rounds = read_config(other), evaluations(read_metrics(other))
    except (UserError, ModelError) as error:
        logger.warning("the Task Oracle is left out: %s", error)
        return []
    same = all(value_at(its_config, key) == value_at(config, key) for key in SAME_FOR_THE_ORACLE)
    reached = max((each for each in rounds if 0 < each <= step), default=None)
    if not same or reached is None:
        return []
    return [Score("Task Oracle", rounds[reached], reached if reached != step else None)]


@dataclass(frozen=True)
class ScoredVideo:
    title: str
    frames: np.ndarray
    """uint8 [time, size, size, 3], at the model's size."""
    scores: VideoScores
    reward: float
    """Mean of a frame: of a policy, what it was rewarded with."""


def plot_videos(videos: list[ScoredVideo], columns: int = 10) -> Figure:
    """Frames of each video, evenly spaced in time, above what surprised the model in them."""
    figure = new_figure(columns, 2.2 * len(videos))
    for row, part in zip(videos, figure.subfigures(len(videos), 1, squeeze=False)[:, 0], strict=True):
        part.suptitle(f"{row.title}: reward {row.reward:.2f} a frame", fontsize=11)
        shown = np.linspace(0, len(row.frames) - 1, columns).astype(int)
        for axes, index in zip(part.subplots(2, columns).T, shown, strict=True):
            axes[0].imshow(row.frames[index])
            axes[1].imshow(likelihood_map(row.scores.code_log_probs[index]), cmap="gray", vmin=0, vmax=255)
            for each in axes:
                each.set_axis_off()
    return figure


def _video_model(run: Path, config: dict[str, Any]) -> Path | None:
    """The folder of the video model that rewarded the run; None where there was none, it is gone, or another has taken
    its place."""
    if not config["video_model"] or not Path(config["video_model"]["path"]).is_dir():
        return None
    folder, had = Path(config["video_model"]["path"]), value_at(config, "video_model.sha256")
    there = model_hash(folder)
    if None not in (there, had) and there != had:
        logger.warning(
            "%s is not the video model that rewarded %s, which had other weights: the report says nothing by it",
            folder,
            run,
        )
        return None
    return folder


def _scored_videos(
    run: Path, folder: Path, last: int, data: Dataset | None, config: dict[str, Any]
) -> list[ScoredVideo]:
    """The policy before and after training, and an expert that the model was not trained on."""
    label, form = rewarded_task(config), _form(config)
    model, prepared = VideoModel.load(folder), VideoSettings.load(folder).of(label)

    def scored(title: str, frames: np.ndarray, rewards: np.ndarray | None) -> ScoredVideo:
        frames = resize(frames, model.image_size)
        scores = score_video(model, frames, label, form)
        return ScoredVideo(title, frames, scores, float((scores.reward if rewards is None else rewards)[1:].mean()))

    videos = []
    for title, number in (("before training", 0), ("after training", last)):
        path = run / EPISODES / f"evaluation_{number:08d}.npz"
        if path.exists():
            frames = read_recording(path).frames
            seen_otherwise = prepared.crop or prepared.mask is not None or frames.shape[1] < model.image_size
            shown = f"{title}, as the policy saw it" if seen_otherwise else title  # what was rewarded is not kept
            videos.append(scored(shown, frames, episode_rewards(path)))
    held_out: list[Video] = data.select(EXPERT, task=config["task"]) if data else []
    if held_out:
        videos.append(scored("expert, not trained on", held_out[0].frames, None))
    return videos


def _clip(run: Path, video: ScoredVideo) -> Clip:
    path = run / "videos" / f"{video.title.replace(' ', '_').replace(',', '')}.mp4"
    write_video(path, likelihood_map_video(video.frames, video.scores.code_log_probs), rate=15)
    return Clip(f"{video.title}: reward {video.reward:.2f} a frame", path)


def _check(model: Path, config: dict[str, Any]) -> dict[str, Any] | None:
    """What `viper check-reward` found of the task's reward, where it has been asked of the form that the run has."""
    if not (model / "check.json").exists():
        return None
    path, form, label = model / "check.json", _form(config), rewarded_task(config)
    checks = read_json(path, _are_checks, "`viper check-reward` writes it again")
    check: dict[str, Any] | None = checks["tasks"].get(label)
    if form == AUTO:
        calibration = read_calibration(model)
        if label not in calibration:
            raise UserError(f"{model} knows no task '{label}', by which {CONFIG} says that it rewarded this run")
        form = calibration[label].suited_form
    return check if check and check["form"] == form else None


def _are_checks(document: Any) -> bool:
    """Is all as `RewardCheck.to_dict` wrote it that the page shows?"""
    return all(map(_is_check, document["tasks"].values()))


def _is_check(check: Any) -> bool:
    texts = [check["form"], check["verdict"]["level"], *check["verdict"]["reasons"]]
    numbers = [check["episode_frames"], *(kind["episode_reward"] for kind in check["kinds"].values())]
    maybe = [check["return_correlation"], *(kind["best_hack"] for kind in check["kinds"].values())]
    numbers += [number for number in maybe if number is not None]
    return EXPERT in check["kinds"] and all(isinstance(text, str) for text in texts) and all(map(is_finite, numbers))


def _form(config: dict[str, Any]) -> str:
    """That of the reward that a video model gave a run. Raises UserError where its configuration doesn't tell it."""
    form: str | None = value_at(config, "settings.reward_node.likelihood")
    if form is None:
        raise UserError(
            f"the run's {CONFIG} is damaged: settings.reward_node.likelihood is missing beside a video model"
        )
    return form


def _imagined(model: Path) -> list[Clip]:
    return [Clip(path.stem.replace("_", " "), path) for path in sorted((model / "videos").glob("*.mp4"))]
