"""Files of tensors that survive a crash and hold no code.

A file is safetensors: tensors by name, and a JSON document in its header. It is replaced in one step, so that a reader
finds the old one or the new one, whole, whenever the writer is killed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from viper_model.errors import ModelError
from viper_model.files import replace_file


def write_tensors(path: Path, tensors: dict[str, Tensor], document: dict[str, Any]) -> None:
    """Save `tensors` and a JSON `document` as one file, in one step."""
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    replace_file(path, save(plain, {"document": json.dumps(document)}))


def read_tensors(path: Path, device: torch.device | str = "cpu") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `write_tensors` saved. Raises ModelError where the file is missing, cut short or of another kind."""
    if not path.is_file():
        raise ModelError(f"no checkpoint at {path}")
    try:
        with safe_open(path, "pt", device=str(device)) as file:
            document = json.loads((file.metadata() or {})["document"])
            return {name: file.get_tensor(name) for name in file.keys()}, document  # noqa: SIM118 (it is no dict)
    except (SafetensorError, KeyError, json.JSONDecodeError, OSError) as error:
        raise ModelError(f"{path} is not a checkpoint of viper_ros, or is cut short: {error}") from error


def load_weights(module: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Put `tensors` into `module`. Raises ModelError where they are another model's, or not finite."""
    if broken := [name for name, tensor in tensors.items() if not tensor.isfinite().all()]:
        raise ModelError(f"{path} holds numbers that are not finite ({broken[0]}): it is of a training that diverged")
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise ModelError(f"{path} holds another model than its configuration says: {first}") from error


def optimizer_tensors(optimizer: torch.optim.Optimizer, prefix: str) -> dict[str, Tensor]:
    """The optimizer's moments by flat names, for `write_tensors`."""
    state = optimizer.state_dict()["state"]
    return {f"{prefix}.{index}.{key}": torch.as_tensor(value) for index, s in state.items() for key, value in s.items()}


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], prefix: str) -> None:
    """Put back what `optimizer_tensors` took out."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(prefix + "."):
            index, key = name.removeprefix(prefix + ".").split(".")
            parameter = parameters[int(index)]
            if tensor.shape == parameter.shape:
                # Files hold tensors row by row; a fused optimizer wants each moment laid out as its parameter.
                tensor = torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
