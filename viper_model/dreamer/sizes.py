"""How large the agent is, by name."""

from __future__ import annotations

from dataclasses import dataclass

from viper_model.errors import ModelError


@dataclass(frozen=True)
class Size:
    """What changes from one size to another. Units without a word are numbers of features."""

    deter: int
    """The recurrent state h."""
    stoch: int
    """The stochastic state z: this many categoricals,"""
    classes: int
    """each with this many classes."""
    units: int
    """The hidden layers of every perceptron,"""
    layers: int
    """and how many of them the actor, the critics and the ensemble have."""
    grid: int
    """A frame is cut into grid x grid patches (fewer where it has fewer pixels)."""
    depth: int
    """Channels of a patch; doubled each time that the grid is halved."""
    imagination_starts: int
    """How many replayed states a batch of imagined trajectories starts from."""
    imagination_steps: int
    discount: float
    model_lr: float
    behavior_lr: float
    bfloat16: bool
    """Matrix products and convolutions in bfloat16: pays once they, not the calls, take the time."""


SIZES = {
    "tiny": Size(256, 16, 16, 128, 2, 8, 32, 96, 12, 0.99, 1e-3, 3e-4, False),
    "XS": Size(256, 32, 32, 256, 1, 16, 24, 1024, 15, 0.997, 1e-4, 3e-5, False),
    "S": Size(512, 32, 32, 512, 2, 32, 32, 1024, 15, 0.997, 1e-4, 3e-5, True),
    "M": Size(1024, 32, 32, 640, 3, 32, 48, 1024, 15, 0.997, 1e-4, 3e-5, True),
}
"""`tiny` learns in a few hundred updates on a CPU core. XS, S and M are DreamerV3's (Hafner et al. 2023, table B.1); S
is what VIPER uses on the DeepMind Control Suite."""


def size_named(name: str) -> Size:
    """Raises ModelError where there is no such size."""
    if name not in SIZES:
        raise ModelError(f"no agent size {name!r}: choose one of {', '.join(SIZES)}")
    return SIZES[name]
