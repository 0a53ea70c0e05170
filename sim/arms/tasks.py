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

from sim.arms import articulated, place, press, push, take
from sim.arms.look import View

_TABLE = View(look_at=(-0.06, 0.0, 0.93), distance=0.95, elevation=28.0)
_BINS = View(look_at=(0.05, 0.02, 0.9), distance=1.3, elevation=32.0)
_SIDE = View(look_at=(-0.05, 0.0, 0.93), distance=0.8, elevation=25.0, azimuth=60.0)
"""For what is shut: from the front a hand held before it would be the picture of a hand that has shut it."""
_DOOR = View(look_at=(-0.08, 0.0, 1.05), distance=1.15, elevation=40.0)


@dataclass(frozen=True)
class Room:
    """Where the point between the fingertips may be sent: [3] in metres, in the world frame."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]


_WIDE = Room((-0.35, -0.5, 0.8), (0.35, 0.5, 1.3))
_SEEN_FROM_THE_SIDE = Room((-0.3, -0.3, 0.8), (0.2, 0.3, 1.2))
"""A hand that has left the picture is nothing that a reward could judge."""


@dataclass(frozen=True)
class Task:
    environment: type
    """Of robosuite's class MujocoEnv."""
    steps: int
    """Control steps in an episode, of 0.1 s each."""
    turns: bool = False
    """Whether the gripper has to turn about the vertical: one action value more."""
    view: View = _TABLE
    room: Room = _WIDE
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
    "reach_target": Task(press.ReachTarget, 40),
    "reach_blue_target": Task(press.ReachBlueTarget, 40),
    "push_button": Task(press.PushButton, 60),
    "pick_and_lift": Task(take.PickAndLift, 80),
    "pick_up_cup": Task(take.PickUpCup, 80),
    "put_rubbish_in_bin": Task(place.PutRubbishInBin, 100),
    "take_lid_off_saucepan": Task(take.TakeLidOffSaucepan, 80),
    "take_umbrella_out_of_umbrella_stand": Task(take.TakeUmbrellaOutOfUmbrellaStand, 80),
    "phone_on_base": Task(place.PhoneOnBase, 100),
    "open_drawer": Task(articulated.OpenDrawer, 80),
    "close_drawer": Task(articulated.CloseDrawer, 80),
    "close_microwave": Task(articulated.CloseMicrowave, 80),
    "close_fridge": Task(articulated.CloseFridge, 80),
    "open_box": Task(articulated.OpenBox, 80),
    "close_box": Task(articulated.CloseBox, 100, view=_SIDE, room=_SEEN_FROM_THE_SIDE),
    "close_laptop_lid": Task(articulated.CloseLaptopLid, 80, view=_SIDE, room=_SEEN_FROM_THE_SIDE),
    "toilet_seat_down": Task(articulated.ToiletSeatDown, 80, view=_SIDE, room=_SEEN_FROM_THE_SIDE),
    "slide_cabinet_open": Task(articulated.SlideCabinetOpen, 80),
    "turn_tap": Task(articulated.TurnTap, 80),
    "turn_oven_on": Task(articulated.TurnOvenOn, 80, turns=True),
    "push_buttons": Task(press.PushButtons, 100),
    "push_blue_button": Task(press.PushBlueButton, 60),
    "lamp_on": Task(press.LampOn, 60),
    "lamp_off": Task(press.LampOff, 60),
    "press_switch": Task(press.PressSwitch, 60),
    "take_toilet_roll_off_stand": Task(take.TakeToiletRollOffStand, 80),
    "take_off_weighing_scales": Task(take.TakeOffWeighingScales, 100),
    "unplug_charger": Task(take.UnplugCharger, 60),
    "put_toilet_roll_on_stand": Task(place.PutToiletRollOnStand, 100),
    "basketball_in_hoop": Task(place.BasketballInHoop, 100),
    "insert_onto_square_peg": Task(place.InsertOntoSquarePeg, 100),
    "meat_on_grill": Task(place.MeatOnGrill, 100),
    "meat_off_grill": Task(place.MeatOffGrill, 100),
    "put_knife_on_chopping_board": Task(place.PutKnifeOnChoppingBoard, 100),
    "stack_blocks": Task(place.StackBlocks, 150),
    "close_jar": Task(place.CloseJar, 100),
    "open_jar": Task(place.OpenJar, 100),
    "place_shape_in_shape_sorter": Task(place.PlaceShapeInShapeSorter, 100),
    "slide_block_to_target": Task(push.SlideBlockToTarget, 80),
    "reach_and_drag": Task(push.ReachAndDrag, 100),
    "sweep_to_dustpan": Task(push.SweepToDustpan, 100),
    "hockey": Task(push.Hockey, 100),
    "wipe_desk": Task(push.WipeDesk, 120),
}
