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
from viper_model.reward.check import check_reward
from viper_model.torch_tools.checkpoint import write_tensors
from viper_model.video_model.fit import training as fit_module
from viper_model.video_model.fit.training import ClipSampler, average_decay, fit, learning_rate
from viper_model.video_model.video_model import LIKELIHOODS, SIZES, VideoModel
from viper_model.videos.dataset import load_dataset
from viper_model.videos.video_io import read_video

pytestmark = pytest.mark.usefixtures("micro")


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_a_model_learns_to_tell_right_motion_from_wrong(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], likelihood: str
) -> None:
    model = fit(videos, tmp_path / "model", "micro", likelihood=likelihood)
    said = capsys.readouterr().out
    for stage in (
        "VQ-GAN 100/200 pixel_loss",
        "VQ-GAN 200/200",
        "code model 100/250 nats_a_code",
        "code model 200/250",
    ):
        assert said.count(stage) == 1
    check = check_reward(model, load_dataset(videos, model.image_size)).tasks["slide"]
    for kind in ("shuffled", "reversed", "random"):
        assert check.kinds[kind].video_auc == check.kinds[kind].clip_auc == 1
    assert check.return_correlation is not None
    assert check.return_correlation > 0.7

    loaded = VideoModel.load(tmp_path / "model")
    assert loaded.likelihood == likelihood
    assert set(loaded.calibration["slide"].quantiles) == set(check.kinds)
    lines = [json.loads(line) for line in (tmp_path / "model" / "metrics.jsonl").read_text().splitlines()]
    losses = [line["validation_nats_a_code"] for line in lines if "validation_nats_a_code" in line]
    assert losses[-1] < losses[0]
    for video in ("slide_reconstructed", "slide_imagined"):
        assert len(read_video(tmp_path / "model" / "videos" / f"{video}.mp4")) > 30
    assert not (tmp_path / "model" / "training.safetensors").exists()


def test_every_size_has_a_schedule() -> None:
    assert set(fit_module.SCHEDULES) == set(SIZES)


def test_a_finished_folder_is_only_loaded(videos: Path, tmp_path: Path) -> None:
    fit(videos, tmp_path / "model", "micro", vqgan_steps=2, code_model_steps=2)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "model").rglob("*")}
    fit(videos, tmp_path / "model", "micro", vqgan_steps=2, code_model_steps=2)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "model").rglob("*")} == before


