"""Is a model a usable reward? Rules from what was measured on held-out videos to a plain answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

USABLE = "usable"
WARNING = "usable with a warning"
NOT_USABLE = "not usable"
LEVELS = (USABLE, WARNING, NOT_USABLE)
"""From best to worst."""

GOOD_AUC = 0.95
"""What a usable reward reaches against videos that are wrong all along."""
POOR_AUC = 0.75
"""Below it a policy would be led astray."""
AIMLESS_AUC = 0.6
"""Videos run backwards that are told from experts' by less than this are as likely as those."""
GOOD_CORRELATION, POOR_CORRELATION = 0.5, 0.0
"""Of videos' likelihoods with their ground-truth returns."""
ENOUGH_VIDEOS = 4
"""Held-out expert videos; fewer make a coarse judge."""
GOOD_REWARD = 0.5
"""Of the median frame of expert videos; of those that the reward was calibrated on it is 1, of shuffled ones 0."""


@dataclass(frozen=True)
class Verdict:
    level: str
    """One of LEVELS."""
    reasons: tuple[str, ...]
    """Sentences, the weightiest first; none where it is usable."""

    @property
    def text(self) -> str:
        """One or two sentences."""
        return f"{self.level.capitalize()}. {self.reasons[0]}" if self.reasons else f"{self.level.capitalize()}."


def judge(
    *,
    videos: int,
    expert_reward: float,
    video_auc: Mapping[str, float],
    clip_auc: Mapping[str, float],
    return_correlation: float | None,
) -> Verdict:
    """A verdict on one task's reward.

    videos: held-out expert videos. expert_reward: their median calibrated reward. video_auc, clip_auc: by kind, see
    `check.KindCheck`; `frozen_start`, `reversed` and `shuffled` are needed, `random` and `other_task` count where they
    are. return_correlation: None where unknown.

    Standing still and running backwards are judged by whole videos, as what they earn differs from the expert's in sum,
    not at each time step: an expert that balances is rightly still. What is wrong all along is judged by clips.
    """
    found = (
        _calibration(expert_reward),
        _standing_still(video_auc["frozen_start"]),
        _wrong("Random behaviour", clip_auc.get("random")),
        _wrong("Videos with their frames in any order", clip_auc["shuffled"]),
        _returns(return_correlation),
        _other_tasks(clip_auc.get("other_task")),
        _backwards(video_auc["reversed"]),
        _few(videos),
    )
    findings = sorted(filter(None, found), key=lambda finding: -LEVELS.index(finding[0]))  # the order is kept otherwise
    return Verdict(findings[0][0] if findings else USABLE, tuple(reason for _, reason in findings))


Finding = tuple[str, str]
"""A level and the reason for it."""


def _standing_still(auc: float) -> Finding | None:
    pairs = f"a still picture of the start is likelier than an expert's video in {_percent(1 - auc)} of pairs."
    if auc < 0.5:
        return NOT_USABLE, f"Standing still would win, wherever the robot can stand still at its start: {pairs}"
    if auc < GOOD_AUC:
        return WARNING, f"Standing still is a rival: {pairs}"
    return None


def _wrong(what: str, auc: float | None) -> Finding | None:
    if auc is None or auc >= GOOD_AUC:
        return None
    level = NOT_USABLE if auc < POOR_AUC else WARNING
    return level, f"{what} can pass for the expert's: likelier in {_percent(1 - auc)} of pairs of clips."


def _returns(correlation: float | None) -> Finding | None:
    if correlation is None or correlation >= GOOD_CORRELATION:
        return None
    level = NOT_USABLE if correlation < POOR_CORRELATION else WARNING
    return (
        level,
        f"Likelier videos are hardly better ones: their rank correlation with the ground-truth return is "
        f"{correlation:.2f}.",
    )


def _calibration(expert_reward: float) -> Finding | None:
    if expert_reward >= GOOD_REWARD:
        return None
    level = NOT_USABLE if expert_reward < 0 else WARNING
    return level, (
        f"The median frame of these experts earns {expert_reward:.2f}, not the 1 that the reward was calibrated to: "
        "were they recorded or prepared otherwise?"
    )


def _other_tasks(auc: float | None) -> Finding | None:
    if auc is None or auc >= POOR_AUC:
        return None
    return (
        WARNING,
        f"Experts at other tasks can pass for experts at this one: likelier in {_percent(1 - auc)} of pairs of clips.",
    )


def _backwards(auc: float) -> Finding | None:
    if auc >= AIMLESS_AUC:
        return None
    return WARNING, (
        f"Videos run backwards are as likely (in {_percent(1 - auc)} of pairs likelier): right only where a motion has "
        "no direction, as in balancing."
    )


def _few(videos: int) -> Finding | None:
    if videos >= ENOUGH_VIDEOS:
        return None
    return (
        WARNING,
        f"Only {videos} expert video{'s' if videos > 1 else ''} held out: these numbers are coarse, record more.",
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"
