"""The study on made videos whose truth is known: an arm is a colour, a task a direction that a square moves in."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tests.viper_model.conftest import micro_size
from viper_lab.errors import UserError
from viper_lab.evaluation.cross_embodiment import rollouts, study
from viper_lab.evaluation.cross_embodiment.fitting import Models, fit_models, make_plans
from viper_lab.evaluation.cross_embodiment.pairs import Pair, Pairs, load_pairs
from viper_lab.evaluation.cross_embodiment.results import STILL
from viper_lab.evaluation.cross_embodiment.scoring import (
    KINDS,
    OTHER_ARM,
    RIGHT,
    WRONG_LABEL,
    judged_of_pair,
    load_videos,
    videos_told,
)
from viper_lab.experiment.sections import SECTIONS
from viper_model.errors import ModelError
from viper_model.reward.check import JudgedVideo
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.dataset import Recording, Video

COLOURS = {"panda": (230, 180, 60), "sawyer": (200, 40, 40)}
DIRECTIONS = {"lift": (-2, 0), "stack": (0, 2), "door": (2, 0)}
TIME = 16
NUMBERS = {"expert": 10, "background": 4, "random": 3, "parked": 2}
"""Videos of each pair by behaviour."""


def moving_square(rng: np.random.Generator, pair: Pair, behaviour: str) -> np.ndarray:
    """uint8 [TIME, 16, 16, 3]. At random, and in the background, it jumps; parked it stays."""
    down, right = DIRECTIONS[pair.task]
    row, column = 2 * rng.integers(0, 8, 2)
    steps = {"expert": np.arange(TIME), "parked": np.zeros(TIME, int)}.get(behaviour, rng.integers(0, 8, TIME))
    video = np.full((TIME, 16, 16, 3), 20, np.uint8)
    for step, frame in zip(steps, video, strict=True):
        rows, columns = (row + down * step + np.arange(4)) % 16, (column + right * step + np.arange(4)) % 16
        frame[np.ix_(rows, columns)] = COLOURS[pair.arm]
    return video


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Videos of two arms at three tasks, as if they had been recorded, and a file of pairs, one of which is unseen."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "made.yaml").write_text(
        "seen: {panda: [lift, stack], sawyer: [lift, stack, door]}\n"
        "unseen: {panda: [door]}\n"
        "same_scene: [[door, lift, stack]]\n"
        "settings: [fit.size=micro, fit.background=recorded, record.episodes=10]\n"
    )
    rng = np.random.default_rng(0)
    for pair in load_pairs(str(folder / "made.yaml"), "robosuite").all:
        for behaviour, number in NUMBERS.items():
            videos = folder / "data" / "robosuite" / str(pair) / behaviour
            videos.mkdir(parents=True)
            for video in range(number):
                np.savez(videos / f"{video:05}.npz", image=moving_square(rng, pair, behaviour))
    with pytest.MonkeyPatch.context() as patch:
        micro_size(patch)
        patch.setattr(study, "record_pairs", lambda *_: None)
        patch.setattr(rollouts, "STEPS", 3)
        sizes = [replace(each, choices=("micro",)) if each.name == "size" else each for each in SECTIONS["fit"]]
        patch.setitem(SECTIONS, "fit", tuple(sizes))
        yield folder


@pytest.fixture(scope="module")
def pairs(folder: Path) -> Pairs:
    return load_pairs(str(folder / "made.yaml"), "robosuite")


def fitted(folder: Path, pairs: Pairs, data_of: Path | None = None) -> Models:
    """The study's models. data_of: another folder with videos."""
    plans = make_plans(pairs, "robosuite", data_of or folder, [])
    return fit_models(plans, pairs, folder / "cross_embodiment" / "made" / "models", Console(quiet=True))


@pytest.fixture(scope="module")
def models(folder: Path, pairs: Pairs) -> Models:
    return fitted(folder, pairs)


def run(folder: Path, *assignments: str) -> dict:  # type: ignore[type-arg]
    page = study.cross_embodiment(
        str(folder / "made.yaml"), "robosuite", folder, Console(quiet=True), assignments=assignments, device="cpu"
    )
    assert page == folder / "cross_embodiment" / "made" / "cross_embodiment.html"
    document: dict = json.loads(page.with_suffix(".json").read_text())  # type: ignore[type-arg]
    return document


def test_models_are_told_tasks_and_no_arms(models: Models) -> None:
    assert VideoModel.load(models.all).tasks == ("door", "lift", "stack")
    assert set(models.without) == {"panda"}
    assert VideoModel.load(models.without["panda"]).tasks == ("door", "lift", "stack")


