from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from viper_model.torch_tools.checkpoint import load_optimizer, optimizer_tensors, read_tensors, write_tensors


def test_what_is_written_is_read(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(3, 4).T, "b": torch.tensor(7), "c": torch.arange(3, dtype=torch.uint8)}
    write_tensors(tmp_path / "new" / "file", tensors, {"step": 5, "names": ["x"]})
    read, document = read_tensors(tmp_path / "new" / "file")
    assert document == {"step": 5, "names": ["x"]}
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_an_optimizer_goes_on_as_if_it_had_not_stopped(tmp_path: Path, layout: torch.memory_format) -> None:
    def steps(network: nn.Conv2d, optimizer: torch.optim.Optimizer, n: int) -> None:
        for step in range(n):
            optimizer.zero_grad()
            network(torch.full((1, 3, 5, 5), 1.0 + step)).square().sum().backward()
            optimizer.step()

    def network_and_optimizer() -> tuple[nn.Conv2d, torch.optim.Optimizer]:
        torch.manual_seed(0)
        network = nn.Conv2d(3, 4, 3).to(memory_format=layout)  # type: ignore[call-overload]
        return network, torch.optim.AdamW(network.parameters(), 0.1, fused=True)

    network, optimizer = network_and_optimizer()
    steps(network, optimizer, 3)
    write_tensors(tmp_path / "file", {**network.state_dict(), **optimizer_tensors(optimizer, "adam")}, {})
    steps(network, optimizer, 3)

    resumed, resumed_optimizer = network_and_optimizer()
    tensors, _ = read_tensors(tmp_path / "file")
    resumed.load_state_dict({name: tensors[name] for name in ("weight", "bias")})
    load_optimizer(resumed_optimizer, tensors, "adam")
    steps(resumed, resumed_optimizer, 3)
    assert torch.equal(resumed.weight, network.weight)
