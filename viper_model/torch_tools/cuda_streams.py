"""CUDA streams with priorities: on the default one a reward or an action would wait for an agent's update."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

QUICK = -1
"""Priority of what somebody waits for: an action, a reward."""


def own_stream(device: torch.device, priority: int = 0) -> torch.cuda.Stream | None:
    """A new stream that first waits for all work queued on the current one; None where `device` is no GPU."""
    if device.type != "cuda":
        return None
    stream = torch.cuda.Stream(device, priority=priority)
    stream.wait_stream(torch.cuda.current_stream(device))
    return stream


def on(stream: torch.cuda.Stream | None) -> AbstractContextManager[object]:
    """Make `stream` the current one. Without one nothing happens: torch.cuda would look for a GPU."""
    return torch.cuda.stream(stream) if stream else nullcontext()
