"""What runs where ROS is missing, and what is said of what is missing."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import typer
from rosbags.highlevel import AnyReader

from tests import ROOT
from tests.viper_model.videos.writers import write_bag
from viper_lab import doctor
from viper_lab.experiment.untrained import untrained_model
from viper_ros.cli.main import MODULES

ROS = ("rclpy", "rcl_interfaces", "sensor_msgs", "std_msgs", "diagnostic_msgs", "ament_index_python", "viper_ros.msg")
HIDE = """
import sys
for name in {hidden!r}:
    sys.modules[name] = None
from viper_ros.cli.main import main
for arguments in {runs!r}:
    sys.argv = ["viper", *arguments]
    status = main()
    assert status or not {unused!r} & sys.modules.keys()
    if status:
        sys.exit(status)
"""
COMMANDS = [name for names in MODULES.values() for name in names]


def viper(
    *arguments: str, hidden: tuple[str, ...] = ROS, unused: tuple[str, ...] = (), where: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run `viper` in a Python that finds no `hidden` modules; where it succeeds it must not have loaded `unused`."""
    return vipers([arguments], hidden, unused, where)


def vipers(
    runs: list[tuple[str, ...]], hidden: tuple[str, ...] = ROS, unused: tuple[str, ...] = (), where: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run `viper` once for each of `runs`, in one process that ends with the first failing status."""
    program = HIDE.format(hidden=hidden, runs=runs, unused=set(unused) - set(hidden))
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=where,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "COLUMNS": "200", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_help_needs_neither_torch_nor_ros_nor_a_simulator() -> None:
    result = viper("--help", hidden=(*ROS, "torch", "mujoco", "av", "cv2"), unused=("matplotlib",))
    assert result.returncode == 0, result.stderr
    assert all(name in result.stdout for name in COMMANDS)


def test_no_commands_own_help_needs_ros() -> None:
    result = vipers([(command, "--help") for command in COMMANDS])
    assert result.returncode == 0, result.stderr
    assert [line.split()[2] for line in result.stdout.splitlines() if "Usage:" in line] == COMMANDS


@pytest.mark.parametrize(("command", "argument"), [("train", "reward:=task"), ("benchmark", "suite:=smoke")])
def test_training_without_ros_is_refused_in_one_line(command: str, argument: str, tmp_path: Path) -> None:
    result = viper(command, argument, where=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith(f"viper {command} needs ROS 2: ")
    assert len(result.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_benchmark_that_could_not_be_compared_is_refused_before_it_runs(tmp_path: Path) -> None:
    result = viper("benchmark", "suite:=smoke", hidden=("rliable",), where=tmp_path)
    assert (result.returncode, result.stderr) == (
        1,
        "viper: this needs rliable: pip install -r requirements/rliable.txt\n",
    )
    assert not list(tmp_path.iterdir())


def test_fitting_without_torch_is_refused_in_one_line(tmp_path: Path) -> None:
    result = viper("fit", "data:=videos", "model:=model", hidden=(*ROS, "torch"), where=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("viper fit needs torch: ")
    assert len(result.stderr.splitlines()) == 1


def test_the_doctor_tells_of_what_is_missing() -> None:
    result = viper("doctor", hidden=(*ROS, "torch", "av"))
    assert result.returncode == 1
    for missing in ("torch", "ROS 2", "videos (H.264)"):
        (line,) = [line for line in result.stdout.splitlines() if missing in line.partition("  ")[0]]
        assert line.strip().startswith("missing"), line
    assert not result.stderr


@pytest.mark.parametrize(("torch", "said"), [(True, "7.7"), (False, "which has no torch: export PYTHONPATH=")])
def test_the_doctor_looks_where_ros2_runs(
    torch: bool, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The `ros2` of apt's packages runs in the system's Python, whatever environment is activated."""
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nexit {0 if torch else 1}\n")
    ros2 = tmp_path / "ros2"
    ros2.write_text(f"#!{python}\n")
    for program in (python, ros2):
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(doctor, "_version", lambda package: "7.7")
    finding = doctor._ros2_launch()
    assert said in (finding.found or finding.remedy)


@pytest.mark.parametrize("module", MODULES)
def test_commands_are_listed_with_the_module_that_has_them(module: str) -> None:
    """Each is found by its name, and told of in `viper --help` by the first line of its own help."""

    group = typer.main.get_group(import_module(f"viper_ros.cli.{module}").commands)
    assert tuple(group.commands) == MODULES[module]


def test_a_bag_is_scored_without_ros(tmp_path: Path) -> None:
    untrained_model(tmp_path / "model", "push")
    frames = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    write_bag(tmp_path / "bag", frames, 10.0, firsts=[0])
    result = viper("score", "bag", "model:=model", where=tmp_path)
    assert result.returncode == 0, result.stderr
    with AnyReader([tmp_path / "bag_scored"]) as bag:
        assert bag.topics["/camera/reward"].msgcount == 4
