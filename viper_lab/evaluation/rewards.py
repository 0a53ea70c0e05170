"""The rewards that a benchmark compares, by the names that suites and result tables use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ComparedReward:
    """One reward of the comparison: the choices of `make_plan` that make it."""

    title: str
    reward: str
    """A name in `REWARD_SOURCES`."""
    likelihood: str | None = None
    """The form of the likelihood; None for a reward that is none."""
    needs_all_tasks: bool = False
    """Learns from the videos of all tasks, not of the run's task alone."""

    def made(self, settings: Mapping[str, Mapping[str, Any]]) -> bool:
        """Do a run's settings, by section, choose this reward?"""
        if settings["policy_node"].get("reward") != self.reward:
            return False
        return self.likelihood in (None, settings.get("reward_node", {}).get("likelihood"))


REWARDS = {
    "viper_conditional": ComparedReward("VIPER, conditional likelihood", "viper", "conditional"),
    "viper_ratio": ComparedReward("VIPER, likelihood ratio", "viper", "ratio"),
    "amp": ComparedReward("AMP, videos of the task", "amp"),
    "amp_multi_task": ComparedReward("AMP, videos of all tasks", "amp_multi_task", needs_all_tasks=True),
    "task": ComparedReward("Task Oracle", "task"),
}
"""`viper_conditional` is the paper's formula, `task` the simulator's own reward."""


def reward_name(settings: Mapping[str, Mapping[str, Any]]) -> str:
    """The name in `REWARDS` of what a run learned from, or else of its reward source.

    settings: the run's, by section.
    """
    source = str(settings["policy_node"].get("reward"))
    return next((name for name, reward in REWARDS.items() if reward.made(settings)), source)


def title(name: str) -> str:
    """What a reader is told of a reward: its title, or its name where it has none."""
    return REWARDS[name].title if name in REWARDS else name
