"""Batches of experience, checked before anything is learned from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from viper_model.errors import ModelError

BATCH_DTYPES = {
    "image": torch.uint8,
    "action": torch.float32,
    "reward": torch.float32,
    "is_first": torch.bool,
    "is_terminal": torch.bool,
}


def checked_batch(
    batch: Mapping[str, Any], image_size: int, action_size: int, device: torch.device, steps: int | None = None
) -> dict[str, Tensor]:
    """Sequences of experience as tensors on `device`, [sequences, steps, ...].

    batch: arrays or tensors [sequences, steps, ...]: image uint8 [..., image_size, image_size, 3], action float32
    [..., action_size], reward float32, is_first and is_terminal bool; more is passed over. All things of one time step
    share an index: action[t] answers frame t, reward[t] is for reaching it. Sequences may run on into the next episode.
    steps: how long the sequences must be; None for any length. Raises ModelError where something differs or is not
    finite.
    """
    shapes = {
        "image": (image_size, image_size, 3),
        "action": (action_size,),
        "reward": (),
        "is_first": (),
        "is_terminal": (),
    }
    leading = tuple(np.shape(batch["is_first"]))
    if len(leading) != 2 or (steps is not None and leading[1] != steps):
        wanted = f"[sequences, {'steps' if steps is None else steps}]"
        raise ModelError(f"the agent learns from batches {wanted}, not {list(leading)}")
    tensors = {}
    for name, dtype in BATCH_DTYPES.items():
        value = torch.as_tensor(batch[name])
        if value.dtype != dtype or tuple(value.shape) != (*leading, *shapes[name]):
            raise ModelError(
                f"the agent learns from {name} {dtype} {[*leading, *shapes[name]]}, "
                f"not {value.dtype} {list(value.shape)}"
            )
        if dtype == torch.float32 and not bool(value.isfinite().all()):
            raise ModelError(f"the batch's {name} is not finite")
        tensors[name] = value.to(device)
    return tensors


def episode_starts(is_first: Tensor) -> Tensor:
    """The index at which the episode of each step began, 0 where that was before the sequence.

    bool [sequences, steps] → int64 [sequences, steps].
    """
    index = torch.arange(is_first.shape[1], device=is_first.device)
    return (index * is_first).cummax(1).values
