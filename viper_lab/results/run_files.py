"""Reading a run's directory: its configuration, metrics and kept episodes."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from viper_lab.errors import UserError
from viper_model.metrics import METRICS
from viper_model.videos.dataset import Recording, read_recording
from viper_model.videos.preparation import resize
from viper_model.yaml_files import YamlError, read_yaml

CONFIG, EPISODES = "config.yaml", "episodes"
VERSION = 2
"""Version of the format of config.yaml."""
BEST_REWARDED = 3
"""Episodes."""


def read_config(run: Path) -> dict[str, Any]:
    """The configuration that the run was started with, see `experiment.run_directory`.

    Raises UserError where there is none that can be read, or it is of another version.
    """
    path = run / CONFIG
    try:
        config = read_yaml(path)
    except OSError as error:
        raise UserError(f"no run in {run}: its {CONFIG} can't be read") from error
    except YamlError as error:
        raise UserError(f"no run in {run}: its {CONFIG} can't be read: {error}") from error
    if not isinstance(config, dict) or "sim" not in config:
        raise UserError(f"no run in {run}: its {CONFIG} says nothing of one")
    if config.get("version") != VERSION:
        raise UserError(f"{path} is of another version of viper_ros: train again, or read it with the one that made it")
    return config


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """The records of a run's metrics.jsonl, in order. Raises UserError where there are none."""
    path = run / METRICS
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise UserError(f"no run in {run}: {path.name} is missing") from error
    records = []
    for line in lines:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue  # The half line of a process that is writing or was killed.
    if not records:
        raise UserError(f"nothing has happened yet in {run}")
    return records


def arm_and_task(arm: str, task: str) -> str:
    """What to call a task where those of several arms are told apart; `arm` is empty where there is one robot only."""
    return f"{arm}_{task}" if arm else task


def run_task(config: dict[str, Any]) -> str:
    """What to call a run's task, see `arm_and_task`, for the run's configuration."""
    environment = config["settings"].get("sim_node", {})
    return arm_and_task(environment.get("arm", ""), environment.get("task", config["task"]))


def rewarded_task(config: dict[str, Any]) -> str:
    """The label under which the reward node scored a run's frames, for the run's configuration."""
    return config["settings"].get("reward_node", {}).get("reward_task") or config["task"]


def best_rewarded_videos(run: Path, image_size: int) -> list[Recording]:
    """Those of a run's kept episodes whose reward is highest, as a model of `image_size` sees them.

    Raises UserError where the run has kept none, UserError or ModelError where one can't be read.
    """
    files = sorted((run / EPISODES).glob("*.npz"), key=_episode_reward)[-BEST_REWARDED:]
    if not files:
        raise UserError(f"{run} has kept no episodes: nothing has been evaluated yet")
    recordings = [read_recording(path) for path in files]
    return [Recording(resize(each.frames, image_size), each.task_reward) for each in recordings]


def _episode_reward(path: Path) -> float:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return float(arrays["reward"][1:].sum())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} can't be read as an episode: {error}") from error
