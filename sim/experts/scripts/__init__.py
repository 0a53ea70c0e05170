"""What the scripted experts of the arm tasks do, a file a family of tasks."""

from __future__ import annotations

from collections.abc import Callable

from sim.experts.hand import Hand, Motion

Script = Callable[[Hand], Motion]
