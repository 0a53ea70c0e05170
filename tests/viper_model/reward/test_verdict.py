from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viper_model.reward.verdict import LEVELS, NOT_USABLE, USABLE, WARNING, judge


def measured(**changes: Any) -> dict[str, Any]:
    """What a perfect model measures, but for `changes`; of hacks and AUCs they change some kinds only."""
    perfect: dict[str, Any] = {
        "videos": 8,
        "expert": 100.0,
        "hacks": dict.fromkeys(("frozen", "parked", "stopped", "random", "background", "other_task", "policy"), -10.0),
        "clip_auc": dict.fromkeys(("frozen", "reversed", "shuffled", "random", "other_task"), 1.0),
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
        ({"hacks": {"frozen": 50.1}}, NOT_USABLE, "Standing still somewhere earns 50% of what an expert earns."),
        ({"hacks": {"frozen": 50.0}}, WARNING, "Standing still somewhere earns 50% of what an expert earns."),
        ({"hacks": {"frozen": 25.0}}, WARNING, "earns 25% of what an expert earns."),
        ({"hacks": {"frozen": 24.9}}, USABLE, ""),
        ({"hacks": {"parked": 130.0}}, NOT_USABLE, "Pushing an actuator to its end, or doing nothing, earns 130%"),
        ({"hacks": {"random": 60.0}}, NOT_USABLE, "Random behaviour earns 60%"),
        ({"hacks": {"background": 60.0}}, NOT_USABLE, "Behaviour that is not the task earns 60%"),
        (
            {"hacks": {"other_task": 60.0}},
            WARNING,
            "Another task earns 60% of what an expert earns: a policy can do that",
        ),
        ({"hacks": {"policy": 60.0}}, NOT_USABLE, "What the policy of the run does earns 60%"),
        ({"clip_auc": {"frozen": 0.1}}, USABLE, ""),  # an expert is rightly still for some clips
        ({"clip_auc": {"reversed": 0.6}}, USABLE, ""),
        ({"clip_auc": {"reversed": 0.59}}, WARNING, "backwards are as likely (in 41% of pairs likelier)"),
        ({"clip_auc": {"random": 0.94}}, WARNING, "Random behaviour can pass for the expert's: likelier in 6%"),
        ({"clip_auc": {"random": 0.74}}, NOT_USABLE, "Random behaviour"),
        ({"clip_auc": {"random": 0.75}}, WARNING, "Random behaviour"),
        ({"clip_auc": {"shuffled": 0.1}}, USABLE, ""),  # no policy shuffles time, and a balanced pole looks the same
        ({"clip_auc": {"other_task": 0.6}}, WARNING, "Experts at other tasks"),
        ({"return_correlation": 0.5}, USABLE, ""),
        ({"return_correlation": 0.3}, WARNING, "0.30"),
        ({"return_correlation": -0.2}, NOT_USABLE, "-0.20"),
        ({"expert": 0.0}, NOT_USABLE, "Experts themselves earn 0 an episode"),
        ({"expert": -7.0}, NOT_USABLE, "Experts themselves earn -7 an episode"),
        ({"videos": 3}, WARNING, "3 expert videos held"),
        ({"videos": 1}, WARNING, "1 expert video held"),
    ],
)
def test_each_fault_is_named_at_its_level(changes: dict[str, Any], level: str, word: str) -> None:
    verdict = judge(**measured(**changes))
    assert verdict.level == level
    assert word in verdict.text
    assert verdict.text.startswith(level.capitalize() + ".")
    assert len(verdict.reasons) == (0 if level == USABLE else 1)


def test_experts_alone_are_no_trial_of_a_reward() -> None:
    made = dict.fromkeys(("frozen", "reversed", "shuffled"), 1.0)
    alone = {**measured(), "clip_auc": made, "hacks": {"frozen": -10.0}}
    verdict = judge(**alone)
    assert verdict.level == WARNING
    assert "record what is not the task as well, into random/, parked/, stopped/, background/" in verdict.text
    assert judge(**{**alone, "clip_auc": {**made, "stopped": 1.0}}).level == USABLE


def test_the_weightiest_reason_comes_first() -> None:
    faults = measured(
        videos=2,
        hacks={"frozen": 30.0, "parked": 70.0, "policy": 90.0},
        clip_auc={"random": 0.2, "reversed": 0.5},
    )
    verdict = judge(**faults)
    assert verdict.level == NOT_USABLE
    # Of hacks, what earns most; the others as they are told; warnings after what makes it useless.
    reasons = [reason.split()[0] for reason in verdict.reasons]
    assert reasons == ["What", "Pushing", "Random", "Standing", "Videos", "Only"]


def test_where_experts_earn_nothing_no_share_of_it_is_told() -> None:
    verdict = judge(**measured(expert=-5.0, hacks={"frozen": 3.0}))
    assert verdict.reasons == ("Experts themselves earn -5 an episode: doing anything else may be better.",)


share = st.floats(0, 1)
reward = st.floats(-100, 200)


@given(reward, reward, share, share, st.floats(-1, 1), share)
def test_a_better_measurement_never_worsens_the_verdict(
    still: float, parked: float, backwards: float, random: float, correlation: float, gain: float
) -> None:
    def level(better: float) -> int:
        lift = lambda value: min(1.0, value + better)  # noqa: E731
        verdict = judge(
            **measured(
                hacks={"frozen": still - 100 * better, "parked": parked - 100 * better},
                clip_auc={"reversed": lift(backwards), "random": lift(random)},
                return_correlation=lift(correlation),
            )
        )
        return LEVELS.index(verdict.level)

    assert level(gain) <= level(0.0)


@given(st.floats(0.01, 1e6), reward)
def test_only_shares_of_the_expert_s_reward_count(scale: float, hack: float) -> None:
    one = judge(**measured(hacks={"frozen": hack}))
    scaled = judge(**measured(expert=100 * scale, hacks={"frozen": hack * scale}))
    if abs(hack / 100 - 0.5) > 1e-6 and abs(hack / 100 - 0.25) > 1e-6:  # where rounding doesn't decide
        assert one.level == scaled.level


def test_what_was_not_recorded_is_not_held_against_it() -> None:
    verdict = judge(videos=8, expert=1.0, hacks={}, clip_auc={"reversed": 1.0, "parked": 1.0}, return_correlation=None)
    assert verdict.level == USABLE
    assert verdict.reasons == ()
