"""Short versions of trials in benchmarks/reliability: nodes in processes of their own that are killed and lied to."""

import os
import subprocess
import sys

import pytest

from tests import ROOT


def passes(trial: str, *arguments: str) -> str:
    """Run a trial to its end; returns what it printed."""
    result = subprocess.run(
        [sys.executable, "-m", f"benchmarks.reliability.{trial}", *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    return result.stdout


@pytest.mark.timeout(900)
def test_what_reaches_replay_survives_the_death_of_nodes() -> None:
    printed = passes("restarts", "--faults", "3", "--seed", "22")
    assert "nothing doubled, no wrong reward" in printed


@pytest.mark.timeout(900)
def test_no_hostile_message_ends_a_node_or_moves_the_arm() -> None:
    pytest.importorskip("robosuite", reason="ships the arms' models")
    printed = passes("fuzz", "--messages", "1000")
    assert "the arm stood still" in printed