def test_no_model_learned_from_an_unseen_pairs_videos(
    models: Models, folder: Path, pairs: Pairs, tmp_path: Path
) -> None:
    """Without them the same models would have been made: they pass for finished. Without another pair's they do not."""
    shutil.copytree(folder / "data", tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / "robosuite" / "panda" / "door")
    assert fitted(folder, pairs, tmp_path) == models
    (tmp_path / "data" / "robosuite" / "sawyer" / "door" / "expert" / "00000.npz").unlink()
    with pytest.raises(ModelError, match="a finished model with other videos"):
        fitted(folder, pairs, tmp_path)


def test_a_pair_is_judged_by_its_own_arms_videos_that_no_model_learned_from(
    models: Models, folder: Path, pairs: Pairs, tmp_path: Path
) -> None:
    shutil.copytree(folder / "data", tmp_path / "data")
    data, model = tmp_path / "data" / "robosuite", VideoModel.load(models.all)
    dataset = load_videos(data, pairs, model)
    for pair in pairs.all:
        videos = judged_of_pair(dataset, pairs, pair)
        others = {str(each) for each in pairs.all if each.arm == pair.arm and each != pair}
        assert tuple(videos) == KINDS
        for kind, of_kind in videos.items():
            shown = [judged.video for judged in of_kind]
            assert all(isinstance(video, Video) and video.held_out for video in shown)
            told = {video.pair for video in shown if isinstance(video, Video)}
            assert told == (others if kind == "other_task" else {str(pair)})
    shutil.rmtree(data / "panda" / "door" / "random")
    with pytest.raises(UserError, match="panda/door: 0 random videos can be used"):
        judged_of_pair(load_videos(data, pairs, model), pairs, Pair("panda", "door"))


@pytest.mark.usefixtures("models")
def test_a_study_finds_what_was_put_into_its_videos(folder: Path, pairs: Pairs) -> None:
    result = run(folder)
    out = folder / "cross_embodiment" / "made"
    assert set(result["pairs"]) == {str(pair) for pair in pairs.all}
    for name, pair in result["pairs"].items():
        unseen = name == "panda/door"
        assert pair["unseen"] == unseen
        assert pair["videos"]["expert"] == (10 if unseen else 2)
        assert set(pair["auc"]) == {RIGHT, WRONG_LABEL, *([OTHER_ARM] if unseen else [])}
        assert set(pair["errors"]["psnr"]) == {*pair["auc"], STILL}
        assert len(pair["errors"]["ssim"][RIGHT]) == 3
        if not unseen:
            assert pair["label_nats"][0] > 0.2  # nothing but the label tells where a square goes next
    seen = [pair for pair in result["pairs"].values() if not pair["unseen"]]
    nats = [pair["nats"]["conditional"] for pair in seen]
    assert np.mean([each["expert"] - each["random"] for each in nats]) > 0.5  # jumps are unlikely
    assert result["summary"]["seen"]["auc"][RIGHT]["conditional"]["random"] > 0.55
    assert (result["summary"]["unseen"]["pairs"], result["summary"]["seen"]["pairs"]) == (1, 5)
    label = result["summary"]["seen"]["label"]
    assert label["other_scene"] is None
    assert label["same_scene"]["pairs"] == 5
    assert label["same_scene"]["nats"] > 0.2
    with open(out / "cross_embodiment.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == (6 * 2 + 1) * 2 * 4  # who is asked, forms, kinds
    assert {row["seen"] for row in rows if (row["arm"], row["task"]) == ("panda", "door")} == {"False"}
    page = (out / "cross_embodiment.html").read_text()
    assert page.count("data:image/png") == 6
    assert "the same scene" in page
    assert "another scene" not in page
    assert "not tested here" not in page
    assert not re.search(r'src="(?!data:)', page)


def test_videos_of_other_pictures_are_others_whatever_they_are_called() -> None:
    def told(frame: int) -> dict[str, Any]:
        frames = np.full((4, 8, 8, 3), frame, np.uint8)
        return videos_told({"expert": [JudgedVideo(Recording(frames, None), np.arange(4), None)]})

    assert told(0) == told(0)
    assert told(0) != told(255)


@pytest.mark.usefixtures("models")
def test_what_was_asked_is_not_asked_again_and_what_was_fitted_otherwise_is_refused(folder: Path) -> None:
    result = run(folder)
    answers = {path: path.stat().st_mtime_ns for path in folder.rglob("cross_embodiment/made/*/*/*.npz")}
    assert len(answers) == 12
    assert run(folder) == result
    assert {path: path.stat().st_mtime_ns for path in answers} == answers
    with pytest.raises(ModelError, match="a finished model with other seed"):
        run(folder, "fit.seed=1")
