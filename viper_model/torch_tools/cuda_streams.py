"""CUDA streams of one's own: on the default stream what is quick queues behind an agent's update on the same GPU."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

QUICK = -1
"""Priority of what somebody waits for: an action, a reward."""


def own_stream(device: torch.device, priority: int = 0) -> torch.cuda.Stream | None:
    """A stream that begins after what has been asked of the current one; None where `device` is no GPU."""
    if device.type != "cuda":
        return None
    stream = torch.cuda.Stream(device, priority=priority)
    stream.wait_stream(torch.cuda.current_stream(device))
    return stream


def on(stream: torch.cuda.Stream | None) -> AbstractContextManager[object]:
    """Make `stream` the current one. Without one nothing happens: torch.cuda would look for a GPU."""
    return torch.cuda.stream(stream) if stream else nullcontext()
