"""How large the agent is, by name."""

from __future__ import annotations

from dataclasses import dataclass


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
    batch_size: int
    """Sequences in a batch,"""
    batch_length: int
    """and steps in a sequence."""
    discount: float
    model_lr: float
    behavior_lr: float
    bfloat16: bool
    """Matrix products and convolutions in bfloat16, on hardware that multiplies it: pays once they, not the calls, take
    the time."""


def _paper_size(deter: int, units: int, layers: int, depth: int, grid: int, bfloat16: bool) -> Size:
    """A size of Hafner et al. 2023, table B.1, with the paper's settings."""
    return Size(
        deter=deter,
        stoch=32,
        classes=32,
        units=units,
        layers=layers,
        grid=grid,
        depth=depth,
        imagination_starts=1024,
        imagination_steps=15,
        batch_size=16,
        batch_length=64,
        discount=0.997,
        model_lr=1e-4,
        behavior_lr=3e-5,
        bfloat16=bfloat16,
    )


SIZES = {
    "tiny": Size(
        deter=256,
        stoch=16,
        classes=16,
        units=128,
        layers=2,
        grid=8,
        depth=32,
        imagination_starts=96,
        imagination_steps=12,
        batch_size=8,
        batch_length=32,
        discount=0.99,
        model_lr=2e-3,
        behavior_lr=3e-4,
        bfloat16=False,
    ),
    "XS": _paper_size(deter=256, units=256, layers=1, depth=24, grid=16, bfloat16=False),
    "S": _paper_size(deter=512, units=512, layers=2, depth=32, grid=32, bfloat16=True),
    "M": _paper_size(deter=1024, units=640, layers=3, depth=48, grid=32, bfloat16=True),
}
"""`tiny` learns in a few hundred updates on a CPU core, with learning rates to match. S is what VIPER uses on the
DeepMind Control Suite."""
