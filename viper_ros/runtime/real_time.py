"""Real-time scheduling, for a process whose delay could do harm."""

from __future__ import annotations

import os

from threadpoolctl import threadpool_limits

PRIORITY = 50
"""Of SCHED_FIFO: that of ros2_control's controller manager."""


def request_real_time(name: str) -> None:
    """Ask for real-time scheduling of this process, as ros2_control does: other programs then don't delay it.

    Threads that are started later have it too. Where the user may not, that is printed, under `name`, and the process
    runs like any other. The threads that NumPy's linear algebra has already started don't have it: on a busy machine it
    would wait for them, up to seconds, so it is told to do without.
    """
    threadpool_limits(1)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except OSError:
        print(f"{name}: no real-time scheduling, so a busy machine delays stops: see docs/reliability.md", flush=True)
