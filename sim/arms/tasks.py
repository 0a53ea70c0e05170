"""The tasks by name: robosuite's own, and RLBench's rebuilt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from robosuite.environments.manipulation.door import Door
from robosuite.environments.manipulation.lift import Lift
from robosuite.environments.manipulation.nut_assembly import NutAssemblyRound, NutAssemblySquare
from robosuite.environments.manipulation.pick_place import (
    PickPlaceBread,
    PickPlaceCan,
    PickPlaceCereal,
    PickPlaceMilk,
)
from robosuite.environments.manipulation.stack import Stack

from sim.arms import rlbench
from sim.arms.look import View

_TABLE = View(look_at=(-0.06, 0.0, 0.93), distance=0.95, elevation=28.0)
_BINS = View(look_at=(0.05, 0.02, 0.9), distance=1.3, elevation=32.0)
_DOOR = View(look_at=(-0.08, 0.0, 1.05), distance=1.15, elevation=40.0)


@dataclass(frozen=True)
class Task:
    environment: type
    """Of robosuite's class MujocoEnv."""
    steps: int
    """Control steps in an episode, of 0.1 s each."""
    turns: bool = False
    """Whether the gripper has to turn about the vertical: one action value more."""
    view: View = _TABLE
    options: dict[str, Any] = field(default_factory=dict)
    """For the environment's constructor."""


TASKS = {
    "lift": Task(Lift, 60, turns=True),
    "stack": Task(Stack, 100, turns=True),
    "door": Task(Door, 100, view=_DOOR, options={"use_latch": False}),
    "pick_place_can": Task(PickPlaceCan, 120, view=_BINS),
    "pick_place_milk": Task(PickPlaceMilk, 120, turns=True, view=_BINS),
    "pick_place_bread": Task(PickPlaceBread, 120, turns=True, view=_BINS),
    "pick_place_cereal": Task(PickPlaceCereal, 120, turns=True, view=_BINS),
    "nut_assembly_square": Task(NutAssemblySquare, 120, turns=True),
    "nut_assembly_round": Task(NutAssemblyRound, 120, turns=True),
    "reach_target": Task(rlbench.ReachTarget, 40),
    "push_button": Task(rlbench.PushButton, 60),
    "pick_and_lift": Task(rlbench.PickAndLift, 80),
    "pick_up_cup": Task(rlbench.PickUpCup, 80),
    "put_rubbish_in_bin": Task(rlbench.PutRubbishInBin, 100),
    "take_lid_off_saucepan": Task(rlbench.TakeLidOffSaucepan, 80),
    "take_umbrella_out_of_umbrella_stand": Task(rlbench.TakeUmbrellaOutOfUmbrellaStand, 80),
    "phone_on_base": Task(rlbench.PhoneOnBase, 100),
}
