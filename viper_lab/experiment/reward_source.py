"""Where the reward that a policy learns from comes from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from viper_lab.errors import UserError, did_you_mean
from viper_model.agents.amp import WINDOW, AdversarialMotionPrior
from viper_model.agents.base import LearnedReward

if TYPE_CHECKING:
    from viper_lab.experiment.trainer import ReplayStep

Compared = Literal["nothing", "task", "all_tasks"]


class RewardSource(ABC):
    name: ClassVar[str]
    description: ClassVar[str]
    run_suffix: ClassVar[str]
    """What the usual name of a run ends with, after its task."""
    has_video_model: ClassVar[bool] = False
    """Whether a video model, and a reward node with it, has to be there."""
    compares_with: ClassVar[Compared] = "nothing"
    """Of which tasks the policy node itself needs expert videos."""
    needs_task_reward: ClassVar[bool] = False
    learned: LearnedReward | None = None
    """What is learned of the reward beside the agent, by which all that is replayed is rewarded anew."""

    @abstractmethod
    def of_time_step(self, environment: str, time_step: ReplayStep) -> float | None:
        """The reward of the next time step of an environment; None where it is still to be scored."""

    def of_score(self, reward: float) -> float | None:
        """The reward of a time step whose frame the reward node has scored; None where that doesn't count."""
        return None


class ViperReward(RewardSource):
    name = "viper"
    description = "learn from the likelihood of what is seen under the video model"
    run_suffix = ""
    has_video_model = True

    def of_time_step(self, environment: str, time_step: ReplayStep) -> float | None:
        return None

    def of_score(self, reward: float) -> float | None:
        return reward


class TaskReward(RewardSource):
    name = "task"
    description = "from the simulator's own reward (the Task Oracle)"
    run_suffix = "_oracle"
    needs_task_reward = True

    def of_time_step(self, environment: str, time_step: ReplayStep) -> float | None:
        return time_step.task_reward


class AmpReward(RewardSource):
    """What a time step is stored with is the reward that it had when it was lived through."""

    name = "amp"
    description = (
        "from a discriminator that is trained beside the agent, to tell expert videos of the task from what the agent "
        "sees (Adversarial Motion Priors); no video model"
    )
    run_suffix = "_amp"
    compares_with: ClassVar[Compared] = "task"

    def __init__(self, prior: AdversarialMotionPrior) -> None:
        self.learned: AdversarialMotionPrior = prior
        self._frames: dict[str, deque[np.ndarray]] = {}
        """By environment, the last WINDOW of its episode: uint8 [side, side, 3] each."""

    def of_time_step(self, environment: str, time_step: ReplayStep) -> float | None:
        if time_step.is_first:
            self._frames[environment] = deque([time_step.image] * WINDOW, WINDOW)
        else:
            self._frames[environment].append(time_step.image)
        return float(self.learned.reward(np.stack(self._frames[environment])[None])[0])


class AmpMultiTaskReward(AmpReward):
    name = "amp_multi_task"
    description = "the same with expert videos of all tasks that are there"
    run_suffix = "_amp_multi_task"
    compares_with = "all_tasks"


REWARD_SOURCES: dict[str, type[RewardSource]] = {
    source.name: source for source in (ViperReward, TaskReward, AmpReward, AmpMultiTaskReward)
}


def reward_source(name: str) -> type[RewardSource]:
    """Raises UserError where there is none of that name."""
    if name not in REWARD_SOURCES:
        raise UserError(f"no reward '{name}': {did_you_mean(name, REWARD_SOURCES)}")
    return REWARD_SOURCES[name]


def make_reward_source(
    name: str, videos: Sequence[np.ndarray], agent_size: str, image_size: int, seed: int, device: str
) -> RewardSource:
    """The reward of that name.

    videos: experts', uint8 [time, image_size, image_size, 3] each, where it compares with any. agent_size: the name of
    the agent's. Raises UserError where there is no such reward, ModelError where it can't compare with such videos.
    """
    source = reward_source(name)
    if issubclass(source, AmpReward):
        return source(AdversarialMotionPrior(videos, agent_size, image_size, seed=seed, device=device))
    return source()
