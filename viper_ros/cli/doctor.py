"""`viper doctor`. Needs nothing but Typer, Rich, PyYAML and NumPy: it tells what else is missing."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.table import Table

from viper_lab.doctor import examine

commands = typer.Typer()


@commands.command()
def doctor() -> None:
    """Look at what is installed, what is missing, and what to do about it."""
    findings = examine()
    table = Table(box=None)
    for column in ("", "found", "what to do"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        mark = "[green]ok[/]" if not finding.missing else "[red]missing[/]" if finding.required else "[yellow]none[/]"
        table.add_row(f"{mark} {finding.what}", finding.found, finding.remedy if finding.missing else "")
    Console().print(table)
    if any(finding.missing and finding.required for finding in findings):
        raise typer.Exit(1)
