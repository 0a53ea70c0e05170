"""Short versions of the trials in benchmarks/: nodes in processes of their own that are killed, frozen and lied to."""

import os
import subprocess
import sys

import pytest

from tests import ROOT

BENCHMARKS = ROOT / "benchmarks"


def passes(trial: str, *arguments: str) -> str:
    """Run a trial to its end; returns what it said."""
    result = subprocess.run(
        [sys.executable, str(BENCHMARKS / trial), *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    return result.stdout


@pytest.mark.timeout(900)
def test_what_reaches_replay_survives_the_death_of_nodes() -> None:
    said = passes("restarts.py", "--faults", "3", "--seed", "22")
    assert "nothing doubled, no wrong reward" in said


@pytest.mark.timeout(900)
def test_no_hostile_message_ends_a_node_or_moves_the_arm() -> None:
    pytest.importorskip("robosuite", reason="ships the arms' models")
    said = passes("fuzz.py", "--messages", "2000")
    assert "the arm stood still" in said
