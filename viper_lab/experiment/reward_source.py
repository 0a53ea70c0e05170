"""Where the reward that a policy learns from comes from."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from typing import ClassVar

from viper_lab.errors import UserError


class RewardSource(ABC):
    name: ClassVar[str]
    description: ClassVar[str]
    learns_from_videos: ClassVar[bool]
    """Whether a video model, and a reward node with it, has to be there."""

    @abstractmethod
    def of_time_step(self, task_reward: float) -> float | None:
        """The reward of a time step that has just been seen; None where it is still to be scored.

        task_reward: the simulator's own, NaN where nobody knows it.
        """

    @abstractmethod
    def of_score(self, reward: float) -> float | None:
        """The reward of a time step whose frame the reward node has scored; None where that doesn't count."""


class ViperReward(RewardSource):
    name = "viper"
    description = "learn from the likelihood of what is seen under the video model"
    learns_from_videos = True

    def of_time_step(self, task_reward: float) -> float | None:
        return None

    def of_score(self, reward: float) -> float | None:
        return reward


class TaskReward(RewardSource):
    name = "task"
    description = "from the simulator's own reward (the Task Oracle)"
    learns_from_videos = False

    def of_time_step(self, task_reward: float) -> float | None:
        return task_reward

    def of_score(self, reward: float) -> float | None:
        return None


REWARD_SOURCES: dict[str, type[RewardSource]] = {source.name: source for source in (ViperReward, TaskReward)}


def reward_source(name: str) -> RewardSource:
    """Raises UserError where there is none of that name."""
    if name not in REWARD_SOURCES:
        near = difflib.get_close_matches(name, REWARD_SOURCES, cutoff=0.4) or REWARD_SOURCES
        raise UserError(f"no reward '{name}': did you mean {' or '.join(near)}?")
    return REWARD_SOURCES[name]()
