"""The processes of a process, as Linux tells them."""

from __future__ import annotations

import os
from pathlib import Path


def children(parent: int | None = None) -> dict[int, str]:
    """Command lines by process id, of all below a process; of this one where None. Ended ones don't count."""
    found: dict[int, str] = {}
    for task in Path(f"/proc/{parent or os.getpid()}/task").glob("*/children"):
        for pid in map(int, task.read_text().split()):
            if is_alive(pid):
                found[pid] = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
            found |= children(pid)
    return found


def is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
