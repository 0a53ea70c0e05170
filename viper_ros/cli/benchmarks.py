"""Commands that carry out many runs and compare them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from viper_ros.cli.console import console
from viper_ros.cli.options import DIRECTORY, Directory

VIPER = (sys.executable, "-m", "viper_ros.cli")
"""The `viper` command in another process."""

commands = typer.Typer()


@commands.command()
def benchmark(
    suite: Annotated[
        str, typer.Option(help="A suite of config/suites/ (quick, paper, smoke), or a YAML file.")
    ] = "quick",
    workers: Annotated[
        int, typer.Option(min=0, help="Runs side by side; 0: one a GPU, or one a core where there is no GPU.")
    ] = 0,
    cluster: Annotated[
        str, typer.Option(help="Where runs go instead of this machine: slurm, or local to try that out.")
    ] = "",
    cluster_options: Annotated[
        str, typer.Option(help="What each job asks of the cluster, in YAML, such as {slurm_partition: gpu}.")
    ] = "",
    directory: Directory = Path(DIRECTORY.default),
) -> None:
    """Train all runs of a suite, side by side, and compare them on a page.

    Stop it at any time; the same command goes on where it was. What is done is not done again; a run that fails is
    named, and the others go on. Status 1 where one has failed.
    """
    # What runs need, and what compares them, is missed before any of them, not after.
    import viper_lab.evaluation.aggregate  # noqa: F401
    import viper_ros.graph  # noqa: F401
    from viper_lab.errors import UserError
    from viper_lab.evaluation.benchmark import Benchmark
    from viper_lab.evaluation.jobs import Engine
    from viper_lab.evaluation.processes import LocalProcesses, default_workers
    from viper_lab.evaluation.suite import load_suite

    chosen = load_suite(suite, directory)
    workers = workers or default_workers()
    engine: Engine
    if cluster:
        from viper_lab.evaluation.cluster import Cluster

        engine = Cluster(VIPER, chosen.directory(directory) / "cluster", cluster, cluster_options)
    elif cluster_options:
        raise UserError(f"cluster_options:='{cluster_options}' asks nothing of this machine: add cluster:=slurm")
    else:
        engine = LocalProcesses(VIPER, workers)
    plan = Benchmark(chosen, directory)
    plan.carry_out(engine, workers, console)
    if plan.finished:
        _compare(plan.folder)
    if plan.problems:
        names = ", ".join(sorted(plan.problems))
        raise UserError(f"{len(plan.problems)} of {len(chosen.runs)} runs failed: {names}")


@commands.command()
def aggregate(
    runs: Annotated[Path, typer.Argument(help="A folder of runs, such as runs/quick that `viper benchmark` filled.")],
) -> None:
    """Compare the runs of a folder: a page with intervals over seeds, and CSV files."""
    _compare(runs)


def _compare(runs: Path) -> None:
    from viper_lab.evaluation.aggregate import write_aggregate

    page, lines = write_aggregate(runs)
    for line in lines:
        console.print(line)
    console.print(f"page: {page}")
