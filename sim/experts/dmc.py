"""How the planner is set for the tasks of the DeepMind Control Suite.

Shaping counts in planning only: returns are always the task's own.
"""

from __future__ import annotations

import math
from typing import Any

from sim.experts.planner import Planner, PlannerSettings

_GRAVITY = 9.81


def make_expert(task: str, seed: int) -> Planner:
    return Planner(planner_settings(task), seed)


def planner_settings(task: str) -> PlannerSettings:
    return _SETTINGS.get(task.replace("point_mass", "pointmass"), PlannerSettings())


def _missing_energy(angle: float, spin: float, length: float) -> float:
    """How far a pendulum's energy is from that of standing still upright, over its inertia: rad²/s².

    `length`, in metres, is that of the pendulum with all its mass in one point that swings the same way.
    """
    return abs(spin**2 / 2 + _GRAVITY / length * (math.cos(angle) - 1))


def _cartpole(physics: Any) -> float:
    """Swing up by energy, and near the top lean the pole to where the cart should go: the track's middle, at rest."""
    position, angle = map(float, physics.data.qpos)
    velocity, spin = map(float, physics.data.qvel)
    length = 2 / 3  # a rod of 1 m around its end
    lean = math.sin(angle) + spin * math.sqrt(length / _GRAVITY) + 0.4 * position + 0.4 * velocity
    upright = max(math.cos(angle), 0.0) ** 2
    return -0.01 * _missing_energy(angle, spin, length) - upright * min(2 * lean**2, 1) - 0.1 * position**2


def _pendulum(physics: Any) -> float:
    return -0.02 * _missing_energy(physics.data.qpos[0], physics.data.qvel[0], length=0.5)


def _near_target(physics: Any) -> float:
    return -float(physics.finger_to_target_dist())


def _mass_near_target(physics: Any) -> float:
    return -float(physics.mass_to_target_dist())


_WALKER = PlannerSettings(horizon_seconds=1.0, knot_seconds=0.2, samples=24, noise=1.0)
_SETTINGS = {
    "cartpole_balance": PlannerSettings(horizon_seconds=0.44, shaping=_cartpole),
    "cartpole_swingup": PlannerSettings(horizon_seconds=0.44, shaping=_cartpole),
    "pendulum_swingup": PlannerSettings(shaping=_pendulum),
    "pointmass_easy": PlannerSettings(shaping=_mass_near_target),
    "pointmass_hard": PlannerSettings(shaping=_mass_near_target),
    "reacher_easy": PlannerSettings(horizon_seconds=0.5, shaping=_near_target),
    "reacher_hard": PlannerSettings(horizon_seconds=0.5, shaping=_near_target),
    "walker_stand": _WALKER,
    "walker_walk": _WALKER,
}
