"""Where models run."""

from __future__ import annotations

import torch

from viper_model.errors import ModelError

DEVICES = ("auto", "cpu", "cuda")


def torch_device(name: str) -> str:
    """The device that a name of DEVICES stands for; `auto` is the best that this machine has.

    Raises ModelError for another name, and for a GPU where there is none.
    """
    if name not in DEVICES:
        raise ModelError(f"no device '{name}': choose one of {', '.join(DEVICES)}")
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ModelError("torch finds no CUDA GPU on this machine: choose the device auto or cpu")
    return name
