"""How the planner is set for the tasks of the DeepMind Control Suite.

Shaping counts in planning only: returns are always the task's own.
"""

from __future__ import annotations

import math
from typing import Any

from sim.experts.planner import PlannerSettings

_GRAVITY = 9.81


def planner_settings(task: str) -> PlannerSettings:
    return _SETTINGS.get(task, PlannerSettings())


def _cartpole(physics: Any) -> float:
    """Bring the pole's energy to that of standing still upright, and near there lean it towards the track's middle."""
    position, angle = physics.data.qpos
    velocity, spin = physics.data.qvel
    squared_frequency = _GRAVITY * 1.5  # of a rod of 1 m around its end
    energy = spin**2 / 2 + squared_frequency * (math.cos(angle) - 1)
    lean = math.sin(angle) + spin / math.sqrt(squared_frequency) + 0.2 * position + 0.25 * velocity
    upright = max(math.cos(angle), 0) ** 2
    return -0.02 * abs(energy) - upright * min(2 * lean**2, 1) - 0.1 * position**2


_SETTINGS = {
    "cartpole_balance": PlannerSettings(horizon_seconds=0.6, shaping=_cartpole),
    "cartpole_swingup": PlannerSettings(horizon_seconds=0.6, shaping=_cartpole),
}
