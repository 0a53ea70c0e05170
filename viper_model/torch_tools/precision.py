"""In what precision models are evaluated, and what this machine is quick at."""

from __future__ import annotations

import torch

from viper_model.errors import ModelError

PRECISIONS = ("float32", "bfloat16")
PRECISION_CHOICES = ("auto", *PRECISIONS)
WIDE = 256
"""A transformer's width from which bfloat16 pays; the products of narrower ones are over before it does."""
_CPU_FEATURES = ("avx512_bf16", "amx_bf16", "bf16")
"""Of `torch.cpu.get_capabilities`; the last is ARM's."""


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether the hardware has instructions for products of bfloat16. Elsewhere they are slower than float32's."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(feature) for feature in _CPU_FEATURES)


def chosen_precision(name: str, device: torch.device, width: int) -> str:
    """The one of PRECISIONS that a name of PRECISION_CHOICES stands for, of a transformer so wide on the device.

    `auto` is bfloat16 where that is quicker, else float32. Raises ModelError for another name.
    """
    if name not in PRECISION_CHOICES:
        raise ModelError(f"unknown precision '{name}': choose one of {', '.join(PRECISION_CHOICES)}")
    if name == "auto":
        return "bfloat16" if width >= WIDE and multiplies_bfloat16(device) else "float32"
    return name


def slower_than_float32(name: str, device: torch.device | str) -> str:
    """One line for the user, where a name of PRECISION_CHOICES costs speed on the device; empty where it doesn't."""
    device = torch.device(device)
    if name != "bfloat16" or multiplies_bfloat16(device):
        return ""
    return (
        f"precision bfloat16 is slower than float32 on this {device.type.upper()}, which has no instructions for it: "
        f"choose auto or float32"
    )
