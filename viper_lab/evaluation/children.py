"""Processes that stop when they are told to, and don't outlive who started them."""

from __future__ import annotations

import ctypes
import signal

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def be_a_child() -> None:
    """In a new process: hear SIGINT, which shells have what runs in the background ignore; and be killed when the
    process that started this one is gone, however that ended.

    A run goes on from its last checkpoint; left alone it would hold on to its directory.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
