"""Commands that look at videos and record them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sim.experts import BEHAVIOURS
from viper_ros.cli.console import console
from viper_ros.cli.options import DIRECTORY, SIM, Arm, Directory, Settings, Sim, Task

commands = typer.Typer()


@commands.command()
def data(
    folder: Annotated[Path, typer.Argument(help="Videos, as `viper fit data:=` takes them.")],
) -> None:
    """Say what videos a folder holds and what is wrong with them. Status 1 where none can be used."""
    from viper_lab.results.data_table import print_survey

    if not print_survey(folder, console):
        raise typer.Exit(1)


@commands.command()
def record(
    sim: Sim = SIM.default,
    task: Task = None,
    arm: Arm = None,
    behaviour: Annotated[str, typer.Option(help=f"Who acts: {', '.join(BEHAVIOURS)}.")] = "expert",
    episodes: Annotated[int | None, typer.Option(min=1, help="How many; as in the settings unless given.")] = None,
    directory: Directory = Path(DIRECTORY.default),
    settings: Settings = None,
) -> None:
    """Record a behaviour in a simulated environment. Videos that are there already are kept."""
    from viper_lab.experiment.plan import make_plan
    from viper_lab.experiment.preparation import record_videos

    plan = make_plan(sim, task=task, arm=arm, directory=directory, assignments=settings or ())
    returns = record_videos(plan, behaviour, episodes)
    mean = sum(returns) / len(returns)
    console.print(f"{len(returns)} {behaviour} videos in {plan.data / plan.task / behaviour}: mean return {mean:.2f}")


@commands.command()
def half_trained(
    run: Annotated[Path, typer.Argument(help="Directory of a run.")], directory: Directory = Path(DIRECTORY.default)
) -> None:
    """Keep a run's evaluation episodes from the middle of its training as videos of half-trained behaviour."""
    from viper_lab.experiment.half_trained import keep_half_trained

    for path, task_return in keep_half_trained(run, directory).items():
        console.print(f"wrote {path}: return {task_return:.2f}")
