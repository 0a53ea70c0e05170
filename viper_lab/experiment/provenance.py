"""What exactly made a run: its config.yaml."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sim import Description
from viper_lab.errors import UserError
from viper_lab.results.run_files import VERSION, value_at
from viper_model.reward.likelihood import Calibration
from viper_model.video_model.folder import model_hash

PACKAGES = ("torch", "numpy", "mujoco", "dm_control", "robosuite", "ale-py", "rclpy")
"""Those that are installed are told with their versions."""

IDENTITY = (
    "sim",
    "task",
    "video_model.sha256",
    "video_model.reward_version",
    "expert_videos.sha256",
    *(
        f"settings.sim_node.{name}"
        for name in ("sim", "task", "arm", "camera", "options", "image_size", "action_repeat", "seed")
    ),
    *(f"settings.reward_node.{name}" for name in ("likelihood", "reward_task")),
    *(
        f"settings.policy_node.{name}"
        for name in (
            "environments",
            "reward",
            "agent",
            "size",
            "image_size",
            "exploration_weight",
            "prefill",
            "batch_size",
            "batch_length",
            "replay_ratio",
            "seed",
        )
    ),
)
"""What makes a run the same: it goes on only with these as they were. All else may change: how long it goes on, how
often it is evaluated and saved, where its nodes run."""


def experiment_text(settings: Mapping[str, Mapping[str, Any]], data: Path | None, reward_model: Path | None) -> str:
    """What a policy node is told of the rest of its experiment, by its parameter `experiment`.

    settings: of the other nodes and of what was prepared, by section. data: the videos' folder; None where no videos
    are learned from. reward_model: the video model's folder; None where there is none.
    """
    return json.dumps(
        {
            "settings": settings,
            "data": None if data is None else str(data.resolve()),
            "reward_model": None if reward_model is None else str(reward_model.resolve()),
        }
    )


def run_config(
    description: Description,
    policy: Mapping[str, Any],
    experiment: str,
    expert_videos: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """All that made a run, for its config.yaml.

    description: of the environment. policy: the policy node's own settings, all of them. experiment: see
    `experiment_text`; empty for a node that was started by itself. expert_videos: what the policy node compares with,
    see `ExpertVideos.document`. Raises UserError where `experiment` is no such text.
    """
    try:
        rest = json.loads(experiment) if experiment else {}
        settings = {**rest.get("settings", {}), "policy_node": dict(policy)}
        data, reward_model = rest.get("data"), rest.get("reward_model")
    except (AttributeError, TypeError, ValueError) as error:
        raise UserError(f"the parameter 'experiment' can't be read: {error}") from error
    return {
        "version": VERSION,
        "sim": description.sim,
        "task": description.task,
        "return_range": list(description.return_range),
        "data": data,
        "video_model": of_video_model(Path(reward_model)) if reward_model else None,
        "expert_videos": None if expert_videos is None else dict(expert_videos),
        "settings": settings,
        "versions": versions(),
    }


def of_video_model(folder: Path) -> dict[str, Any]:
    """What a run's config.yaml has of the video model that rewards it."""
    return {"path": str(folder), "sha256": model_hash(folder), "reward_version": Calibration.REWARD_VERSION}


def difference(before: Mapping[str, Any], now: Mapping[str, Any], keys: Iterable[str] = IDENTITY) -> str:
    """What makes two runs different, in words; empty where nothing does.

    before, now: all that made them, see `run_config`. keys: of IDENTITY, those that are compared.
    """
    for key in keys:
        was, is_now = value_at(before, key), value_at(now, key)
        if was != is_now:
            return f"{key.removeprefix('settings.')} {was!r}, not {is_now!r}"
    return ""


def versions() -> dict[str, str]:
    """Of Python and the packages that a result may depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
