"""Training in several processes, on several GPUs or machines, as `torchrun` starts them.

Lightning Fabric does the work: it knows torchrun's processes, wraps modules so that their gradients are averaged while
they are still being computed, without taking over the loop or bringing a configuration of its own as Accelerate does.
Here is the rest: the choice of devices, sharing of batches, means over processes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import Tensor

from viper_model.errors import ModelError

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def is_first_process() -> bool:
    """Whether this is the one of the processes started by torchrun that prints and writes files: rank 0."""
    return os.environ.get("RANK", "0") == "0"


def make_fabric(device: torch.device | str) -> Fabric:
    """This process on `device`, or under torchrun all processes, each on a device of that kind.

    Raises ModelError where there is no such device.
    """
    from lightning_fabric import Fabric  # takes two seconds, which only training should wait for

    device = torch.device(device)
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    one: int | list[int] = [device.index or 0] if device.type == "cuda" else 1
    try:
        fabric = Fabric(
            accelerator=device.type,
            devices=here if processes > 1 else one,
            num_nodes=processes // here,
            strategy="ddp" if processes > 1 else "auto",
        )
        fabric.launch()
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"can't train on {device}: {str(error).splitlines()[0]}") from error
    return fabric


def mixed_precision(device: torch.device) -> torch.autocast:
    """Where networks are trained: matrix products in bfloat16 on a GPU.

    Not Fabric's own: that lets `Fabric.backward` alone compute gradients, and the VQ-GAN's loss weighs two of them.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def share_of_batch(fabric: Fabric, batch: int) -> slice:
    """The part of a batch that is this process's. Raises ModelError where processes can't share it evenly."""
    if batch % fabric.world_size:
        raise ModelError(
            f"{fabric.world_size} processes can't share batches of {batch}: choose a number that divides it"
        )
    size = batch // fabric.world_size
    return slice(fabric.global_rank * size, (fabric.global_rank + 1) * size)


def mean_of_processes(x: Tensor) -> Tensor:
    """The mean of all processes' x."""
    if not dist.is_initialized():
        return x
    x = x.clone()
    dist.all_reduce(x)
    return x / dist.get_world_size()


def of_all_processes(x: Tensor) -> Tensor:
    """All processes' x, one after the other along the first dimension. Every x has the same shape."""
    if not dist.is_initialized():
        return x
    parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, x.contiguous())
    return torch.cat(parts)
