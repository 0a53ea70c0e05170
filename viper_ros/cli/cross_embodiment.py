"""`viper cross-embodiment`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from viper_ros.cli.console import console
from viper_ros.cli.options import DEVICE, DIRECTORY, Device, Directory, Settings, Sim

commands = typer.Typer()


@commands.command()
def cross_embodiment(
    pairs: Annotated[
        str, typer.Option(help="A file of pairs of arm and task, or the name of one in config/cross_embodiment/.")
    ] = "small",
    sim: Sim = "robosuite",
    directory: Directory = Path(DIRECTORY.default),
    device: Device = DEVICE.default,
    settings: Settings = None,
) -> None:
    """Ask one model of several arms and tasks for pairs of them that it never saw: videos, model, a page of results.

    Stop it at any time; the same command goes on where it was.
    """
    from viper_lab.evaluation.cross_embodiment.study import cross_embodiment as study

    page = study(pairs, sim, directory, console, assignments=settings or (), device=device)
    console.print(f"report: {page}")
