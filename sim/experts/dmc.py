"""How the planner is set for the tasks of the DeepMind Control Suite.

Shaping counts in planning only: returns are always the task's own.
"""

from __future__ import annotations

import math
from typing import Any

from sim.experts.planner import Planner, PlannerSettings

_GRAVITY = 9.81
_PENDULUM_UPRIGHT = math.cos(math.radians(8))
"""What the task rewards: the cosine of the angle to upright."""


def make_expert(task: str, seed: int) -> Planner:
    return Planner(planner_settings(task), seed)


def planner_settings(task: str) -> PlannerSettings:
    return _SETTINGS.get(task.replace("point_mass", "pointmass").replace("ball_in_cup", "cup"), PlannerSettings())


def _missing_energy(angle: float, spin: float, length: float) -> float:
    """How far a pendulum's energy is from that of standing still upright, over its inertia: rad²/s².

    `length`, in metres, is that of the pendulum with all its mass in one point that swings the same way.
    """
    return abs(spin**2 / 2 + _GRAVITY / length * (math.cos(angle) - 1))


def _cartpole_reward(physics: Any) -> float:
    data = physics.data.ptr
    position, angle = data.qpos.tolist()
    spin, control = data.qvel.item(1), data.ctrl.item(0)
    upright, centered = (1 + math.cos(angle)) / 2, (1 + 0.1 ** (position / 2) ** 2) / 2
    return upright * centered * (1 + 0.1 ** (spin / 5) ** 2) / 2 * (4 + max(1 - control**2, 0.0)) / 5


def _cartpole(physics: Any) -> float:
    """Swing up by energy, and near the top lean the pole to where the cart should go: the track's middle, at rest."""
    position, angle = physics.data.ptr.qpos.tolist()
    velocity, spin = physics.data.ptr.qvel.tolist()
    length = 2 / 3  # a rod of 1 m around its end
    lean = math.sin(angle) + spin * math.sqrt(length / _GRAVITY) + 0.4 * position + 0.4 * velocity
    upright = max(math.cos(angle), 0.0) ** 2
    return -0.01 * _missing_energy(angle, spin, length) - upright * min(2 * lean**2, 1) - 0.1 * position**2


def _pendulum_reward(physics: Any) -> float:
    return float(math.cos(physics.data.ptr.qpos.item()) >= _PENDULUM_UPRIGHT)


def _pendulum(physics: Any) -> float:
    data = physics.data.ptr
    return -0.02 * _missing_energy(data.qpos.item(), data.qvel.item(), length=0.5)


def _acrobot(physics: Any) -> float:
    """Both arms up and slow: the reward alone is blind until the tip is near."""
    upper, lower = map(float, physics.vertical())
    spins = float((physics.data.qvel**2).sum())
    return 0.2 * (2 * upper + lower) - 0.01 * max(upper, 0.0) * max(lower, 0.0) * spins


def _ball_above_cup(physics: Any) -> float:
    """Throw the ball higher than the cup, and be below it then."""
    right, up = map(float, physics.ball_to_target())
    return 2 * min(-up, 0.12) - (abs(right) if up < 0 else 0.0)


def _spin(physics: Any) -> float:
    """Backwards, far faster than the reward asks: between two strokes the spinner slows down by half in 0.3 s."""
    return 0.05 * min(-float(physics.hinge_velocity()), 60.0) - _reach_spinner(physics)


def _turn(physics: Any) -> float:
    return -2 * float(physics.dist_to_target()) - _reach_spinner(physics)


def _reach_spinner(physics: Any) -> float:
    touch = physics.named.data.geom_xpos["fingertip", ["x", "z"]] - physics.named.data.xpos["spinner", ["x", "z"]]
    return 0.5 * max(math.hypot(*touch) - 0.15, 0.0)


