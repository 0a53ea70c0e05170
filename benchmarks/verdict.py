"""How a trial that can fail ends."""

from __future__ import annotations

from collections.abc import Sequence


def print_verdict(faults: Sequence[str], success: str) -> int:
    """Print each fault that a trial found, or `success` where it found none. Returns the exit status."""
    for fault in faults:
        print(f"WRONG: {fault}")
    if not faults:
        print(success)
    return 1 if faults else 0
