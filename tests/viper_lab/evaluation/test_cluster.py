"""Jobs through submitit, here on one machine as on a cluster's."""

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.viper_lab.evaluation.children import children
from tests.viper_lab.evaluation.test_jobs import COUNTING, counting, job, number
from viper_lab.errors import UserError
from viper_lab.evaluation.cluster import Cluster, ClusterJob
from viper_lab.evaluation.jobs import Crew


def needs_submitit() -> None:
    """To import it, as pytest.importorskip does, would close the handlers of logging."""
    if not find_spec("submitit"):
        pytest.skip("submitit is not installed: pip install -r requirements/cluster.txt")


def test_loggers_write_on_once_a_cluster_is_used(tmp_path: Path) -> None:
    needs_submitit()
    program = """
import logging
from pathlib import Path
logging.basicConfig(filename="log", filemode="w")
from viper_lab.evaluation.cluster import Cluster, ClusterJob
Cluster((), Path("jobs"), "local", "")
logging.warning("on")
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)
    assert (tmp_path / "log").read_text() == "WARNING:root:on\n"


def test_two_workers_one_is_killed_in_the_middle_and_its_run_is_taken_up_again(tmp_path: Path) -> None:
    needs_submitit()
    told: list[str] = []
    jobs = [
        counting(tmp_path, "prepared", 1),
        counting(tmp_path, "one", 40, 0.05, needs=("prepared",)),
        counting(tmp_path, "two", 40, 0.05, needs=("prepared",)),
        job(tmp_path, "bad", "say", "viper: no such thing", 1),
    ]
    crew = Crew(jobs, Cluster(COUNTING, tmp_path / "cluster", "local", ""), 2, told.append)
    killed: list[int] = []
    most = 0

    def watch() -> None:
        nonlocal most
        most = max(most, len(crew.running))
        if not killed and number(tmp_path / "one") >= 3:
            # All that runs for it, as where a machine goes down; the command may be gone when its worker is.
            for pid, command in children().items():
                if "submitit.core._submit" in command and f"{tmp_path / 'one'} " in "".join(children(pid).values()):
                    os.kill(pid, signal.SIGKILL)
                    killed.append(number(tmp_path / "one"))

    crew.run(watch)
    assert killed
    assert killed[0] < 40
    assert crew.done == {"prepared", "one", "two"}
    assert crew.failed == {"bad": "viper: no such thing"}
    assert told.count("started: one") == 2
    assert "killed: one; it goes on where it was" in told
    assert most == 2
    assert (number(tmp_path / "one"), number(tmp_path / "two")) == (40, 40)


def test_what_a_job_died_of_by_itself_is_told_and_not_called_killed(tmp_path: Path) -> None:
    needs_submitit()
    told: list[str] = []
    missing = str(tmp_path / "no" / "viper")
    crew = Crew([job(tmp_path, "one")], Cluster((missing,), tmp_path / "cluster", "local", ""), 1, told.append)
    crew.run(lambda: None)
    assert "No such file or directory" in crew.failed["one"]
    assert missing in crew.failed["one"]
    assert not any("killed" in line for line in told)


def test_a_job_that_slurm_refuses_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs_submitit()
    programs = {
        "srun": "",
        "sbatch": f"[ -e {tmp_path}/first ] && echo Submitted batch job 1 && exit; touch {tmp_path}/first\n"
        "echo sbatch: error: invalid partition specified: gpuu >&2; exit 1",
    }
    for name, script in programs.items():
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    cluster = Cluster(COUNTING, tmp_path / "cluster", "slurm", "{slurm_partition: gpuu}")
    refused, taken = (cluster.start(job(tmp_path, name)) for name in ("refused", "taken"))
    assert refused.status() == 1
    assert (tmp_path / "logs" / "refused.txt").read_text().endswith("invalid partition specified: gpuu\n")
    assert isinstance(taken, ClusterJob)


def test_without_submitit_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match=r"needs submitit: pip install -r requirements/cluster\.txt"):
        Cluster(COUNTING, tmp_path, "slurm", "")


@pytest.mark.parametrize(
    ("cluster", "options", "words"),
    [
        ("slurm", "", r"can't be used: .*slurm"),
        ("moon", "", "can't be used"),
        ("local", "{no_such_option: 3}", r"can't be used: .*no_such_option"),
        ("local", "gpu", "must be a mapping"),
        ("local", "{", "can't be read as YAML"),
        ("local", "{slurm_partition: gpu, slurm_partition: cpu}", "'slurm_partition' is there twice"),
    ],
)
def test_what_a_cluster_can_not_do_is_told_in_one_line(
    cluster: str, options: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_submitit()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match=words) as raised:
        Cluster(COUNTING, tmp_path, cluster, options)
    assert "\n" not in str(raised.value)
