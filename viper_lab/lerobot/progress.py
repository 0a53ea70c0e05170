"""A dataset's progress under a video model, as LeRobot's reward models write it.

The file is what `lerobot.rewards` of LeRobot 0.6 calls progress: Parquet with a row a frame and the columns `index`,
`episode_index` and `frame_index` (int64) and `progress_sparse` (float32). Its weights for behaviour cloning
(`sample_weighting`, RA-BC) compare the progress of two frames of an episode.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet

from viper_lab.errors import UserError
from viper_model.files import replacing
from viper_model.reward.scorer import score_video
from viper_model.video_model.video_model import VideoModel
from viper_model.videos import lerobot
from viper_model.videos.find import read, sources_at
from viper_model.videos.lerobot import LeRobotVideo
from viper_model.videos.settings import VideoSettings

FILE = "viper_progress.parquet"


def write_progress(dataset: Path, model_folder: Path, *, task: str | None = None, form: str = "auto") -> Path:
    """Write the progress of every frame of a LeRobot dataset into its folder, and return the file.

    Progress is the sum of the rewards up to a frame, from each episode's beginning, scaled for the whole dataset to 0
    to 1, so that differences compare across episodes. task: that the episodes show; what the dataset calls it where
    None. form: see `scorer.chosen_form`. Raises ModelError or UserError where the model, an episode or the folder is
    not as it has to be.
    """
    if not lerobot.holds(dataset):
        raise UserError(f"{dataset} is no LeRobot dataset: it has no {lerobot.INFO}")
    model = VideoModel.load(model_folder)
    settings = VideoSettings.of_video(dataset, model_folder)
    episodes = _episodes(dataset, settings.camera)
    sums = [_reward_sum(model, settings, video, task or str(video.task), form) for video in episodes]
    lengths = [video.frames for video in episodes]
    lowest, highest = min(map(np.min, sums)), max(map(np.max, sums))
    table = pyarrow.table(
        {
            "index": np.arange(sum(lengths)),
            "episode_index": np.repeat([video.episode for video in episodes], lengths),
            "frame_index": np.concatenate([np.arange(length) for length in lengths]),
            "progress_sparse": ((np.concatenate(sums) - lowest) / max(highest - lowest, 1e-9)).astype(np.float32),
        }
    ).replace_schema_metadata({"reward_model_path": str(model_folder)})
    with replacing(dataset / FILE) as part:
        pyarrow.parquet.write_table(table, part)
    return dataset / FILE


def _episodes(dataset: Path, camera: str | None) -> Sequence[LeRobotVideo]:
    """In their order. Raises UserError where an episode can't have rows of its own."""
    episodes = [video for video in sources_at(dataset, camera) if isinstance(video, LeRobotVideo)]
    episodes.sort(key=lambda video: video.episode)
    meta = dataset / "meta"
    for episode in episodes:
        if episode.frames < 1:
            raise UserError(f"{meta} says that episode {episode.episode} has {episode.frames} frames: leave it out")
    for episode, following in pairwise(episodes):
        if episode.episode == following.episode:
            raise UserError(f"{meta} has two episodes with episode_index {episode.episode}: number them anew")
    return episodes


def _reward_sum(model: VideoModel, settings: VideoSettings, video: LeRobotVideo, task: str, form: str) -> np.ndarray:
    """The sum of the rewards up to each recorded frame, float64 [frames]."""
    chunks = list(settings.of(task).video(read(video), model.image_size))
    frames = np.concatenate([chunk.frames for chunk in chunks])
    seconds = np.concatenate([chunk.seconds for chunk in chunks if chunk.seconds is not None])
    reward = score_video(model, frames, task, form).reward
    # Frames that the model's rate leaves out lie between those that it sees.
    return np.interp(np.arange(video.frames) / video.rate, seconds, np.cumsum(reward, dtype=np.float64))
