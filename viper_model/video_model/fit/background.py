"""What the background of a likelihood ratio is learned from."""

from __future__ import annotations

import logging
from typing import Literal, get_args

from viper_model.errors import ModelError
from viper_model.videos.dataset import Dataset
from viper_model.videos.find import BACKGROUND

logger = logging.getLogger(__name__)

Background = Literal["auto", "recorded", "recorded_and_stills", "recorded_and_approaches", "made", "none"]
"""What the background's code model learns from.

recorded: videos of the behaviour `background`, and single frames of them held. recorded_and_stills: frames of experts'
videos are held as well; right where a robot can stand still anywhere on its way, as an arm can and a pole can't.
recorded_and_approaches: half of the clips are of experts before they come to rest: only what they rest at is then the
task. made: experts' videos, frozen, reversed and shuffled. auto: recorded_and_stills where there are background videos
of every task, else made.
"""
RECORDED: tuple[Background, ...] = ("recorded", "recorded_and_stills", "recorded_and_approaches")
BACKGROUNDS: tuple[Background, ...] = get_args(Background)


def resolve_background(background: str, dataset: Dataset) -> Background:
    """What `auto` stands for. Raises ModelError for another name, and where what is to be used isn't there."""
    source = next((each for each in BACKGROUNDS if each == background), None)
    if source is None:
        raise ModelError(f"unknown background '{background}': choose one of {', '.join(BACKGROUNDS)}")
    missing = [task for task in dataset.tasks if not dataset.select(BACKGROUND, task=task, held_out=False)]
    if source == "auto":
        if missing and any(video.behaviour == BACKGROUND for video in dataset.videos):
            logger.warning(
                "the %s videos are not used: of %s there is none to train on, and every task needs two at least",
                BACKGROUND,
                ", ".join(missing),
            )
        return "made" if missing else "recorded_and_stills"
    if source in RECORDED and missing:
        raise ModelError(
            f"there are no {BACKGROUND} videos of {', '.join(missing)} to train on: record two or more into "
            f"<task>/{BACKGROUND}, or choose the background made"
        )
    return source
