"""What a data folder holds, as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from viper_model.videos.find import FORMATS
from viper_model.videos.survey import survey

NAMED = 20
"""So many videos with the same problem are named."""


def print_survey(folder: Path, console: Console) -> bool:
    """Returns whether any video can be used. Raises ModelError where there is no folder, or its videos.yaml is bad."""
    result = survey(folder)
    table = Table(box=None)
    for column in ("task", "behaviour", "format"):
        table.add_column(column, overflow="fold")
    for column in ("videos", "held out", "frames", "length", "rate", "size"):
        table.add_column(column, justify="right")
    for group in result.groups:
        table.add_row(
            group.pair,
            group.behaviour,
            group.format,
            str(len(group.videos)),
            str(group.held_out),
            str(group.frames),
            "?" if group.seconds is None else f"{group.seconds:.0f} s",
            _kinds("?" if facts.rate is None else f"{facts.rate:.3g} Hz" for facts in group.facts),
            _kinds(f"{facts.width}×{facts.height}" for facts in group.facts),
        )
    if result.groups:
        console.print(table)
    else:
        console.print(f"no videos in {folder} that can be used, of these formats: {', '.join(FORMATS)}")
    if result.problems:
        console.print(f"{len(result.problems)} problem{'' if len(result.problems) == 1 else 's'}:")
    names: dict[str, list[str]] = {}
    for name, why in result.problems.items():
        names.setdefault(why, []).append(name)
    for why, alike in names.items():
        more = f" and {len(alike) - NAMED} more" if len(alike) > NAMED else ""
        console.print(f"  {', '.join(alike[:NAMED])}{more}: {why}")
    return bool(result.groups)


def _kinds(values: Iterable[str]) -> str:
    """Each different value, with how many there are of it where there are several."""
    counts = Counter(values).most_common()
    return counts[0][0] if len(counts) == 1 else ", ".join(f"{number} of {value}" for value, number in counts)
