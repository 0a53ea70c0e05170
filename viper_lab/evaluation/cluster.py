"""Jobs on a cluster, through submitit: Slurm, or `local`, the same way on this machine, to try it out.

Slurm is what clusters of universities and laboratories have, and our runs go on from a shared file system by
themselves. So nothing has to run between the jobs, as Ray's head would.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from viper_lab.errors import UserError
from viper_lab.evaluation.children import be_a_child
from viper_lab.evaluation.jobs import Job
from viper_model.yaml_files import YamlError, parse_yaml

CLUSTERS = ("slurm", "local")
DAY_MINUTES = 1440
_FAILED, _KILLED = 1, -9


def run_command(command: Sequence[str], log: str) -> int:
    """On the machine that does the work: run the command, what it says appended to `log`; returns its status."""
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as file:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            preexec_fn=be_a_child,
            check=False,
        ).returncode


class ClusterJob:
    """A job that the cluster has."""

    def __init__(self, job: Any, log: Path) -> None:
        """job: submitit's. log: what the command says is appended to it."""
        self._job, self._log = job, log

    def status(self) -> int | None:
        from submitit.core.utils import FailedJobError, UncompletedJobError

        if not self._job.done():
            return None
        try:
            return int(self._job.result())
        except FailedJobError as error:
            return _told(error, self._log)
        except UncompletedJobError:
            return _KILLED  # Its machine went down, it was preempted, its time was over.

    def stop(self) -> None:
        self._job.cancel(check=False)

    def kill(self) -> None:
        if self.status() is None:
            self._job.cancel(check=False)


class RefusedJob:
    """A job that the cluster did not take."""

    def status(self) -> int:
        return _FAILED

    def stop(self) -> None:
        """There is nothing to stop."""

    def kill(self) -> None:
        """There is nothing to kill."""


def _told(error: Exception, log: Path) -> int:
    """Write what went wrong where the command would have written, in a line; returns its status."""
    lines = str(error).strip().splitlines()
    reasons = [line for line in lines if re.match(r"[\w.]+: ", line)]  # as exceptions and sbatch give theirs
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "a") as file:
        file.write(f"{(reasons or lines)[-1]}\n")
    return _FAILED


class Cluster:
    """The engine of a cluster. Its machines share the file system that the run directories are on."""

    def __init__(self, command: Sequence[str], folder: Path, cluster: str, options: str) -> None:
        """command: the `viper` command, without arguments. folder: for submitit's own files. cluster: of CLUSTERS.
        options: what each job asks of the cluster, in YAML, by submitit's names, such as {slurm_partition: gpu}.

        Raises UserError where submitit is not installed, this is no such cluster, and for options that are none.
        """
        submitit = _submitit()
        chosen = _parsed(options)
        self._command = list(command)
        try:
            self._executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
            self._executor.update_parameters(**{"timeout_min": DAY_MINUTES, "name": "viper", **chosen})
        except (RuntimeError, TypeError, ValueError, NameError) as error:
            raise UserError(f"cluster:={cluster} can't be used: {' '.join(str(error).split())}") from error

    def start(self, job: Job) -> ClusterJob | RefusedJob:
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        log = job.log.resolve()
        try:
            return ClusterJob(self._executor.submit(run_command, [*self._command, *job.arguments], str(log)), log)
        except (FailedJobError, FailedSubmissionError) as error:
            _told(error, log)
            return RefusedJob()


def _submitit() -> Any:
    """The module. Raises UserError where it is not installed."""
    level = os.environ.get("SUBMITIT_LOG_LEVEL")
    os.environ["SUBMITIT_LOG_LEVEL"] = "NOCONFIG"  # Its configuration of logging closes the handlers of all others.
    try:
        import submitit
    except ImportError as error:
        raise UserError("cluster:= needs submitit: pip install -r requirements/cluster.txt") from error
    finally:
        del os.environ["SUBMITIT_LOG_LEVEL"]
        if level is not None:
            os.environ["SUBMITIT_LOG_LEVEL"] = level
    return submitit


def _parsed(options: str) -> dict[str, Any]:
    try:
        chosen = parse_yaml(options) if options else {}
    except YamlError as error:
        raise UserError(f"cluster_options:='{options}' can't be read as YAML: {error}") from error
    if not isinstance(chosen, dict):
        raise UserError(f"cluster_options:='{options}' must be a mapping, such as {{slurm_partition: gpu}}")
    return {str(name): value for name, value in chosen.items()}
