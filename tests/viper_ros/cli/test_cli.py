"""The `viper` command as its users meet it: exit statuses, one line for a mistake; processes where they matter."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests import ROOT
from tests.viper_lab.results.runs import write_run
from viper_lab.results.run_files import read_metrics
from viper_model.agents.replay import Replay
from viper_model.torch_tools.checkpoint import read_tensors
from viper_ros.cli.main import Commands, _mistake, main
from viper_ros.runtime.process import FAST_DDS_PROFILES

WITHOUT_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")

SMALL = [
    "reward:=task",
    "task:=cartpole_swingup",
    *(
        argument
        for setting in (
            "sim_node.action_repeat=50",
            "sim_node.image_size=16",
            "policy_node.image_size=16",
            "policy_node.prefill=20",
            "policy_node.batch_size=2",
            "policy_node.replay_ratio=4",
            "policy_node.save_every=1",
            "policy_node.end_evaluation_episodes=1",
        )
        for argument in ("--set", setting)
    ),
]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "import sys; from viper_ros.cli.main import main; sys.exit(main())", *arguments]


def viper(*arguments: str, where: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=where, env=environment(), capture_output=True, text=True, timeout=200, check=False
    )


def environment() -> dict[str, str]:
    root = str(ROOT)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]), "COLUMNS": "200"}


Told = tuple[int, str, str]
"""Exit status, standard output and error."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    """`viper` in this process and an empty folder: what a process of its own costs is to load torch, each time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv(FAST_DDS_PROFILES[0], str(ROOT / "config" / "fastdds.xml"))  # as it is set for good otherwise

    def run(*arguments: str) -> Told:
        monkeypatch.setattr(sys, "argv", ["viper", *arguments])
        status = main()
        return status, *capfd.readouterr()

    return run


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["train", "sim:=dcm"], "one of: dmc"),
        (["train", "steps:=0"], "from 1 to"),
        (["train", "viz:=opengl"], "none, rerun"),
        (["train", "reward_model:=nowhere"], "no video model in nowhere"),
        (["train", "reward_task:=walker_walk"], "reward_model:="),
        (["train", "task:=cartpole_swngup", "reward:=task"], "cartpole_swingup"),
        (["train", "--set", "policy_node.size=gigantic"], "tiny"),
        (["train", "--set", "policy_node.image_size=33"], "16, 32, 48"),
        (["train", "--set", "reward_node.likelihood=likely"], "auto, conditional, joint, ratio"),
        (["train", "reward:=task", "--set", "policy_node.replay_ratio=-1"], "replay_ratio"),
        (["train", "reward:=task", "--set", "policy_node.replay_rato=1"], "did you mean replay_ratio"),
        (["train", "reward:=task", "--set", "policy_nod.size=tiny"], "policy_node"),
        (["train", "reward:=task", "--set", "nonsense"], "section.parameter=value"),
        (["train", "reward:=likelihood"], "viper, task"),
        (["train", "--set", "policy_node.reward=likelihood"], "viper, task"),
        (["train", "reward:=task", "likelihood:=ratio"], "reward:=task has none"),
        (["train", "viz_file:=a.rrd"], "viz:=rerun"),
        (["train", "reward:=amp", "likelihood:=joint"], "reward:=amp has none"),
        (["train", "reward:=amp", "--set", "policy_node.videos=nowhere"], "no data folder at nowhere"),
        (["fit", "data:=nowhere", "model:=model"], "no data folder at nowhere"),
        (["fit", "data:=.", "model:=model", "size:=gigantic"], "tiny"),
        (["fit", "data:=.", "model:=model", "device:=gpu"], "auto, cpu, cuda"),
        pytest.param(["score", "video.mp4", "model:=model", "device:=cuda"], "no CUDA GPU", marks=WITHOUT_GPU),
        pytest.param(["train", "--set", "fit.device=cuda"], "no CUDA GPU", marks=WITHOUT_GPU),
        pytest.param(["train", "--set", "policy_node.device=cuda"], "no CUDA GPU", marks=WITHOUT_GPU),
        (["data", "nowhere"], "no data folder at nowhere"),
        (["fit", "data:=.", "model:=model", "code_model:=guessed"], "videogpt, masked"),
        (["fit", "data:=.", "model:=model", "tokenizer:=guessed"], "patches, vqgan"),
        (["score", "video.mp4", "model:=nowhere"], "no video model in nowhere"),
        (["check-reward", "data:=.", "model:=nowhere"], "no video model in nowhere"),
        (["check-reward", "data:=.", "strict:=true", "model:=nowhere"], "no video model in nowhere"),
        (["score", "bag", "maps:=false", "model:=nowhere"], "no video model in nowhere"),
        (["imagine", "video:=video.mp4", "model:=nowhere"], "no video model in nowhere"),
        (["progress", "data:=.", "model:=nowhere"], "no LeRobot dataset"),
        (["report", "nowhere"], "no run in nowhere"),
        (
            ["cross-embodiment", "pairs:=all"],
            "no pairs in all: give a YAML file, or one of lids, paper, same_scene, small",
        ),
        (["cross-embodiment", "--set", "record.episodes=3"], "10 videos at least"),
        (["record", "behaviour:=wise"], "expert"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_told_in_one_line_with_a_failing_status(
    arguments: list[str], word: str, here: Callable[..., Told], tmp_path: Path
) -> None:
    status, output, errors = here(*arguments)
    assert status == 1
    assert word in errors
    assert "Traceback" not in errors + output
    assert len(errors.strip().splitlines()) <= 2
    assert not (tmp_path / "data").exists(), "videos were recorded before the mistake was told"


def test_a_run_of_another_task_is_told_before_videos_are_recorded_for_it(
    here: Callable[..., Told], tmp_path: Path
) -> None:
    write_run(tmp_path / "runs" / "mine", {0: [1.0]}, task="walker_walk")
    status, _, errors = here("train", "name:=mine", "task:=cartpole_balance")
    assert status == 1
    assert "runs/mine was started with task 'walker_walk', not 'cartpole_balance': choose another name:=" in errors
    assert not (tmp_path / "data").exists()


def test_a_home_that_the_shell_leaves_behind_an_assignment_is_the_users(
    here: Callable[..., Told], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    _, _, errors = here("fit", "data:=~/videos", "model:=~/model")
    assert errors == f"viper: no data folder at {tmp_path}/home/videos\n"


def test_a_mistake_is_the_end_of_a_process(tmp_path: Path) -> None:
    result = viper("data", "nowhere", where=tmp_path)
    assert result.returncode == 1
    assert result.stderr == "viper: no data folder at nowhere\n"


def test_an_unreadable_video_is_told_in_one_line(here: Callable[..., Told], tmp_path: Path, model_folder: Path) -> None:
    (tmp_path / "video.mp4").write_bytes(b"this is no video")
    (tmp_path / "video.npz").write_bytes(b"PK\x03\x04 half")
    for video in ("video.mp4", "video.npz", "missing.avi"):
        status, _, errors = here("score", video, f"model:={model_folder}", "task:=cartpole_swingup")
        assert status == 1
        assert video in errors
        assert "Traceback" not in errors


def test_an_unknown_precision_is_told_the_known_ones(here: Callable[..., Told], model_folder: Path) -> None:
    task = "task:=cartpole_swingup"
    status, _, errors = here("score", "video.mp4", f"model:={model_folder}", task, "precision:=half")
    assert status == 1
    assert "float32, bfloat16" in errors


@pytest.mark.parametrize(
    "arguments",
    [
        ["score", "video.npz", "rate:=inf"],
        ["score", "video.npz", "rate:=nan"],
        ["imagine", "video:=video.npz", "rate:=1e12"],
        ["imagine", "video:=video.npz", "seed:=99999999999999999999999"],
        ["imagine", "video:=video.npz", "samples:=1000000000"],
        ["imagine", "video:=video.npz", "steps:=1000000000"],
    ],
    ids=" ".join,
)
def test_a_number_out_of_range_is_refused_at_once_and_help_tells_the_range(
    arguments: list[str], here: Callable[..., Told]
) -> None:
    status, _, errors = here(*arguments, "model:=nowhere")
    name = arguments[-1].partition(":=")[0]
    assert status == 2
    assert f"Invalid value for '--{name}'" in errors
    _, output, _ = here(arguments[0], "--help")
    assert "<=x<=" in next(line for line in output.splitlines() if f"--{name}" in line)


@pytest.mark.parametrize("ask", [lambda: torch.empty(2**50), lambda: np.empty(2**50), lambda: bytearray(2**60)])
def test_too_little_memory_is_told_in_one_line(ask: Callable[[], object]) -> None:
    with pytest.raises((MemoryError, RuntimeError)) as raised:
        ask()
    assert _mistake(raised.value, "imagine").startswith("viper: this machine's memory is too small")


@pytest.mark.parametrize("arguments", [["--help"], ["data", "."]])
def test_output_to_a_full_disk_is_told_in_one_line(arguments: list[str], tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            command(*arguments),
            cwd=tmp_path,
            env={**environment(), "PYTHONUNBUFFERED": ""},  # what is left in a buffer is tried again at the end
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=100,
        )
    assert result.returncode == 1
    assert result.stderr == "viper: the disk is full, or what the output goes to\n"


@pytest.mark.parametrize(
    ("end", "status", "how"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (SystemExit(130), 130, "interrupted"),
        (SystemExit(143), 143, "terminated"),
    ],
)
@pytest.mark.parametrize(
    ("name", "then"),
    [
        ("train", "the same command goes on where it was"),
        ("record", "the same command goes on where it was"),
        ("fit", "the same command goes on from what it last saved, which it does every 20 seconds of training"),
        ("score", "the same command begins anew"),
    ],
)
def test_a_signal_s_end_tells_what_the_same_command_does_then(
    name: str,
    then: str,
    end: BaseException,
    status: int,
    how: str,
    here: Callable[..., Told],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(self: Commands, arguments: list[str]) -> None:
        raise end

    monkeypatch.setattr(Commands, "__call__", run)
    assert here(name) == (status, "", f"viper: {how}; {then}\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_score_in_one_line_and_leaves_nothing_half_written(
    number: signal.Signals, tmp_path: Path, model_folder: Path
) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (600, 64, 64, 3), np.uint8)
    np.savez(tmp_path / "video.npz", image=frames)
    arguments = ("score", "video.npz", f"model:={model_folder}", "task:=cartpole_swingup", "out:=out")
    process = subprocess.Popen(command(*arguments), cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True)
    wait_for((tmp_path / "out" / ".video_likelihood_map.mp4.part").exists, process)
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    assert process.stderr
    assert process.stderr.read().splitlines()[-1].endswith("; the same command begins anew")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"video_likelihood.csv", "video_likelihood.png"}


def test_of_several_processes_that_fit_one_judges(tmp_path: Path) -> None:
    program = tmp_path / "viper.py"
    program.write_text(
        "import sys; from viper_model.video_model.fit import example_videos; from viper_ros.cli.main import main\n"
        "example_videos.IMAGINED = 2; sys.exit(main())"  # sampling takes longer than all the rest
    )
    (tmp_path / "videos" / "push").mkdir(parents=True)
    for number in range(4):
        frames = np.random.default_rng(number).integers(0, 256, (40, 32, 32, 3), np.uint8)
        np.savez(tmp_path / "videos" / "push" / f"{number}.npz", image=frames)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", program]
    result = subprocess.run(
        [*torchrun, "fit", "data:=videos", "model:=model", "code_model_steps:=1", "background_steps:=1"],
        cwd=tmp_path,
        env={**environment(), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("report: ") == 1
    assert (tmp_path / "model" / "check.html").exists()


def test_a_video_is_scored_to_a_table_a_plot_and_a_video(tmp_path: Path, model_folder: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3), np.uint8)
    (tmp_path / "videos").mkdir()
    np.savez(tmp_path / "videos" / "video.npz", image=frames)
    result = viper("score", "videos/video.npz", f"model:={model_folder}", "task:=cartpole_swingup", where=tmp_path)
    assert result.returncode == 0, result.stderr
    assert len((tmp_path / "video_likelihood.csv").read_text().splitlines()) == 21
    assert (tmp_path / "video_likelihood.png").stat().st_size > 1000
    assert (tmp_path / "video_likelihood_map.mp4").stat().st_size > 1000
    assert [path.name for path in (tmp_path / "videos").iterdir()] == [
        "video.npz"
    ]  # results would pass for videos there


StartTraining = Callable[[Path, int], "subprocess.Popen[str]"]


@pytest.fixture
def start_training() -> Iterator[StartTraining]:
    started = []

    def start(where: Path, steps: int) -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                command("train", *SMALL, f"steps:={steps}"),
                cwd=where,
                env=environment(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:  # A graph that a failed test left behind would ruin those of the next.
        process.kill()
        process.wait()


def wait_for(condition: object, process: subprocess.Popen[str]) -> None:
    """Wait until `condition`; fails where the process ends before or nothing comes about."""
    deadline = time.monotonic() + 120
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
            raise AssertionError(process.stderr.read() if process.stderr else "")


def updates_saved(checkpoint: Path) -> int:
    """Updates in a checkpoint; 0 where there is none."""
    return int(read_tensors(checkpoint)[1]["agent"]["updates"]) if checkpoint.exists() else 0


def test_killed_at_a_random_time_step_it_goes_on_and_no_file_is_corrupt(
    tmp_path: Path, start_training: StartTraining
) -> None:
    run = tmp_path / "runs" / "cartpole_swingup_oracle"
    checkpoint = run / "checkpoint.safetensors"
    rng = np.random.default_rng(int(time.time()))
    total = updates = 0
    for _ in range(2):
        process = start_training(tmp_path, 100_000)
        wait_for(lambda before=updates: updates_saved(checkpoint) > before, process)
        # Somewhere in the next second: in a step, an update, a save.
        until = time.monotonic() + rng.uniform(0, 1)
        wait_for(lambda until=until: time.monotonic() > until, process)
        process.kill()
        process.wait()

        assert updates_saved(checkpoint) > updates
        updates = updates_saved(checkpoint)
        replay = Replay(run / "replay", 1_000_000, 16, 1)
        assert replay.skipped == []
        assert replay.total >= total
        total = replay.total
        records = read_metrics(run)
        assert [r["round"] for r in records if "round" in r] == [0]

    process = start_training(tmp_path, total + 21)
    assert process.wait(200) == 0, process.stderr.read() if process.stderr else ""
    assert Replay(run / "replay", 1_000_000, 16, 1).total >= total + 21
    assert (run / "report.html").stat().st_size > 10_000


def test_two_runs_in_one_directory_and_ctrl_c(tmp_path: Path, start_training: StartTraining) -> None:
    run = tmp_path / "runs" / "cartpole_swingup_oracle"
    process = start_training(tmp_path, 100_000)
    wait_for(lambda: (run / "metrics.jsonl").exists(), process)
    for namespace, told in (("", "another graph publishes /env_0/"), ("aside", "in use by another run")):
        second = viper("train", *SMALL, f"namespace:={namespace}", where=tmp_path)
        assert second.returncode == 1
        assert told in second.stderr
        assert len(second.stderr.splitlines()) == 1
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert process.stderr
    assert process.stderr.read().splitlines()[-1] == "viper: interrupted; the same command goes on where it was"
    read_tensors(run / "checkpoint.safetensors")


def test_a_disk_that_fills_up_ends_the_run_in_one_line_and_the_last_checkpoint_stays(
    tmp_path: Path, start_training: StartTraining
) -> None:
    run = tmp_path / "runs" / "cartpole_swingup_oracle"
    checkpoint = run / "checkpoint.safetensors"
    process = start_training(tmp_path, 100_000)
    wait_for(checkpoint.exists, process)
    # From now on, what is written beside the checkpoint meets a full disk.
    part = run / ".checkpoint.safetensors.part"
    while process.poll() is None:
        try:
            part.symlink_to("/dev/full")
        except FileExistsError:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.01)
    assert process.wait() == 1
    said = process.stderr.read() if process.stderr else ""
    assert "the disk is full" in said
    assert "Traceback" not in said
    read_tensors(checkpoint)
