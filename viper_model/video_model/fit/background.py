"""What the background of a likelihood ratio is learned from."""

from __future__ import annotations

from typing import Literal, get_args

from viper_model.errors import ModelError
from viper_model.videos.dataset import Dataset
from viper_model.videos.find import BACKGROUND

Background = Literal["auto", "recorded", "made", "none"]
"""What the background's code model learns from. recorded: videos of the behaviour `background`. made: experts' videos,
frozen, reversed and shuffled. auto: recorded where there are such videos of every task, else made."""
BACKGROUNDS: tuple[Background, ...] = get_args(Background)


def resolve_background(background: str, dataset: Dataset) -> Background:
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