def test_a_finished_folder_is_not_taken_for_another_training(videos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    options: dict[str, Any] = {"size": "micro", "vqgan_steps": 2, "code_model_steps": 2}
    fit(videos, folder, **options)
    for others, told in (
        ({"size": "tiny"}, "other size"),
        ({"likelihood": "masked"}, "other size, likelihood"),
        ({"seed": 1}, "other seed:"),
        ({"code_model_steps": 3}, "other steps:"),
    ):
        with pytest.raises(ModelError, match=told):
            fit(videos, folder, **{**options, **others})
    (videos / "videos.yaml").write_text("crop: {top: 0, left: 0, height: 4, width: 4}")
    with pytest.raises(ModelError, match=r"other videos\.yaml: choose another folder"):
        fit(videos, folder, **options)
    (videos / "videos.yaml").unlink()
    first, second = sorted(videos.rglob("slide/expert/*"))[:2]
    shutil.copy(first, second.with_stem("one_more"))
    with pytest.raises(ModelError, match="other videos:"):
        fit(videos, folder, **options)
    (folder / "training.json").write_text("[]")
    with pytest.raises(ModelError, match="other procedure, size, likelihood, steps, seed, videos, "):
        fit(videos, folder, **options)
    (folder / "training.json").write_text("{")
    with pytest.raises(ModelError, match=r"training\.json is damaged"):
        fit(videos, folder, **options)
    (folder / "training.json").unlink()
    with pytest.raises(ModelError, match="other size:"):
        fit(videos, folder, **{**options, "size": "tiny"})
    fit(videos, folder, **options)


def test_an_unfinished_training_of_unknown_videos_is_refused(videos: Path, tmp_path: Path) -> None:
    write_tensors(tmp_path / "model" / "training.safetensors", {"step": torch.zeros(1)}, {"step": 3})
    with pytest.raises(ModelError, match="holds an unfinished training with other"):
        fit(videos, tmp_path / "model", "micro")


class KilledError(Exception):
    pass


# In either stage.
@pytest.mark.parametrize(("likelihood", "killed_after"), [("videogpt", 3), ("videogpt", 8), ("masked", 8)])
def test_an_interrupted_training_ends_as_an_uninterrupted_one(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, likelihood: str, killed_after: int
) -> None:
    monkeypatch.setattr(fit_module, "SAVE_SECONDS", 0)  # after every step
    monkeypatch.setattr(fit_module, "LOG_EVERY", 1)
    whole = fit(videos, tmp_path / "whole", "micro", likelihood=likelihood, vqgan_steps=6, code_model_steps=6)

    save = fit_module.Training.save

    def save_and_die(training: fit_module.Training) -> None:
        save(training)
        if training.step == killed_after:
            raise KilledError

    with monkeypatch.context() as dying:
        dying.setattr(fit_module.Training, "save", save_and_die)
        with pytest.raises(KilledError):
            fit(videos, tmp_path / "killed", "micro", likelihood=likelihood, vqgan_steps=6, code_model_steps=6)
    # What was logged, and half logged, after the last checkpoint.
    with open(tmp_path / "killed" / "metrics.jsonl", "a") as file:
        file.write('{"step": 11, "stage": "code_model"}\n{"step": 12, "st')
    resumed = fit(videos, tmp_path / "killed", "micro", likelihood=likelihood, vqgan_steps=6, code_model_steps=6)
    for (name, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert whole.calibration == resumed.calibration
    metrics = [(tmp_path / run / "metrics.jsonl").read_text() for run in ("whole", "killed")]
    assert metrics[0] == metrics[1]


def test_kill_9_leaves_a_checkpoint_to_go_on_from(videos: Path, tmp_path: Path) -> None:
    script = """
        import sys, torch
        from pathlib import Path
        from viper_model.video_model.fit import training as fit
        torch.set_num_threads(1)
        fit.SAVE_SECONDS = 0
        fit.fit(Path(sys.argv[1]), Path(sys.argv[2]), "tiny", vqgan_steps=10_000)
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
        fit(videos, folder, "tiny", vqgan_steps=1)  # another schedule than the one that was under way
    with pytest.raises(ModelError, match="has its training finished"):
        VideoModel.load(folder)


def test_two_processes_learn_what_one_does_from_the_same_batches(videos: Path, tmp_path: Path) -> None:
    # Without dropout, which no two processes share; with the discriminator from the second step on.
    script = """
        import dataclasses, sys, torch
        from pathlib import Path
        from tests.viper_model.conftest import MICRO
        from viper_model.video_model.fit import training as fit
        from viper_model.video_model import video_model
        torch.set_num_threads(1)
        code_model = dataclasses.replace(MICRO.code_model, dropout=0.0)
        video_model.SIZES["still"] = dataclasses.replace(MICRO, code_model=code_model)
        fit.SCHEDULES["still"] = dataclasses.replace(
            fit.SCHEDULES["tiny"], vqgan_batch=8, adversarial_start=1, discriminator_width=8, clip_frames=6
        )
        fit.LOG_EVERY = 1
        fit.fit(Path(sys.argv[1]), Path(sys.argv[2]), "still", vqgan_steps=6, code_model_steps=6)
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
    assert (
        [line.pop("stage") for line in one] == [line.pop("stage") for line in two] == ["vqgan"] * 6 + ["code_model"] * 6
    )
    # Sums of the same numbers in another order: float32 keeps seven digits, and twelve steps lose some.
    assert two == [pytest.approx(line, rel=2e-3, abs=1e-5) for line in one]


def test_a_cut_checkpoint_is_told(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "training.safetensors").write_bytes(b"cut")
    with pytest.raises(ModelError, match=r"training\.safetensors"):
        fit(videos, tmp_path, "micro")


def test_clips_stay_within_their_video_and_reach_all_of_it() -> None:
    torch.manual_seed(0)
    lengths, skip = [9, 20, 13], 2
    index, task = ClipSampler(lengths, [0, 1, 0], clip_frames=4, frame_skip=skip).draw(3000)
    ends = np.cumsum(lengths)
    video = np.searchsorted(ends, index, side="right")
    assert (video == video[:, :1]).all()
    assert (torch.diff(index, dim=1) == skip).all()
    assert np.array_equal(task, np.array([0, 1, 0])[video[:, 0]])
    assert set(index.flatten().tolist()) == set(range(sum(lengths)))


def test_videos_shorter_than_a_clip_make_shorter_clips() -> None:
    index, _ = ClipSampler([5, 30], [0, 0], clip_frames=8, frame_skip=2).draw(50)
    assert index.shape == (50, 3)  # frames 0, 2 and 4 of the short video


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
    schedule = dataclasses.replace(fit_module.SCHEDULES["micro"], ema_decay=0.9999)
    monkeypatch.setitem(fit_module.SCHEDULES, "micro", schedule)
    fit(videos, tmp_path, "micro", vqgan_steps=20, code_model_steps=100)
    last = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])
    # Untrained weights give some ln 16 nats a code, the trained ones of the last steps a fraction of that.
    assert last["validation_nats_a_code"] < 0.5 * math.log(16)
