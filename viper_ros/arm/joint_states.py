"""Where the joints of an arm are, from joint states as drivers publish them: in parts, in any order, among others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NAMED = 8
"""How many joints of somebody else's are named at most."""


class JointStates:
    """Gathers the newest position of each of an arm's `joints`. Times are seconds."""

    def __init__(self, joints: Sequence[str], settings: str) -> None:
        """`settings`: what names the joints, for who has to change it."""
        self._settings = settings
        self._joints = tuple(joints)
        self._positions: dict[str, float] = {}
        self._came_at: dict[str, float] = {}
        self._others: dict[str, None] = {}
        """Names of joints that are not the arm's, in the order in which they came."""
        self._without_positions = self._without_names = False

    def take(self, names: Sequence[str], positions: Sequence[float], now: float) -> tuple[np.ndarray, float] | None:
        """What a message says; returns positions [joints] in rad, and when the oldest of them came.

        None where the message is not about the arm, and until all of its joints have come.
        """
        if len(positions) != len(names):
            self._without_positions |= not set(self._joints).isdisjoint(names)
            self._without_names |= not names
            return None
        known = set(self._joints)
        self._others.update(dict.fromkeys(name for name in names if name not in known))
        ours = {name: position for name, position in zip(names, positions, strict=True) if name in known}
        self._positions |= ours
        self._came_at |= dict.fromkeys(ours, now)
        if not ours or len(self._positions) < len(self._joints):
            return None
        return np.array([self._positions[joint] for joint in self._joints]), min(self._came_at.values())

    def missing(self) -> str:
        """Which of the arm's joints have never come, what came instead, and what to do; empty where all have."""
        missing = [joint for joint in self._joints if joint not in self._positions]
        if not missing:
            return ""
        if self._without_positions:
            which = f"joint states of {', '.join(missing)} come without positions, one for each"
            return f"{which}: have their driver publish them"
        if self._without_names and not self._others:
            return f"joint states without names come: have their driver name {', '.join(missing)}"
        came = ", ".join(list(self._others)[:NAMED]) + (", …" if len(self._others) > NAMED else "")
        instead = f", but of {came}: {self._settings} is to name them" if came else ""
        return f"no joint states of {', '.join(missing)} have come{instead}"
