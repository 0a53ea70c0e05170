"""Training, as a user meets it: it learns the videos, survives being killed, and says what is wrong."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests import ROOT
from viper_model.errors import ModelError
from viper_model.files import locked
from viper_model.reward.check import check_reward
from viper_model.torch_tools.checkpoint import write_tensors
from viper_model.video_model.fit import training as fit_module
from viper_model.video_model.fit.background import resolve_background
from viper_model.video_model.fit.schedule import SCHEDULES, average_decay, learning_rate
from viper_model.video_model.fit.training import fit, refuse_other_settings
from viper_model.video_model.sizes import SIZES
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.dataset import load_dataset
from viper_model.videos.video_io import read_video

pytestmark = pytest.mark.usefixtures("micro")


@pytest.mark.parametrize(
    ("tokenizer", "code_model"), [("patches", "videogpt"), ("patches", "masked"), ("vqgan", "videogpt")]
)
def test_a_model_learns_to_tell_right_motion_from_wrong(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], tokenizer: str, code_model: str
) -> None:
    steps = {"videogpt": 250, "masked": 400}[code_model]  # a masked model learns from one random order at a time
    model = fit(videos, tmp_path / "model", "micro", tokenizer=tokenizer, code_model=code_model, code_model_steps=steps)
    said = capsys.readouterr().out
    for stage in (
        *(("tokenizer 100/200 pixel_loss", "tokenizer 200/200") if tokenizer == "vqgan" else ()),
        f"code model 100/{steps} nats_a_code",
        f"code model 200/{steps}",
        "background 100/150 nats_a_code",
    ):
        assert said.count(stage) == 1
    data = load_dataset(videos, model.image_size)
    check = check_reward(model, data, "conditional").tasks["slide"]
    for kind in ("shuffled", "reversed", "random"):
        assert check.kinds[kind].clip_auc > 0.8  # a few seconds of training tell nearly all of them; no skill is 0.5
    assert check.return_correlation is not None
    if code_model == "videogpt":  # the other takes twice as long to tell what is half right from what is right
        assert check.return_correlation > 0.5  # of ten videos, four of them half right
    # What is made of the experts' videos is rather background, and standing still no longer pays.
    check = check_reward(model, data, "ratio").tasks["slide"]
    assert check.kinds["expert"].log_likelihood > 0
    for kind in ("frozen", "reversed", "shuffled"):
        assert check.kinds[kind].log_likelihood < 0, kind
    assert check.kinds["random"].log_likelihood < check.kinds["expert"].log_likelihood  # neither has learned from it

    loaded = VideoModel.load(tmp_path / "model")
    assert (loaded.tokenizer_name, loaded.code_model_name) == (tokenizer, code_model)
    calibration = loaded.calibration["slide"]
    assert set(calibration.quantiles) == set(calibration.ratio_quantiles) == set(check.kinds)
    lines = [json.loads(line) for line in (tmp_path / "model" / "metrics.jsonl").read_text().splitlines()]
    for stage in ("code_model", "background"):
        of_stage = [line for line in lines if line["stage"] == stage]
        losses = [line["validation_nats_a_code"] for line in of_stage if "validation_nats_a_code" in line]
        assert losses[-1] < losses[0], stage
    for video, frames in (("slide_reconstructed", 40), ("slide_imagined", 1 + 4)):  # one is given
        assert len(read_video(tmp_path / "model" / "videos" / f"{video}.mp4")) == frames
    assert not (tmp_path / "model" / "training.safetensors").exists()


def test_every_size_has_a_schedule() -> None:
    assert set(SCHEDULES) == set(SIZES)


def test_a_finished_folder_is_only_loaded(videos: Path, tmp_path: Path) -> None:
    steps: dict[str, Any] = {"code_model_steps": 2, "background_steps": 2}
    fit(videos, tmp_path / "model", "micro", **steps)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "model").rglob("*")}
    fit(videos, tmp_path / "model", "micro", **steps)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "model").rglob("*")} == before


def test_a_finished_model_is_known_by_the_settings_that_made_it(videos: Path, tmp_path: Path) -> None:
    fit(videos, tmp_path / "model", "micro", code_model_steps=2, background_steps=2)
    same: dict[str, Any] = {"size": "micro", "tokenizer": "", "code_model": "videogpt", "background": "auto", "seed": 0}
    same |= {"tokenizer_steps": 0, "code_model_steps": 2, "background_steps": 2}
    refuse_other_settings(tmp_path / "model", **same)
    for others, told in (({"size": "tiny"}, "frame_skip, steps:"), ({"background": "none"}, "other background:")):
        with pytest.raises(ModelError, match=told):
            refuse_other_settings(tmp_path / "model", **{**same, **others})
    (tmp_path / "model" / "training.json").unlink()  # as of a model that `fit` did not make
    refuse_other_settings(tmp_path / "model", **{**same, "seed": 1})


def test_a_finished_folder_is_not_taken_for_another_training(videos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    options: dict[str, Any] = {"size": "micro", "code_model_steps": 2, "background_steps": 2}
    fit(videos, folder, **options)
    for others, told in (
        ({"size": "tiny"}, "other tokenizer, code_model, frame_skip, steps, pictures:"),
        ({"tokenizer": "vqgan"}, "other tokenizer:"),
        ({"code_model": "masked"}, "other code_model:"),
        ({"background": "none"}, "other background:"),
        ({"seed": 1}, "other seed:"),
        ({"code_model_steps": 3}, "other steps:"),
        ({"background_steps": 3}, "other steps:"),
    ):
        with pytest.raises(ModelError, match=told):
            fit(videos, folder, **{**options, **others})
    (videos / "videos.yaml").write_text("crop: {top: 0, left: 0, height: 4, width: 4}")
    with pytest.raises(ModelError, match=r"other pictures, videos\.yaml: choose another folder"):
        fit(videos, folder, **options)
    (videos / "videos.yaml").unlink()
    first, second = sorted(videos.rglob("slide/expert/*"))[:2]
    shutil.copy(first, second.with_stem("one_more"))
    with pytest.raises(ModelError, match="other videos, pictures:"):
        fit(videos, folder, **options)
    second.with_stem("one_more").unlink()
    with np.load(second) as arrays:
        recorded_again = {**arrays, "image": 255 - arrays["image"]}
    np.savez(second, **recorded_again)
    with pytest.raises(ModelError, match="other pictures:"):
        fit(videos, folder, **options)
    (folder / "training.json").write_text("[]")
    with pytest.raises(
        ModelError, match="other procedure, tokenizer, code_model, frame_skip, steps, seed, background, videos, "
    ):
        fit(videos, folder, **options)
    (folder / "training.json").write_text("{")
    with pytest.raises(ModelError, match=r"training\.json is damaged"):
        fit(videos, folder, **options)
    (folder / "training.json").unlink()
    with pytest.raises(ModelError, match="other tokenizer, code_model, frame_skip:"):
        fit(videos, folder, **{**options, "size": "tiny"})
    fit(videos, folder, **options)


def test_an_unfinished_training_of_unknown_videos_is_refused(videos: Path, tmp_path: Path) -> None:
    write_tensors(tmp_path / "model" / "training.safetensors", {"step": torch.zeros(1)}, {"step": 3})
    with pytest.raises(ModelError, match="holds an unfinished training with other"):
        fit(videos, tmp_path / "model", "micro")


class KilledError(Exception):
    pass


# In each stage: the VQ-GAN has steps 1 to 6, the code model the next 6, the background the rest; patches have step 1.
@pytest.mark.parametrize(
    ("tokenizer", "code_model", "kills"), [("vqgan", "videogpt", (3, 8, 15)), ("patches", "masked", (1, 4, 9))]
)
def test_an_interrupted_training_ends_as_an_uninterrupted_one(
    videos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tokenizer: str,
    code_model: str,
    kills: tuple[int, ...],
) -> None:
    monkeypatch.setattr(fit_module, "SAVE_SECONDS", 0)  # after every step
    monkeypatch.setattr(fit_module, "LOG_EVERY", 1)
    options: dict[str, Any] = {"tokenizer": tokenizer, "code_model": code_model}
    options |= {"tokenizer_steps": 6, "code_model_steps": 6, "background_steps": 6}
    whole = fit(videos, tmp_path / "whole", "micro", **options)

    save = fit_module.Training.save

    for killed_after in kills:

        def save_and_die(training: fit_module.Training, killed_after: int = killed_after) -> None:
            save(training)
            if training.step == killed_after:
                raise KilledError

        with monkeypatch.context() as dying:
            dying.setattr(fit_module.Training, "save", save_and_die)
            with pytest.raises(KilledError):
                fit(videos, tmp_path / f"killed_{killed_after}", "micro", **options)
        # What was logged, and half logged, after the last checkpoint.
        with open(tmp_path / f"killed_{killed_after}" / "metrics.jsonl", "a") as file:
            file.write('{"step": 17, "stage": "background"}\n{"step": 18, "st')
        resumed = fit(videos, tmp_path / f"killed_{killed_after}", "micro", **options)
        for (name, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
            assert torch.equal(a, b), (killed_after, name)
        assert whole.calibration == resumed.calibration
        metrics = [(tmp_path / run / "metrics.jsonl").read_text() for run in ("whole", f"killed_{killed_after}")]
        assert metrics[0] == metrics[1]


def test_kill_9_leaves_a_checkpoint_to_go_on_from(videos: Path, tmp_path: Path) -> None:
    script = """
        import sys, torch
        from pathlib import Path
        from viper_model.video_model.fit import training as fit
        torch.set_num_threads(1)
        fit.SAVE_SECONDS = 0
        fit.fit(Path(sys.argv[1]), Path(sys.argv[2]), "tiny", code_model_steps=10_000)
    """
    folder = tmp_path / "model"
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), videos, folder], stdout=subprocess.DEVNULL
    )
    try:
        while not (folder / "training.safetensors").exists():
            assert process.poll() is None
            os.sched_yield()
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    with pytest.raises(ModelError, match="unfinished training"):
        fit(videos, folder, "tiny", code_model_steps=1)  # another schedule than the one that was under way
    with pytest.raises(ModelError, match="has its training finished"):
        VideoModel.load(folder)


def test_two_processes_learn_what_one_does_from_the_same_batches(videos: Path, tmp_path: Path) -> None:
    # Without dropout, which no two processes share; with the discriminator from the second step on.
    script = """
        import dataclasses, sys, torch
        from pathlib import Path
        from tests.viper_model.conftest import MICRO
        from viper_model.video_model.fit import training as fit
        from viper_model.video_model.fit.schedule import SCHEDULES
        from viper_model.video_model.sizes import SIZES, Size
        torch.set_num_threads(1)
        code_model = dataclasses.replace(MICRO.code_model, dropout=0.0)
        SIZES["still"] = Size({"vqgan": MICRO.tokenizer}, code_model, frame_skip=1)
        of_tokenizer, of_code_model = SCHEDULES["tiny"].tokenizer, SCHEDULES["tiny"].code_model
        SCHEDULES["still"] = dataclasses.replace(
            SCHEDULES["tiny"],
            tokenizer=dataclasses.replace(of_tokenizer, batch=8, adversarial_start=1, discriminator_width=8),
            code_model=dataclasses.replace(of_code_model, clip_frames=6),
        )
        fit.LOG_EVERY = 1
        steps = {"tokenizer_steps": 6, "code_model_steps": 6, "background_steps": 6}
        fit.fit(Path(sys.argv[1]), Path(sys.argv[2]), "still", **steps)
    """
    program = tmp_path / "train.py"
    program.write_text(textwrap.dedent(script))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for name, launcher in (("one", [sys.executable]), ("two", torchrun)):
        subprocess.run([*launcher, program, videos, tmp_path / name], env=environment, check=True, timeout=200)
    one, two = (
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    )
    stages = [stage for stage in ("tokenizer", "code_model", "background") for _ in range(6)]
    assert [line.pop("stage") for line in one] == [line.pop("stage") for line in two] == stages
    # Sums of the same numbers in another order: float32 keeps seven digits, and eighteen steps lose some.
    assert two == [pytest.approx(line, rel=2e-3, abs=1e-5) for line in one]


def test_a_cut_checkpoint_is_told(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "training.safetensors").write_bytes(b"cut")
    with pytest.raises(ModelError, match=r"training\.safetensors"):
        fit(videos, tmp_path, "micro")


def test_the_rate_warms_up_and_cools_down() -> None:
    rates = [learning_rate(step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.2, rel=0.01)
    assert max(rates) == pytest.approx(1, rel=0.02)
    assert rates[-1] < 0.06


def test_an_average_soon_forgets_where_it_began_and_then_takes_its_time() -> None:
    assert math.prod(average_decay(0.9999, step) for step in range(1, 51)) < 1e-6
    assert average_decay(0.9999, 100_000) == 0.9999


def test_a_short_training_is_not_lost_in_a_long_average(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_code_model = dataclasses.replace(SCHEDULES["micro"].code_model, ema_decay=0.9999)
    monkeypatch.setitem(SCHEDULES, "micro", dataclasses.replace(SCHEDULES["micro"], code_model=of_code_model))
    fit(videos, tmp_path / "model", "micro", background="none", code_model_steps=100)
    last = json.loads((tmp_path / "model" / "metrics.jsonl").read_text().splitlines()[-1])
    # Untrained weights give some ln 8 nats a code, the trained ones of the last steps a fraction of that.
    assert last["validation_nats_a_code"] < 0.5 * math.log(8)


def test_two_trainings_of_one_folder_do_not_mix(videos: Path, tmp_path: Path) -> None:
    folder, steps = tmp_path / "model", {"code_model_steps": 2, "background_steps": 2}
    folder.mkdir()
    with locked(folder / ".lock", pytest.fail), pytest.raises(ModelError, match=r"another `viper fit` is at work in"):
        fit(videos, folder, "micro", **steps)  # type: ignore[arg-type]
    assert [path.name for path in folder.iterdir()] == [".lock"]
    fit(videos, folder, "micro", **steps)  # type: ignore[arg-type]


def test_a_folder_that_is_a_file_is_refused_before_videos_are_read(tmp_path: Path) -> None:
    (tmp_path / "model").touch()
    with pytest.raises(ModelError, match="is a file: choose another folder"):
        fit(tmp_path / "nowhere", tmp_path / "model", "micro")


@pytest.mark.parametrize(
    ("data", "folder", "why"),
    [
        ("videos", "videos/model", "is in the videos' folder"),
        ("videos", "videos", "is in the videos' folder"),
        ("videos", ".", "is no folder of a model, and its videos would be written over"),
        ("videos", "notes", "is no folder of a model, and its metrics.jsonl would be written over"),
    ],
)
def test_a_folder_that_is_no_models_is_left_as_it_is(
    data: str, folder: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "metrics.jsonl").write_text("mine")
    with pytest.raises(ModelError, match=why):
        fit(Path(data), Path(folder), "micro")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["metrics.jsonl", "notes", "videos"]


@pytest.mark.parametrize(
    ("task", "behaviour", "why"), [("slide", "frozen", "rename their folder"), ("s" * 240, "random", "240 bytes")]
)
def test_what_could_only_fail_after_training_is_refused_before(
    task: str, behaviour: str, why: str, videos: Path, tmp_path: Path
) -> None:
    shutil.copytree(videos / "slide", tmp_path / "others" / task)
    (tmp_path / "others" / task / "random").rename(tmp_path / "others" / task / behaviour)
    with pytest.raises(ModelError, match=why):
        fit(tmp_path / "others", tmp_path / "model", "micro")
    assert not (tmp_path / "model").exists()


def test_background_of_some_tasks_alone_is_not_left_unused_in_silence(
    videos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for task in ("slide", "other"):
        shutil.copytree(videos / "slide", tmp_path / task, ignore=shutil.ignore_patterns("background"))
    shutil.copytree(videos / "slide" / "random", tmp_path / "slide" / "background")
    assert resolve_background("auto", load_dataset(tmp_path, 16)) == "made"
    assert "background videos are not used: of other there is none" in caplog.text
