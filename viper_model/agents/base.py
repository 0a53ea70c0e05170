"""What an agent answers to everything around it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

ActionKind = Literal["continuous", "discrete"]


@dataclass(frozen=True)
class AgentSettings:
    """What an agent is to be."""

    size: str
    """A name in the agent's `sizes`."""
    action_kind: ActionKind
    action_size: int
    image_size: int
    exploration_weight: float
    """Beta: how much the exploration bonus counts beside the reward; 0 for none."""
    seed: int
    device: torch.device
    batch_size: int
    """Sequences in a batch; 0 for the size's own."""
    batch_length: int
    """Steps in a sequence; 0 for the size's own."""


class BatchShape(NamedTuple):
    """The batches that an agent learns from, as `Replay.sample` gives them."""

    sequences: int
    steps: int
    """Consecutive steps in a sequence."""
    learned_steps: int
    """How many steps of a batch count as learned from, for the replay ratio."""
    rewarded_steps: int
    """How many steps at the end of a sequence have rewards that are learned from."""


class ActingPolicy(Protocol):
    """Acts with a copy of an agent's weights. It can be used from any thread while the agent learns."""

    def refresh(self) -> None:
        """Copy the agent's newest weights. Raises ModelError where they are not finite, and keeps the old ones."""

    def initial(self, n: int) -> Any:
        """The state of n environments before their first frame."""

    def act(self, state: Any, image: np.ndarray, is_first: np.ndarray, sample: bool) -> tuple[np.ndarray, Any]:
        """Answer a frame of each of n environments.

        image: uint8 [n, image_size, image_size, 3]. is_first: bool [n], the frame begins an episode: its row of `state`
        is forgotten. sample: explore, as for training; otherwise take the best action known.
        Returns the actions, float32 [n, action_size] (in [-1, 1], or one-hot), and the next state.
        Raises ModelError where the image is of another kind and where an action would not be finite.
        """


class Agent(ABC):
    """Learns to act from batches of experience. `registry.make_agent` makes one, and refuses what it cannot be."""

    name: ClassVar[str]
    sizes: ClassVar[tuple[str, ...]]
    """How large it can be, by name."""
    action_kinds: ClassVar[tuple[ActionKind, ...]]
    image_sizes: ClassVar[tuple[int, ...]]
    """Pixels a side."""

    settings: AgentSettings
    batch: BatchShape
    updates: int
    """Made so far, those before a restart included."""

    @abstractmethod
    def __init__(self, settings: AgentSettings) -> None:
        """Raises ModelError where it can't learn from such batches."""

    @abstractmethod
    def policy(self) -> ActingPolicy:
        """A copy of the weights that acts, safe to use from another thread while `update` runs."""

    @abstractmethod
    def update(self, batch: Mapping[str, Any]) -> dict[str, float]:
        """Learn from sequences of experience; returns what to log.

        batch: as `batches.checked_batch` describes it. Raises ModelError where it is of another kind, and where the
        loss is not finite: the weights are then as they were before.
        """

    @abstractmethod
    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that training needs to go on exactly: tensors and a JSON document, for `write_tensors`.

        The tensors are the live ones: hold off `update` until they are written or cloned.
        """

    @abstractmethod
    def restore(self, tensors: Mapping[str, Tensor], document: Mapping[str, Any], path: Path) -> None:
        """Put back what `state` gave, read from `path`. Raises ModelError where it is another agent's."""


class LearnedReward(ABC):
    """A reward that is learned beside the agent: what is replayed is rewarded anew, just before the agent learns."""

    context: ClassVar[int]
    """How many steps before a step its reward depends on."""

    @abstractmethod
    def relabel(self, batch: Mapping[str, np.ndarray], steps: int) -> tuple[np.ndarray, dict[str, float]]:
        """Learn from sequences of experience, and then reward their last steps by what is known now.

        batch: [sequences, context + steps or more, ...], as `Replay.sample` gives it. Returns the rewards of the last
        `steps` of each sequence, float32 [sequences, steps], and what to log. Raises ModelError where the loss is not
        finite: the reward is then as it was before.
        """

    @abstractmethod
    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """As `Agent.state`."""

    @abstractmethod
    def restore(self, tensors: Mapping[str, Tensor], document: Mapping[str, Any], path: Path) -> None:
        """Put back what `state` gave, read from `path`. Raises ModelError where it is another reward's."""
