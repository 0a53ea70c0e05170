"""Reading a run's directory: its configuration, metrics and kept episodes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from viper_lab.errors import UserError
from viper_model.files import UNREADABLE_ARRAYS
from viper_model.metrics import METRICS, read_records
from viper_model.videos.dataset import Recording, read_recording
from viper_model.videos.preparation import resize
from viper_model.yaml_files import YamlError, read_yaml

CONFIG, EPISODES = "config.yaml", "episodes"
VERSION = 2
"""Version of the format of config.yaml."""
BEST_REWARDED = 3
"""Episodes."""


def read_config(run: Path) -> dict[str, Any]:
    """The configuration that the run was started with, see `provenance.run_config`.

    Raises UserError where there is none that can be read, it is of another version, or something in it is not what
    `run_config` writes, of what is read of a run.
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
    for key in ("data", "video_model"):
        if key not in config:
            raise UserError(f"{path} is damaged: {key} is missing; mend it, or train again")
    for key, (is_right, kind) in _KINDS.items():
        if not is_right(value_at(config, key)):
            raise UserError(f"{path} is damaged: {key} must be {kind}; mend it, or train again")
    return config


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """The records of a run's metrics.jsonl, in order: numbers by name.

    The ground-truth returns among them are finite, and each of an evaluation is with its `round`.
    Raises UserError where there are none, UserError or ModelError where one is damaged.
    """
    path = run / METRICS
    try:
        records = read_records(path)
    except OSError as error:
        raise UserError(f"no run in {run}: {path.name} is missing") from error
    if not records:
        raise UserError(f"nothing has happened yet in {run}")
    for number, record in enumerate(records, 1):
        if why := _what_is_wrong(record):
            raise UserError(f"{path}, line {number}, is damaged: {why}; mend it, or remove it and its numbers are lost")
    return records


def read_json(path: Path, is_right: Callable[[Any], bool], remedy: str) -> Any:
    """What a JSON file of ours holds. Raises UserError, with the remedy, where it can't be read or isn't right.

    is_right: may raise what looking into a document of another form raises.
    """
    try:
        document = json.loads(path.read_bytes())
        if is_right(document):
            return document
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        pass
    raise UserError(f"{path} can't be read: {remedy}")


def is_finite(value: Any) -> bool:
    """Is this a number, neither NaN nor more than a float can be?"""
    return _is_number(value) and abs(value) <= sys.float_info.max


def value_at(config: Mapping[str, Any], dotted: str) -> Any:
    """The value of a key such as `settings.policy_node.seed`; None where there is none."""
    value: Any = config
    for key in dotted.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _what_is_wrong(record: Mapping[str, Any]) -> str:
    """With a record of a run's metrics, in words; empty where nothing is."""
    for name, value in record.items():
        is_right, kind = _RECORD_KINDS.get(name, (_is_number, "a number"))
        if not is_right(value):
            return f"{name} must be {kind}"
    for name, beside in {"evaluation_return": "round", "train_return": "train_reward"}.items():
        if name in record and beside not in record:
            return f"{beside} is missing"
    return ""


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_text_or_none(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_whole(value: Any) -> bool:
    return type(value) is int


def _is_range(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(is_finite, value)) and value[0] < value[1]


def _is_model(value: Any) -> bool:
    return value is None or _is_text(value_at(value, "path"))


def _is_comparison(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and isinstance(value.get("tasks"), list))


def _are_sections(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(section, dict) for section in value.values())


_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "sim": (_is_text, "text"),
    "task": (_is_text, "text"),
    "return_range": (_is_range, "two finite numbers, the lower one first"),
    "data": (_is_text_or_none, "a folder, or null"),
    "video_model": (_is_model, "a mapping with the model's path, or null"),
    "expert_videos": (_is_comparison, "a mapping with a list of tasks, or null"),
    "settings": (_are_sections, "a mapping of sections to their settings"),
    "settings.policy_node.agent": (_is_text, "text"),
    "settings.policy_node.seed": (_is_whole, "a whole number"),
    "settings.policy_node.steps": (_is_whole, "a whole number"),
    "settings.sim_node.arm": (_is_text_or_none, "text"),
    "settings.sim_node.task": (_is_text_or_none, "text"),
    "settings.reward_node.likelihood": (_is_text_or_none, "text"),
    "settings.reward_node.reward_task": (_is_text_or_none, "text"),
    "versions": (lambda value: isinstance(value, dict), "a mapping of packages to their versions"),
}
"""By key of config.yaml: what its value must be, and how to say so."""
_RECORD_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "round": (_is_whole, "a whole number"),
    "evaluation_return": (is_finite, "a finite number"),
    "train_return": (is_finite, "a finite number"),
}
"""The same by name in a record of metrics.jsonl, for all that is more than a number."""


def arm_and_task(arm: str, task: str) -> str:
    """What to call a task where those of several arms are told apart; `arm` is empty where there is one robot only."""
    return f"{arm}_{task}" if arm else task


def run_task(config: dict[str, Any]) -> str:
    """What to call a run's task, see `arm_and_task`, for the run's configuration."""
    arm, task = (value_at(config, f"settings.sim_node.{key}") for key in ("arm", "task"))
    return arm_and_task(arm or "", task or config["task"])


def rewarded_task(config: dict[str, Any]) -> str:
    """The label under which the reward node scored a run's frames, for the run's configuration."""
    return value_at(config, "settings.reward_node.reward_task") or config["task"]


def best_rewarded_videos(run: Path, image_size: int) -> list[Recording]:
    """Those of a run's kept episodes whose reward is highest, as a model of `image_size` sees them.

    Raises UserError where the run has kept none, or smaller ones, and UserError or ModelError where one can't be read.
    """
    files = sorted((run / EPISODES).glob("*.npz"), key=_episode_reward)[-BEST_REWARDED:]
    if not files:
        raise UserError(f"{run} has kept no episodes: nothing has been evaluated yet")
    recordings = [read_recording(path) for path in files]
    if (seen := min(each.frames.shape[1] for each in recordings)) < image_size:
        raise UserError(
            f"{run} has kept pictures of {seen} pixels a side, and the model looks at {image_size}: "
            "what its reward was can't be told from them"
        )
    return [Recording(resize(each.frames, image_size), each.task_reward) for each in recordings]


def episode_rewards(path: Path) -> np.ndarray:
    """What a kept episode's frames were rewarded with, float32 [time]. Raises UserError where it can't be read."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            rewards: np.ndarray = arrays["reward"]
    except UNREADABLE_ARRAYS as error:
        raise UserError(f"{path} can't be read as an episode: {error}") from error
    if rewards.ndim != 1 or rewards.dtype.kind != "f" or not np.isfinite(rewards).all():
        raise UserError(f"{path} can't be read as an episode: its rewards are no row of finite numbers")
    return rewards


def _episode_reward(path: Path) -> float:
    return float(episode_rewards(path)[1:].sum())
