from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viper_model.reward.verdict import LEVELS, NOT_USABLE, USABLE, WARNING, judge


def measured(**changes: Any) -> dict[str, Any]:
    """What a perfect model measures, but for `changes`; of the AUCs they change some kinds only."""
    perfect: dict[str, Any] = {
        "videos": 8,
        "expert_reward": 1.0,
        "video_auc": dict.fromkeys(("frozen_start", "reversed", "shuffled", "random", "other_task"), 1.0),
        "clip_auc": dict.fromkeys(("frozen_start", "reversed", "shuffled", "random", "other_task"), 1.0),
        "return_correlation": 0.9,
    }
    return {
        name: {**value, **changes[name]} if isinstance(value, dict) and name in changes else changes.get(name, value)
        for name, value in perfect.items()
    }


@pytest.mark.parametrize(
    ("changes", "level", "word"),
    [
        ({}, USABLE, ""),
        ({"return_correlation": None}, USABLE, ""),
        ({"video_auc": {"frozen_start": 0.49}}, NOT_USABLE, "Standing still would win"),
        ({"video_auc": {"frozen_start": 0.5}}, WARNING, "likelier than an expert's video in 50% of pairs"),
        ({"video_auc": {"frozen_start": 0.94}}, WARNING, "6% of pairs"),
        ({"clip_auc": {"frozen_start": 0.1}}, USABLE, ""),  # an expert is rightly still for some clips
        ({"video_auc": {"reversed": 0.55}}, WARNING, "backwards"),
        ({"clip_auc": {"reversed": 0.5}}, USABLE, ""),
        ({"clip_auc": {"random": 0.94}}, WARNING, "Random behaviour"),
        ({"clip_auc": {"random": 0.74}}, NOT_USABLE, "Random behaviour"),
        ({"clip_auc": {"shuffled": 0.74}}, NOT_USABLE, "frames in any order"),
        ({"clip_auc": {"other_task": 0.6}}, WARNING, "Experts at other tasks"),
        ({"return_correlation": 0.3}, WARNING, "0.30"),
        ({"return_correlation": -0.2}, NOT_USABLE, "-0.20"),
        ({"expert_reward": 0.1}, WARNING, "0.10"),
        ({"expert_reward": -0.1}, NOT_USABLE, "-0.10"),
        ({"videos": 1}, WARNING, "1 expert video held"),
    ],
)
def test_each_fault_is_named_at_its_level(changes: dict[str, Any], level: str, word: str) -> None:
    verdict = judge(**measured(**changes))
    assert verdict.level == level
    assert word in verdict.text
    assert verdict.text.startswith(level.capitalize() + ".")


def test_the_weightiest_reason_comes_first() -> None:
    faults = measured(videos=2, video_auc={"frozen_start": 0.9, "reversed": 0.5}, clip_auc={"shuffled": 0.2})
    verdict = judge(**faults)
    assert verdict.level == NOT_USABLE
    assert [reason.split()[0] for reason in verdict.reasons] == ["Videos", "Standing", "Videos", "Only"]
    assert "any order" in verdict.text


share = st.floats(0, 1)


@given(share, share, share, share, st.floats(-1, 1), share)
def test_a_better_measurement_never_worsens_the_verdict(
    still: float, backwards: float, shuffled: float, random: float, correlation: float, gain: float
) -> None:
    def level(better: float) -> int:
        lift = lambda value: min(1.0, value + better)  # noqa: E731
        verdict = judge(
            **measured(
                video_auc={"frozen_start": lift(still), "reversed": lift(backwards)},
                clip_auc={"shuffled": lift(shuffled), "random": lift(random)},
                return_correlation=lift(correlation),
            )
        )
        return LEVELS.index(verdict.level)

    assert level(gain) <= level(0.0)


def test_what_was_not_videoed_is_not_held_against_it() -> None:
    needed = {"frozen_start": 1.0, "reversed": 1.0, "shuffled": 1.0}
    verdict = judge(videos=8, expert_reward=1.0, video_auc=needed, clip_auc=needed, return_correlation=None)
    assert verdict.level == USABLE
    assert verdict.reasons == ()
