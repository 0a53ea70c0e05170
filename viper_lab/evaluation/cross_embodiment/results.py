"""What was found for each pair, and over all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from viper_lab.evaluation.cross_embodiment import measures
from viper_lab.evaluation.cross_embodiment.measures import Interval
from viper_lab.evaluation.cross_embodiment.pairs import Pair, Pairs
from viper_lab.evaluation.cross_embodiment.rollouts import Rollouts, mean_errors
from viper_lab.evaluation.cross_embodiment.scoring import FORMS, RIGHT, WRONG_LABEL, Likelihoods
from viper_model.videos.find import EXPERT

STILL = "still picture"
"""A baseline of the predictions: the given frame, repeated."""
ERRORS = ("psnr", "ssim")


@dataclass(frozen=True)
class PairResult:
    pair: Pair
    unseen: bool
    wrong_label: str
    same_scene: bool
    """Whether the wrong label's task begins alike, so that the label alone tells which of the two it is."""
    videos: dict[str, int]
    """By kind."""
    nats: dict[str, dict[str, float]]
    """By form and kind: mean nats a frame under the right label."""
    auc: dict[str, dict[str, dict[str, Interval]]]
    """By who was asked, form and kind: how often an expert's video has more nats a frame than one of the kind."""
    label_nats: Interval
    """Nats a frame that experts' videos have more under the right label than under the wrong one."""
    label_right: float
    """The share of experts' videos that are likelier under the right label."""
    errors: dict[str, dict[str, list[float]]]
    """By measure and by who was asked, or STILL: of predictions, by step; NaN from where no video lasts."""


def measure_pair(pairs: Pairs, pair: Pair, likelihoods: Likelihoods, rollouts: Rollouts, frame_skip: int) -> PairResult:
    means = {
        who: {kind: measures.video_means(videos, frame_skip) for kind, videos in by_kind.items()}
        for who, by_kind in likelihoods.items()
    }  # [forms, videos] each
    right = means[RIGHT]
    label = right[EXPERT][0] - means[WRONG_LABEL][EXPERT][0]
    wrong_label = pairs.wrong_label(pair)
    return PairResult(
        pair=pair,
        unseen=pair in pairs.unseen,
        wrong_label=wrong_label,
        same_scene=pairs.begin_alike(pair.task, wrong_label),
        videos={kind: values.shape[1] for kind, values in right.items()},
        nats={
            form: {kind: float(values[number].mean()) for kind, values in right.items()}
            for number, form in enumerate(FORMS)
        },
        auc={
            who: {
                form: {
                    kind: measures.auc(by_kind[EXPERT][number], values[number])
                    for kind, values in by_kind.items()
                    if kind != EXPERT
                }
                for number, form in enumerate(FORMS)
            }
            for who, by_kind in means.items()
        },
        label_nats=measures.mean(label),
        label_right=float((label > 0).mean()),
        errors={
            measure: {
                **{who: mean_errors(of_who, measure).tolist() for who, of_who in rollouts.items()},
                STILL: mean_errors(rollouts[RIGHT], measure, still=True).tolist(),
            }
            for measure in ERRORS
        },
    )


def summary(results: Sequence[PairResult]) -> dict[str, Any]:
    """Medians over pairs, of those that were seen and of those that were not. What the label counts is told apart for
    pairs whose wrong label is of the same scene, None where there are none."""
    return {
        name: {
            "pairs": len(chosen),
            "auc": {
                who: {
                    form: {kind: _median([each.auc[who][form][kind].value for each in chosen]) for kind in kinds}
                    for form, kinds in forms.items()
                }
                for who, forms in chosen[0].auc.items()
            },
            "label": {
                scene: _label([each for each in chosen if each.same_scene == same])
                for scene, same in (("same_scene", True), ("other_scene", False))
            },
        }
        for name, chosen in (
            ("unseen", [each for each in results if each.unseen]),
            ("seen", [each for each in results if not each.unseen]),
        )
    }


def _label(chosen: Sequence[PairResult]) -> dict[str, float] | None:
    if not chosen:
        return None
    return {
        "pairs": len(chosen),
        "nats": _median([each.label_nats.value for each in chosen]),
        "right": _median([each.label_right for each in chosen]),
    }


def _median(values: Sequence[float]) -> float:
    return float(np.median(values))


def to_json(results: Sequence[PairResult]) -> dict[str, Any]:
    """Plain types; steps at which no video lasts are left out."""
    pairs = {}
    for each in results:
        document = dataclasses.asdict(each)
        del document["pair"]
        document["errors"] = {
            measure: {who: [value for value in values if not np.isnan(value)] for who, values in by_who.items()}
            for measure, by_who in each.errors.items()
        }
        pairs[str(each.pair)] = document
    return {"summary": summary(results), "pairs": pairs}
