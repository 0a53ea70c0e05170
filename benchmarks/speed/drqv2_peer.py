"""The time of an update of DrQ-v2, against the authors' code, in one process and by turns.

The authors' code (github.com/facebookresearch/drqv2) runs unchanged, with its own settings:

    git clone https://github.com/facebookresearch/drqv2 /tmp/drqv2
    .venv/bin/in_ros python -m benchmarks.speed.drqv2_peer /tmp/drqv2 [--rounds 30] [--clock cpu]
    python -m benchmarks.speed.drqv2_peer /tmp/drqv2 --device cuda

Two comparisons, each of equal networks and batches:
* `paper`: 256 transitions of 84 × 84 pixels, as the authors train it;
* `tiny`: 128 of 32 × 32, our smallest size. The authors' encoder is made for 84 pixels alone, so that its convolutions
  are replaced by those of our `tiny`; all else of it stays.

Batches are drawn beforehand. Ours are sequences of frames, out of which an update makes the stacks; the authors' hold
stacks already, which their replay makes when it stores them. On a CPU with one thread unless told otherwise; --clock
cpu counts the processor's time, for a machine that others use.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import sys
import types
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.timing import CLOCKS, Timer, device_name
from viper_model.agents.drqv2.frames import FRAMES
from viper_model.agents.drqv2.returns import STEPS
from viper_model.agents.drqv2.sizes import SIZES
from viper_model.agents.registry import make_agent

IMAGE_SIZES = {"paper": 84, "tiny": 32}
ACTION_SIZE = 6
CONFIG = {"critic_target_tau": 0.01, "update_every_steps": 2, "num_expl_steps": 2000, "use_tb": True}
"""What is the same for both sizes, from its cfgs/config.yaml,"""
SCHEDULE = {"stddev_schedule": "linear(1.0,0.1,500000)", "stddev_clip": 0.3}
"""and from its cfgs/task/medium.yaml."""


def load_peer(code: Path) -> Any:
    """The authors' module `drqv2`. It imports hydra and OmegaConf, and does not use them."""
    for name, wanted in (("hydra", ()), ("omegaconf", ("OmegaConf",))):
        stand_in = types.ModuleType(name)
        for each in wanted:
            setattr(stand_in, each, None)
        sys.modules.setdefault(name, stand_in)
    sys.path.insert(0, str(code))
    return importlib.import_module("drqv2")


def tiny_encoder(encoder: Any) -> type[nn.Module]:
    """The authors' encoder with the convolutions of our `tiny`."""

    class Encoder(encoder):
        def __init__(self, obs_shape: tuple[int, int, int]) -> None:
            super().__init__(obs_shape)
            channels, side, layers = obs_shape[0], obs_shape[1], list[nn.Module]()
            for convolution in SIZES["tiny"].convolutions:
                layers += [nn.Conv2d(channels, *convolution), nn.ReLU()]
                channels = convolution.channels
                side = (side + 2 * convolution.padding - convolution.kernel) // convolution.stride + 1
            self.convnet, self.repr_dim = nn.Sequential(*layers), channels * side * side

    return Encoder


def peer_update(peer: Any, size_name: str, device: str) -> Callable[[], object]:
    size, side = SIZES[size_name], IMAGE_SIZES[size_name]
    authors = peer.Encoder
    if size_name == "tiny":
        peer.Encoder = tiny_encoder(authors)
    agent = peer.DrQV2Agent(
        (3 * FRAMES, side, side),
        (ACTION_SIZE,),
        device,
        lr=size.learning_rate,
        feature_dim=size.features,
        hidden_dim=size.hidden,
        **CONFIG,
        **SCHEDULE,
    )
    peer.Encoder = authors
    return partial(agent.update, peer_batches(size.batch_size, side), 0)


def peer_batches(n: int, side: int) -> Iterator[tuple[np.ndarray, ...]]:
    """The same batch over and over, as its replay's loader gives it."""
    rng = np.random.default_rng(0)
    obs, next_obs = rng.integers(0, 256, (2, n, 3 * FRAMES, side, side), np.uint8)
    action = rng.uniform(-1, 1, (n, ACTION_SIZE)).astype(np.float32)
    reward, discount = rng.normal(size=(n, 1)).astype(np.float32), np.full((n, 1), 0.99**STEPS, np.float32)
    return itertools.repeat((obs, action, reward, discount, next_obs))


def our_update(size_name: str, device: str, exploration_weight: float = 0.0) -> Callable[[], object]:
    side = IMAGE_SIZES[size_name]
    agent = make_agent(
        "drqv2",
        size_name,
        "continuous",
        ACTION_SIZE,
        side,
        exploration_weight=exploration_weight,
        seed=0,
        device=device,
    )
    rng = np.random.default_rng(0)
    shape = agent.batch[:2]
    batch = {
        "image": rng.integers(0, 256, (*shape, side, side, 3), np.uint8),
        "action": rng.uniform(-1, 1, (*shape, ACTION_SIZE)).astype(np.float32),
        "reward": rng.normal(size=shape).astype(np.float32),
        "is_first": np.zeros(shape, bool),
        "is_terminal": np.zeros(shape, bool),
    }
    return partial(agent.update, batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("code", type=Path, help="Folder of the authors' code.")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--sizes", nargs="+", choices=tuple(IMAGE_SIZES), default=list(IMAGE_SIZES))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--clock", choices=tuple(CLOCKS), default="wall")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    peer, device = load_peer(arguments.code), arguments.device
    where = device_name(device)
    print(f"{where}, torch {torch.__version__}, {arguments.clock} time, medians of {arguments.rounds} rounds")
    for name in arguments.sizes:
        runs = {"ours": (our_update(name, device), 1), "the authors'": (peer_update(peer, name, device), 1)}
        medians = Timer(arguments.clock, device).medians(runs, arguments.rounds)
        ours, theirs = medians["ours"], medians["the authors'"]
        print(
            f"  {name:5}  ours {1e3 * ours:7.1f} ms, the authors' {1e3 * theirs:7.1f} ms: {theirs / ours:.2f} ×",
            flush=True,
        )


if __name__ == "__main__":
    main()
