"""`viper doctor`. Needs nothing but Typer, Rich, PyYAML and NumPy: it tells what else is missing."""

from __future__ import annotations

import typer
from rich.table import Table
from rich.text import Text

from viper_lab.doctor import examine
from viper_ros.cli.console import console

OK, MISSING, NONE = ("ok", "green"), ("missing", "red"), ("none", "yellow")

commands = typer.Typer()


@commands.command()
def doctor() -> None:
    """Look at what is installed, what is missing, and what to do about it."""
    findings = examine()
    table = Table(box=None)
    for column in ("", "found", "what to do"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        mark = OK if not finding.missing else MISSING if finding.required else NONE
        table.add_row(Text.assemble(mark, f" {finding.what}"), finding.found, finding.remedy if finding.missing else "")
    console.print(table)
    if any(finding.missing and finding.required for finding in findings):
        raise typer.Exit(1)
