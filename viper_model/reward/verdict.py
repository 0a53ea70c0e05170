"""Is a model a usable reward? Rules from what was measured on held-out videos to a plain answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

USABLE = "usable"
WARNING = "usable with a warning"
NOT_USABLE = "not usable"
LEVELS = (USABLE, WARNING, NOT_USABLE)
"""From best to worst."""

HACK, SUSPECT = 0.5, 0.25
"""Shares of what an expert's episode earns: what earns more by another way than the task is a hack, or worth a
warning."""
GOOD_AUC = 0.95
"""What a usable reward reaches against videos that are wrong all along."""
POOR_AUC = 0.75
"""Below it a policy would be led astray."""
AIMLESS_AUC = 0.6
"""Videos run backwards that are told from experts' by less than this are as likely as those."""
GOOD_CORRELATION, POOR_CORRELATION = 0.5, 0.0
"""Of videos' rewards with their ground-truth returns."""
NOT_THE_TASK = ("random", "parked", "stopped", "background")
"""Behaviours by which a reward is tried that experts' videos alone can't show."""
ENOUGH_VIDEOS = 4
"""Held-out expert videos; fewer make a coarse judge."""


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
    expert: float,
    hacks: Mapping[str, float],
    clip_auc: Mapping[str, float],
    return_correlation: float | None,
) -> Verdict:
    """A verdict on one task's reward.

    videos: held-out expert videos. expert: the reward of an expert's episode. hacks: by kind, the highest reward of an
    episode that isn't the task, of the same length. clip_auc: by kind, see `check.KindCheck`; `reversed` is needed,
    `random` and `other_task` count where they are. Where there is none of NOT_THE_TASK, that is worth a warning.
    return_correlation: None where unknown.
    """
    found = (
        _nothing_earned(expert),
        *(_hack(kind, reward, expert) for kind, reward in sorted(hacks.items(), key=lambda item: -item[1])),
        _wrong("Random behaviour", clip_auc.get("random")),
        _returns(return_correlation),
        _other_tasks(clip_auc.get("other_task")),
        _backwards(clip_auc["reversed"]),
        _untried(clip_auc),
        _few(videos),
    )
    findings = sorted(filter(None, found), key=lambda finding: -LEVELS.index(finding[0]))  # the order is kept otherwise
    return Verdict(findings[0][0] if findings else USABLE, tuple(reason for _, reason in findings))


Finding = tuple[str, str]
"""A level and the reason for it."""

_HACK_NAMES = {
    "frozen": "Standing still somewhere",
    "parked": "Pushing an actuator to its end, or doing nothing,",
    "stopped": "Doing the task halfway and stopping",
    "random": "Random behaviour",
    "background": "Behaviour that is not the task",
    "other_task": "Another task",
    "policy": "What the policy of the run does",
}


def _nothing_earned(expert: float) -> Finding | None:
    if expert > 0:
        return None
    return NOT_USABLE, f"Experts themselves earn {expert:.0f} an episode: doing anything else may be better."


def _hack(kind: str, reward: float, expert: float) -> Finding | None:
    if expert <= 0 or reward < SUSPECT * expert:
        return None
    earns = f"{_HACK_NAMES.get(kind, kind)} earns {_percent(reward / expert)} of what an expert earns"
    if kind == "other_task":
        return WARNING, f"{earns}: a policy can do that only where both tasks are in one scene."
    return NOT_USABLE if reward > HACK * expert else WARNING, f"{earns}."


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
        f"Higher rewards are hardly better episodes: their rank correlation with the ground-truth return is "
        f"{correlation:.2f}.",
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


def _untried(kinds: Collection[str]) -> Finding | None:
    if not set(NOT_THE_TASK).isdisjoint(kinds):
        return None
    return WARNING, (
        "Nothing was tried against it but what can be made of experts' videos: record what is not the task as well, "
        f"into {', '.join(f'{kind}/' for kind in NOT_THE_TASK)}."
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