def _hopper(physics: Any) -> float:
    """Stretched and upright, with the capture point over the foot: where the weight would come to rest over it.

    The last two terms lead out of sitting on a folded leg.
    """
    right, _, up = map(float, physics.named.data.subtree_com["torso"])
    speed = float(physics.named.data.sensordata["torso_subtreelinvel"][0])
    captured = right + speed * math.sqrt(max(up, 0.05) / _GRAVITY) - float(physics.named.data.xpos["foot", "x"])
    upright = float(physics.named.data.xmat["torso", "zz"])
    folded = abs(physics.named.data.qpos["hip"].item() + 0.3)
    stretched = min(float(physics.height()), 0.7)
    return stretched + 0.2 * upright - 0.7 * min(abs(captured), 1.0) - 0.15 * folded + 0.3 * min(up, 0.7)


def _run(physics: Any) -> float:
    """Ever faster, with the back up."""
    return 0.1 * min(float(physics.speed()), 13.0) + 0.2 * math.cos(physics.named.data.qpos["rooty"].item())


def _forward(physics: Any) -> float:
    return 0.1 * min(max(float(physics.torso_velocity()[0]), -2.0), 8.0)


def _bring_ball(physics: Any) -> float:
    """The hand to the ball, and the ball to its target."""
    hand = float(physics.site_distance("grasp", "ball"))
    return -0.5 * hand - 2 * float(physics.site_distance("ball", "target_ball"))


def _near_target(physics: Any) -> float:
    return -float(physics.finger_to_target_dist())


def _mass_near_target(physics: Any) -> float:
    return -float(physics.mass_to_target_dist())


_CARTPOLE = PlannerSettings(horizon_seconds=0.44, reward=_cartpole_reward, shaping=_cartpole, coarseness=2)
_WALKER = PlannerSettings(horizon_seconds=1.0, knot_seconds=0.2, samples=24, noise=1.0)
_FINGER_TURN = PlannerSettings(horizon_seconds=0.8, samples=24, noise=1.0, shaping=_turn)
_SETTINGS = {
    "acrobot_swingup": PlannerSettings(horizon_seconds=1.0, knot_seconds=0.12, samples=32, shaping=_acrobot),
    "cartpole_balance": _CARTPOLE,
    "cartpole_swingup": _CARTPOLE,
    "cheetah_run": PlannerSettings(
        horizon_seconds=0.6,
        knot_seconds=0.08,
        samples=160,
        elites=2,
        noise=1.5,
        calmest=0.1,
        iterations=2,
        shaping=_run,
    ),
    "cup_catch": PlannerSettings(horizon_seconds=0.8, shaping=_ball_above_cup),
    # The best of many, not a mean: a stroke between two that hit may miss.
    "finger_spin": PlannerSettings(
        horizon_seconds=0.4, knot_seconds=0.04, samples=400, elites=1, noise=1.0, calmest=1.0, shaping=_spin
    ),
    "finger_turn_easy": _FINGER_TURN,
    "finger_turn_hard": _FINGER_TURN,
    "hopper_stand": PlannerSettings(
        horizon_seconds=1.2, knot_seconds=0.12, samples=160, elites=2, noise=1.5, calmest=0.1, shaping=_hopper
    ),
    "manipulator_bring_ball": PlannerSettings(
        horizon_seconds=0.6, samples=64, noise=1.0, shaping=_bring_ball, coarseness=2
    ),
    "pendulum_swingup": PlannerSettings(
        horizon_seconds=1.4,
        knot_seconds=0.24,
        samples=24,
        noise=1.0,
        reward=_pendulum_reward,
        shaping=_pendulum,
    ),
    "pointmass_easy": PlannerSettings(shaping=_mass_near_target),
    "pointmass_hard": PlannerSettings(shaping=_mass_near_target),
    "quadruped_run": PlannerSettings(horizon_seconds=0.7, samples=64, noise=1.0, shaping=_forward, coarseness=2),
    "quadruped_walk": PlannerSettings(horizon_seconds=0.7, samples=64, noise=1.0, coarseness=2),
    "reacher_easy": PlannerSettings(horizon_seconds=0.5, shaping=_near_target),
    "reacher_hard": PlannerSettings(horizon_seconds=0.5, shaping=_near_target),
    "walker_stand": _WALKER,
    "walker_walk": _WALKER,
}
