"""What the background's code model learns from, as a user chooses it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.viper_model.conftest import sliding_square
from viper_model.errors import ModelError
from viper_model.video_model.fit import assembly
from viper_model.video_model.fit.sampler import BackgroundSampler, ClipSampler, MadeBackgroundSampler
from viper_model.video_model.fit.stages import CodeModelStage
from viper_model.video_model.fit.training import fit
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.dataset import Video, load_dataset

pytestmark = pytest.mark.usefixtures("micro")

SHORT: dict[str, Any] = {"code_model_steps": 2, "background_steps": 2}


def record_background(videos: Path, task: str, number: int) -> None:
    """Squares that jump, each time step held for five frames."""
    folder = videos / task / "background"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(5)
    for video in range(number):
        np.savez(folder / f"{video}.npz", image=sliding_square(rng, 40, rng.integers(0, 8, 8).repeat(5)))


@pytest.fixture
def trained_on(monkeypatch: pytest.MonkeyPatch) -> list[tuple[type, set[str], set[str]]]:
    """Of each background stage: how its clips are drawn, which videos it learns from, and which judge it."""
    seen: list[tuple[type, set[str], set[str]]] = []
    videos: list[tuple[set[str], set[str]]] = []

    class NotedFrames(assembly.EncodedFrames):
        def __init__(self, model: VideoModel, trained: Sequence[Video], held_out: Sequence[Video]) -> None:
            videos.append(({video.name for video in trained}, {video.name for video in held_out}))
            super().__init__(model, trained, held_out)

    class NotedStage(CodeModelStage):
        def __init__(self, name: str, *others: Any, **more: Any) -> None:
            if name == "background":
                seen.append((type(others[-3]), *videos[-1]))
            super().__init__(name, *others, **more)

    monkeypatch.setattr(assembly, "EncodedFrames", NotedFrames)
    monkeypatch.setattr(assembly, "CodeModelStage", NotedStage)
    return seen


def names(videos: Path, behaviour: str, *, held_out: bool) -> set[str]:
    return {video.name for video in load_dataset(videos, 16).select(behaviour, held_out=held_out)}


@pytest.mark.parametrize(
    ("recorded", "chosen", "used"),
    [
        (True, "auto", "recorded_and_stills"),
        (True, "recorded_and_stills", "recorded_and_stills"),
        (True, "recorded", "recorded"),
        (True, "made", "made"),
        (False, "auto", "made"),
        (False, "made", "made"),
    ],
)
def test_a_background_is_learned_from_what_was_chosen(
    videos: Path,
    tmp_path: Path,
    trained_on: list[tuple[type, set[str], set[str]]],
    recorded: bool,
    chosen: str,
    used: str,
) -> None:
    if recorded:
        record_background(videos, "slide", 6)
    model = fit(videos, tmp_path / "model", "micro", background=chosen, **SHORT)
    behaviours = {"made": ["expert"], "recorded": ["background"], "recorded_and_stills": ["background", "expert"]}[used]
    learned, judged = (
        {name for behaviour in behaviours for name in names(videos, behaviour, held_out=each)} for each in (False, True)
    )
    assert trained_on == [(MadeBackgroundSampler if used == "made" else BackgroundSampler, learned, judged)]
    assert model.has_background
    assert json.loads((tmp_path / "model" / "training.json").read_text())["background"] == used
    # What was recorded is judged beside the experts, whatever was learned from.
    assert ("background" in model.calibration["slide"].ratio_quantiles) == recorded


def test_without_a_background_there_is_no_ratio(videos: Path, tmp_path: Path) -> None:
    model = fit(videos, tmp_path / "model", "micro", background="none", **SHORT)
    assert not model.has_background
    assert model.calibration["slide"].ratio_quantiles == {}
    lines = (tmp_path / "model" / "metrics.jsonl").read_text().splitlines()
    assert {json.loads(line)["stage"] for line in lines} == {"tokenizer", "code_model"}
    with pytest.raises(ModelError, match="background:=auto, or choose the form conditional"):
        model.stream(1, background=True)


def test_a_task_without_recorded_background_makes_it_from_experts_for_all(videos: Path, tmp_path: Path) -> None:
    """One model of the background serves all tasks: it must have seen each of their scenes."""
    record_background(videos, "slide", 6)
    rng = np.random.default_rng(2)
    (videos / "jump").mkdir()
    for number in range(3):
        np.savez(videos / "jump" / f"{number}.npz", image=sliding_square(rng, 40, rng.integers(0, 8, 40)))
    fit(videos, tmp_path / "model", "micro", **SHORT)
    assert json.loads((tmp_path / "model" / "training.json").read_text())["background"] == "made"
    with pytest.raises(ModelError, match="no background videos of jump to train on") as raised:
        fit(videos, tmp_path / "other", "micro", background="recorded", **SHORT)
    assert "\n" not in str(raised.value)
    with pytest.raises(
        ModelError, match="choose one of auto, recorded, recorded_and_stills, recorded_and_approaches, made, none"
    ):
        fit(videos, tmp_path / "other", "micro", background="guessed", **SHORT)


def test_a_fifth_of_the_background_is_held_out(videos: Path) -> None:
    record_background(videos, "slide", 10)
    assert len(names(videos, "background", held_out=False)) == 8
    assert len(names(videos, "background", held_out=True)) == 2


def test_a_single_background_video_is_nothing_to_learn_from(videos: Path, tmp_path: Path) -> None:
    record_background(videos, "slide", 1)
    with pytest.raises(ModelError, match="record two or more"):
        fit(videos, tmp_path / "model", "micro", background="recorded", **SHORT)


def test_frames_are_held_of_experts_on_their_way_and_not_of_those_that_have_arrived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[tuple[int, ...]] = []

    class NotedSampler(BackgroundSampler):
        def __init__(self, clips: ClipSampler, stills: tuple[Tensor, ...]) -> None:
            held.append(tuple(stills[1].tolist()))
            super().__init__(clips, stills)

    monkeypatch.setattr(assembly, "BackgroundSampler", NotedSampler)
    rng = np.random.default_rng(5)
    for behaviour, order in (("background", rng.integers(0, 8, 30)), ("expert", np.minimum(np.arange(30), 12))):
        folder = tmp_path / "videos" / "slide" / behaviour
        folder.mkdir(parents=True)
        for video in range(6):
            np.savez(folder / f"{video}.npz", image=sliding_square(rng, 30, order))
    fit(tmp_path / "videos", tmp_path / "model", "micro", **SHORT)
    trained_on, _ = held
    of_background = 30 * len(names(tmp_path / "videos", "background", held_out=False))
    experts = len(names(tmp_path / "videos", "expert", held_out=False))
    assert trained_on == tuple(of_background + 30 * expert + frame for expert in range(experts) for frame in range(12))


def arrive(folder: Path, frames: int, arrival: int) -> None:
    """Expert videos of a square that slides to one place and rests there, and background that never gets there."""
    rng = np.random.default_rng(5)
    for behaviour, videos in (("background", 12), ("expert", 16)):
        (folder / "arrive" / behaviour).mkdir(parents=True)
        for video in range(videos):
            shown = np.full((frames, 16, 16, 3), 20, np.uint8)
            way = np.minimum(np.arange(frames), arrival)
            columns = way if behaviour == "expert" else rng.integers(0, arrival - 3, -(-frames // 5)).repeat(5)[:frames]
            for frame, column in zip(shown, columns, strict=True):
                frame[4:8, column : column + 4] = [230, 180, 60]
            np.savez(folder / "arrive" / behaviour / f"{video}.npz", image=shown)


def test_with_experts_approaches_in_the_background_what_pays_is_to_have_arrived(tmp_path: Path) -> None:
    arrive(tmp_path / "videos", frames=36, arrival=12)
    way, there = {}, {}
    for background in ("recorded", "recorded_and_approaches"):
        model = fit(tmp_path / "videos", tmp_path / background, "micro", background=background)
        expert = load_dataset(tmp_path / "videos", model.image_size).select("expert", held_out=True)[0]
        frames = torch.from_numpy(expert.frames[None].copy())
        log_probs = model.log_probs(frames, torch.tensor([0]), background=True)
        assert log_probs.background is not None
        ratio = (log_probs.task - log_probs.background)[0].sum((-2, -1))  # [time]
        way[background], there[background] = ratio[2:9].mean(), ratio[13:].mean()
    assert way["recorded_and_approaches"] < way["recorded"] - 1  # nats a frame
    assert there["recorded_and_approaches"] > way["recorded_and_approaches"] + 5


def test_approaches_of_experts_that_never_rest_are_refused(videos: Path, tmp_path: Path) -> None:
    record_background(videos, "slide", 6)
    with pytest.raises(ModelError, match=r"0 of 8 expert videos end at rest for \d+ frames: film on") as raised:
        fit(videos, tmp_path / "model", "micro", background="recorded_and_approaches", **SHORT)
    assert "\n" not in str(raised.value)
