"""Where models run."""

from __future__ import annotations

import torch

from viper_lab.errors import UserError

DEVICES = ("auto", "cpu", "cuda")


def torch_device(name: str) -> str:
    """The device that a name of DEVICES stands for; `auto` is the best that this machine has.

    Raises UserError for another name, and for a GPU where there is none.
    """
    if name not in DEVICES:
        raise UserError(f"no device '{name}': choose one of {', '.join(DEVICES)}")
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("torch finds no CUDA GPU on this machine: choose the device auto or cpu")
    return name
