"""The launch files under the real launch_ros, where that is installed."""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.parameter_client import AsyncParameterClient
from rosbags.highlevel import AnyReader

from tests import ROOT
from tests.viper_ros.conftest import Listener, spin_until
from viper_lab.results.run_files import read_config
from viper_model.agents.registry import make_agent
from viper_model.torch_tools.checkpoint import write_tensors
from viper_ros.launching.arguments import LAUNCH_FILES

pytest.importorskip("launch_ros", reason="launch_ros is not on PyPI; it comes with a ROS 2 distribution")

LAUNCH = ROOT / "launch"
ORACLE = ("task:=cartpole_balance", "reward:=task")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `ros2 launch`; what a test leaves is killed."""
    started: list[subprocess.Popen[str]] = []

    def launch(name: str, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            ["ros2", "launch", str(LAUNCH / f"{name}.launch.py"), *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield launch
    for process in started:
        for number in running(process).values():
            os.kill(number, signal.SIGKILL)
        process.kill()
        process.communicate()


def running(process: subprocess.Popen[str]) -> dict[str, int]:
    """The nodes that a launch started and that are there, by executable, and their process ids."""
    lines = subprocess.run(["ps", "-eo", "sid,pid,args"], capture_output=True, text=True, check=True).stdout
    found = re.findall(rf"^\s*{process.pid}\s+(\d+)\s.*lib/viper_ros/(\w+_node) ", lines, re.MULTILINE)
    return {name: int(number) for number, name in found}


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)


def stop(process: subprocess.Popen[str], number: signal.Signals = signal.SIGINT) -> str:
    """Stop the launcher alone, see that nothing is left, and return what it said."""
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    wait_for(lambda: not running(process), process, 60)
    return said


class Ear(Listener):
    """Hears which nodes are at work, and asks them for parameters."""

    def __init__(self) -> None:
        super().__init__({"/diagnostics": DiagnosticArray}, 10)

    def reports(self) -> dict[str, str]:
        return {status.name: status.message for array in self.heard["/diagnostics"] for status in array.status}

    def ask(self, node: str, *names: str) -> list[Any]:
        client = AsyncParameterClient(self, node)
        asked = client.get_parameters(list(names))
        spin_until([self], asked.done)
        return [value.bool_value if value.type == 1 else value.string_value for value in asked.result().values]


@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_every_argument_is_described_with_its_choices(name: str) -> None:
    shown = subprocess.run(
        ["ros2", "launch", str(LAUNCH / f"{name}.launch.py"), "--show-args"], capture_output=True, text=True, check=True
    ).stdout
    assert "no description given" not in shown
    for argument in LAUNCH_FILES[name]:
        assert f"'{argument.name}':\n        {argument.description}" in shown
        if argument.choices:
            assert str(list(argument.choices)) in shown


@pytest.mark.parametrize(
    ("number", "whole_group"), [(signal.SIGINT, True), (signal.SIGINT, False), (signal.SIGTERM, False)]
)
def test_stopping_the_launch_leaves_no_node_behind(
    number: signal.Signals, whole_group: bool, start: Callable, tmp_path: Path
) -> None:
    process = start("train", *ORACLE, f"directory:={tmp_path}")
    metrics = tmp_path / "runs" / "cartpole_balance_oracle" / "metrics.jsonl"
    wait_for(metrics.exists, process)
    assert running(process).keys() == {"sim_node", "policy_node"}
    # A terminal's Ctrl-C goes to the whole group, and the launcher passes it on once more.
    os.killpg(process.pid, number) if whole_group else process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    wait_for(lambda: not running(process), process)
    assert (metrics.parent / "checkpoint.safetensors").exists()
    assert "is done" not in said
    if number == signal.SIGINT:
        assert "cartpole_balance_oracle has stopped at step" in said


def test_a_training_as_a_parameter_file_says_ends_with_what_came_out_and_where_the_page_is(
    start: Callable, tmp_path: Path
) -> None:
    short = "steps: 30, prefill: 10, evaluation_episodes: 1, end_evaluation_episodes: 1, replay_ratio: 1"
    (tmp_path / "mine.yaml").write_text(
        f"/**/policy_node:\n  ros__parameters: {{reward: task, {short}}}\n"
        "/**/sim_node:\n  ros__parameters: {action_repeat: 8}\n"
    )
    process = start("train", "task:=cartpole_balance", "params_file:=mine.yaml")
    said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said
    run = tmp_path / "runs" / "cartpole_balance_oracle"
    assert f"run {run} is done, after " in said
    assert "cartpole_balance, ground-truth return at step 30: before training " in said
    assert f"report: {run / 'report.html'}\n" in said
    assert read_config(run)["settings"]["sim_node"]["action_repeat"] == 8


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("train", "task:=no_such_task", "reward:=task"), "no task 'no_such_task'"),
        (("score", "image:=/camera", "model:=nowhere"), "nowhere"),
        (("score", "image:=/camera", "model:=nowhere", "params_file:=nothing.yaml"), "there is no such file"),
        (("deploy", "arm:=panda", "policy:=nowhere", "sim:=true"), "nowhere"),
        (("deploy", "arm:=crane", "policy:=nowhere"), "crane"),
        (("record", "out:=."), "is there already"),
        (("record", "out:=bag", "run:=mine"), "record.launch.py has no argument 'run'"),
        (("train", "steps:=0"), "steps is 0, but must be from 1 to"),
        (("train", "reward_model:=nowhere"), "no video model in nowhere"),
    ],
)
def test_a_node_that_cannot_start_ends_the_launch_with_a_failure(
    arguments: tuple[str, ...], why: str, start: Callable
) -> None:
    process = start(*arguments)
    said, _ = process.communicate(timeout=120)
    assert process.returncode != 0, said
    assert why in said
    assert not running(process)


def test_a_launch_file_that_includes_ours_may_have_arguments_of_its_own(start: Callable, tmp_path: Path) -> None:
    (tmp_path / "mine.launch.py").write_text(
        "from launch import LaunchDescription\n"
        "from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription\n"
        "from launch.launch_description_sources import AnyLaunchDescriptionSource\n"
        "def generate_launch_description():\n"
        f"    ours = AnyLaunchDescriptionSource({str(LAUNCH / 'record.launch.py')!r})\n"
        "    ours = IncludeLaunchDescription(ours, launch_arguments=[('out', '.')])\n"
        "    return LaunchDescription([DeclareLaunchArgument('robot'), ours])\n"
    )
    said, _ = start(tmp_path / "mine", "robot:=left").communicate(timeout=120)
    assert "is there already" in said


@pytest.mark.usefixtures("ros")
def test_score_follows_its_arguments_and_comes_back_when_it_is_killed(
    start: Callable, model_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.yaml").write_text("/**:\n  ros__parameters:\n    likelihood: joint\n    use_sim_time: true\n")
    process = start(
        "score",
        "image:=/camera/color/image_raw",
        f"model:={model_folder}",
        "task:=cartpole_swingup",
        "namespace:=second",
        "params_file:=mine.yaml",
        "log_level:=warn",
    )
    ear = Ear()
    spin_until([ear], lambda: ear.count_subscribers("/camera/color/image_raw") == 1, 120)
    assert ear.ask("/second/reward_node", "likelihood", "use_sim_time", "steps", "task") == [
        "joint",
        True,
        False,
        "cartpole_swingup",
    ]
    killed = running(process)["reward_node"]
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: running(process).get("reward_node", killed) != killed, process, 20)
    said = stop(process, signal.SIGTERM)
    assert "killed by signal 9: starting it again" in said


@pytest.mark.usefixtures("ros")
def test_deploy_starts_the_arms_graph_in_a_dry_run_and_ends_whole_when_a_node_is_killed(
    start: Callable, tmp_path: Path
) -> None:
    tensors, agent = make_agent("dreamer", "tiny", "continuous", 7, 64, exploration_weight=0.0, seed=0).state()
    write_tensors(tmp_path / "run" / "checkpoint.safetensors", tensors, {"agent": agent})
    process = start("deploy", "arm:=panda", "policy:=run", "sim:=true", "namespace:=left", "controller:=mine")
    ear = Ear()
    names = {"/left/arm_node", "/left/act_node", "/left/simulated_arm"}
    spin_until([ear], lambda: names <= ear.reports().keys(), 120)
    assert ear.ask("/left/arm_node", "dry_run", "arm") == [True, "panda"]
    assert ear.count_publishers("/left/mine/joint_trajectory/would_send") == 1
    assert ear.count_publishers("/left/mine/joint_trajectory") == 0
    os.kill(running(process)["act_node"], signal.SIGKILL)
    said, _ = process.communicate(timeout=60)
    assert process.returncode != 0, said
    wait_for(lambda: not running(process), process, 20)


@pytest.mark.usefixtures("ros")
def test_record_ends_with_a_whole_bag_and_listens_to_time_and_log_level(start: Callable, tmp_path: Path) -> None:
    process = start("record", "out:=bag", "topics:=/diagnostics", "use_sim_time:=true", "log_level:=debug")
    ear = Ear()
    # It says so once it has written a message: its own report, if no other.
    spin_until([ear], lambda: ear.reports().get("/record_node") == "recording", 120)
    assert ear.ask("/record_node", "use_sim_time") == [True]
    assert "[DEBUG]" in stop(process)
    with AnyReader([tmp_path / "bag"]) as bag:
        assert bag.topics["/diagnostics"].msgcount >= 1
