"""The study on made videos whose truth is known: an arm is a colour, a task a direction that a square moves in."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tests.viper_model.conftest import micro as micro
from viper_lab.errors import UserError
from viper_lab.evaluation.cross_embodiment import rollouts, study
from viper_lab.evaluation.cross_embodiment.fitting import fit_models, make_plans
from viper_lab.evaluation.cross_embodiment.pairs import Pair, Pairs, load_pairs
from viper_lab.evaluation.cross_embodiment.results import STILL
from viper_lab.evaluation.cross_embodiment.scoring import OTHER_ARM, RIGHT, WRONG_LABEL, judged_of_pair, load_videos
from viper_lab.experiment.sections import SECTIONS
from viper_model.errors import ModelError
from viper_model.video_model.folder import model_hash
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.cache import FOLDER as CACHE

COLOURS = {"panda": (230, 180, 60), "sawyer": (200, 40, 40)}
DIRECTIONS = {"lift": (-2, 0), "stack": (0, 2), "door": (2, 0)}
TIME = 24


def moving_square(rng: np.random.Generator, pair: Pair, behaviour: str) -> np.ndarray:
    """uint8 [TIME, 16, 16, 3]. At random it jumps, parked it stays."""
    down, right = DIRECTIONS[pair.task]
    row, column = 2 * rng.integers(0, 8, 2)
    video = np.full((TIME, 16, 16, 3), 20, np.uint8)
    for t, frame in enumerate(video):
        step = {"random": rng.integers(0, 8), "background": rng.integers(0, 8), "parked": 0}.get(behaviour, t)
        frame[np.ix_((row + down * step + np.arange(4)) % 16, (column + right * step + np.arange(4)) % 16)] = COLOURS[
            pair.arm
        ]
    return video


@pytest.fixture
def pairs(tmp_path: Path) -> Pairs:
    """Videos of two arms at three tasks, and a file that calls one of the six pairs unseen."""
    (tmp_path / "made.yaml").write_text(
        "seen: {panda: [lift, stack], sawyer: [lift, stack, door]}\n"
        "unseen: {panda: [door]}\n"
        "settings: [fit.size=micro, record.episodes=10, fit.background=recorded]\n"
    )
    pairs = load_pairs(str(tmp_path / "made.yaml"), "robosuite")
    rng = np.random.default_rng(0)
    for pair in pairs.all:
        for behaviour, number in (("expert", 10), ("background", 4), ("random", 4), ("parked", 4)):
            folder = tmp_path / "data" / "robosuite" / str(pair) / behaviour
            folder.mkdir(parents=True)
            for video in range(number):
                np.savez(folder / f"{video:05}.npz", image=moving_square(rng, pair, behaviour))
    return pairs


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch, micro: None) -> None:
    """The videos are there, predictions are short, and models are of the size `micro`."""
    monkeypatch.setattr(study, "record_pairs", lambda *_: None)
    monkeypatch.setattr(rollouts, "STEPS", 3)
    fit = [replace(each, choices=("micro",)) if each.name == "size" else each for each in SECTIONS["fit"]]
    monkeypatch.setitem(SECTIONS, "fit", tuple(fit))


def run(folder: Path, *assignments: str) -> dict:  # type: ignore[type-arg]
    page = study.cross_embodiment(
        str(folder / "made.yaml"), "robosuite", folder, Console(quiet=True), assignments=assignments, device="cpu"
    )
    assert page == folder / "cross_embodiment" / "made" / "cross_embodiment.html"
    document: dict = json.loads(page.with_suffix(".json").read_text())  # type: ignore[type-arg]
    return document


@pytest.mark.usefixtures("recorded")
def test_a_study_finds_what_was_put_into_its_videos(pairs: Pairs, tmp_path: Path) -> None:
    result = run(tmp_path)
    out = tmp_path / "cross_embodiment" / "made"
    assert VideoModel.load(out / "models" / "all").tasks == ("door", "lift", "stack")  # no arm's name
    assert set(result["pairs"]) == {str(pair) for pair in pairs.all}
    for name, pair in result["pairs"].items():
        assert pair["unseen"] == (name == "panda/door")
        assert pair["videos"]["expert"] == (10 if pair["unseen"] else 2)
        assert pair["auc"][RIGHT]["conditional"]["random"][0] > 0.9  # jumps are unlikely, whatever the label
        assert set(pair["auc"]) == {RIGHT, WRONG_LABEL, *([OTHER_ARM] if pair["unseen"] else [])}
        assert set(pair["errors"]["psnr"]) == {*pair["auc"], STILL}
        if not pair["unseen"]:
            # Nothing but the label tells where a square goes next.
            assert pair["label_nats"][0] > 0.2
            assert pair["auc"][RIGHT]["ratio"]["random"][0] > 0.9
            experts = pair["nats"]["conditional"]
            assert experts["expert"] > experts["other_task"]
    assert result["summary"]["unseen"]["pairs"] == 1
    assert result["summary"]["seen"]["pairs"] == 5
    with open(out / "cross_embodiment.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == (5 * 2 + 3) * 2 * 4  # asked, forms, kinds
    assert {row["seen"] for row in rows if row["arm"] == "panda" and row["task"] == "door"} == {"False"}
    page = (out / "cross_embodiment.html").read_text()
    assert page.count("data:image/png") == 6
    assert not re.search(r'src="(?!data:)', page)

    # Again: nothing is asked twice.
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*.npz")}
    assert len(written) == 12
    assert run(tmp_path) == result
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.npz")} == written
    with pytest.raises(ModelError, match="a finished model with other seed"):
        run(tmp_path, "fit.seed=1")


@pytest.mark.usefixtures("recorded")
def test_an_unseen_pairs_videos_change_nothing_in_the_model(pairs: Pairs, tmp_path: Path) -> None:
    short = ["fit.code_model_steps=2", "fit.background_steps=2"]

    def fitted(folder: str) -> dict[str, str | None]:
        plans = make_plans(pairs, "robosuite", tmp_path, short)
        models = fit_models(plans, pairs, tmp_path / folder, Console(quiet=True))
        return {path.name: model_hash(path) for path in (models.all, *models.without.values())}

    with_videos = fitted("one")
    assert set(with_videos) == {"all", "without_panda"}
    shutil.rmtree(tmp_path / "data" / "robosuite" / "panda" / "door")
    shutil.rmtree(tmp_path / "data" / "robosuite" / CACHE)
    assert fitted("other") == with_videos
    shutil.rmtree(tmp_path / "data" / "robosuite" / "panda")
    shutil.rmtree(tmp_path / "data" / "robosuite" / CACHE)
    with pytest.raises(ModelError, match="panda/lift"):
        fitted("none of the panda's")


@pytest.mark.usefixtures("recorded")
def test_a_pair_is_judged_by_its_own_arms_videos_that_no_model_learned_from(pairs: Pairs, tmp_path: Path) -> None:
    plans = make_plans(pairs, "robosuite", tmp_path, ["fit.code_model_steps=2", "fit.background_steps=2"])
    model = VideoModel.load(fit_models(plans, pairs, tmp_path / "models", Console(quiet=True)).all)
    dataset = load_videos(tmp_path / "data" / "robosuite", pairs, model)
    for pair in pairs.all:
        videos = judged_of_pair(dataset, pairs, pair)
        arms = {judged.video.embodiment for of_kind in videos.values() for judged in of_kind}  # type: ignore[union-attr]
        assert arms == {pair.arm}
        tasks = {judged.video.task for judged in videos["other_task"]}  # type: ignore[union-attr]
        assert tasks == {each.task for each in pairs.all if each.arm == pair.arm} - {pair.task}
        assert all(judged.video.held_out for judged in videos["expert"])  # type: ignore[union-attr]
    shutil.rmtree(tmp_path / "data" / "robosuite" / "panda" / "door" / "random")
    with pytest.raises(UserError, match="panda/door: 0 random videos can be used"):
        judged_of_pair(load_videos(tmp_path / "data" / "robosuite", pairs, model), pairs, Pair("panda", "door"))
