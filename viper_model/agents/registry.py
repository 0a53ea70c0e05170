"""The agents there are, by name."""

from __future__ import annotations

import difflib
from pathlib import Path

import torch

from viper_model.agents.base import ActionKind, Agent, AgentSettings
from viper_model.agents.dreamer.agent import Dreamer
from viper_model.agents.drqv2.agent import DrQV2
from viper_model.errors import ModelError
from viper_model.torch_tools.checkpoint import read_tensors

AGENTS: dict[str, type[Agent]] = {agent.name: agent for agent in (Dreamer, DrQV2)}

SIZES = tuple(dict.fromkeys(size for agent in AGENTS.values() for size in agent.sizes))
IMAGE_SIZES = tuple(sorted({size for agent in AGENTS.values() for size in agent.image_sizes}))
"""What at least one agent can be."""


def check_agent(name: str, size: str, image_size: int) -> type[Agent]:
    """The agent of that name. Raises ModelError where there is none, or it can't be of this size or see such images."""
    if name not in AGENTS:
        near = difflib.get_close_matches(name, AGENTS, cutoff=0.4) or AGENTS
        raise ModelError(f"no agent '{name}': did you mean {' or '.join(near)}?")
    agent = AGENTS[name]
    if size not in agent.sizes:
        raise ModelError(f"{name} has no size '{size}': choose one of {', '.join(agent.sizes)}")
    if image_size not in agent.image_sizes:
        known = ", ".join(map(str, agent.image_sizes))
        raise ModelError(f"{name} cannot see images of {image_size} pixels: choose one of {known}")
    return agent


def make_agent(
    name: str,
    size: str,
    action_kind: ActionKind,
    action_size: int,
    image_size: int,
    *,
    exploration_weight: float,
    seed: int,
    device: torch.device | str = "cpu",
    batch_size: int = 0,
    batch_length: int = 0,
) -> Agent:
    """A new agent. Arguments: see `AgentSettings`. Raises ModelError where that agent can't be so."""
    agent = check_agent(name, size, image_size)
    if action_kind not in agent.action_kinds:
        able = ", ".join(each.name for each in AGENTS.values() if action_kind in each.action_kinds) or "no agent"
        raise ModelError(f"{name} takes {' or '.join(agent.action_kinds)} actions, not {action_kind}; {able} does")
    return agent(
        AgentSettings(
            size=size,
            action_kind=action_kind,
            action_size=action_size,
            image_size=image_size,
            exploration_weight=exploration_weight,
            seed=seed,
            device=torch.device(device),
            batch_size=batch_size,
            batch_length=batch_length,
        )
    )


def load_agent(path: Path, device: torch.device | str = "cpu") -> Agent:
    """The agent in a checkpoint that `Learner.save` wrote. Raises ModelError where there is none."""
    tensors, document = read_tensors(path, device)
    if "agent" not in document:
        raise ModelError(f"{path} holds no agent")
    saved = document["agent"]
    agent = make_agent(
        saved.get("name", Dreamer.name),  # once there was no other
        saved["size"],
        saved["action_kind"],
        saved["action_size"],
        saved["image_size"],
        exploration_weight=saved["exploration_weight"],
        seed=0,
        device=device,
    )
    agent.restore(tensors, saved, path)
    return agent
