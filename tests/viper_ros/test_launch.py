"""The launch file under the real launch_ros, where that is installed."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

pytest.importorskip("launch_ros", reason="launch_ros is not on PyPI; it comes with a ROS 2 distribution")

LAUNCH = Path(__file__).parent.parent.parent / "launch" / "train.launch.py"
ORACLE = ("task:=cartpole_balance", "reward:=task", "log_level:=warn")


def start(where: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["ros2", "launch", str(LAUNCH), *arguments, f"directory:={where}"],
        cwd=where,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def nodes_running() -> set[str]:
    lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()
    return {
        name for name in ("sim_node", "policy_node", "reward_node") for line in lines if f"viper_ros/{name}" in line
    }


def wait_for(condition: object, process: subprocess.Popen[str], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)


def test_every_argument_is_described() -> None:
    shown = subprocess.run(
        ["ros2", "launch", str(LAUNCH), "--show-args"], capture_output=True, text=True, check=True
    ).stdout
    assert "'task':" in shown
    assert "no description given" not in shown


@pytest.mark.parametrize(
    ("number", "whole_group"), [(signal.SIGINT, True), (signal.SIGINT, False), (signal.SIGTERM, False)]
)
def test_stopping_the_launch_leaves_no_node_behind(number: signal.Signals, whole_group: bool, tmp_path: Path) -> None:
    process = start(tmp_path, *ORACLE)
    metrics = tmp_path / "runs" / "cartpole_balance_oracle" / "metrics.jsonl"
    wait_for(metrics.exists, process)
    assert nodes_running() == {"sim_node", "policy_node"}
    # A terminal's Ctrl-C goes to the whole group, and the launcher passes it on once more.
    os.killpg(process.pid, number) if whole_group else process.send_signal(number)
    process.wait(60)
    wait_for(lambda: not nodes_running(), process)
    assert (metrics.parent / "checkpoint.safetensors").exists()


def test_a_node_that_cannot_start_ends_the_launch_with_a_failure(tmp_path: Path) -> None:
    process = start(tmp_path, "task:=no_such_task", "reward:=task")
    said, _ = process.communicate(timeout=120)
    assert process.returncode != 0, said
    assert "no task 'no_such_task'" in said
    assert not nodes_running()
