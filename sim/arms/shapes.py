"""MJCF of simple things. Lengths in metres, colours as "r g b a".

All geoms are in group 0, from which alone robosuite's models take masses.
"""

from __future__ import annotations

import math
from typing import Literal

Vector = tuple[float, float, float]

RED, GREEN, BLUE, YELLOW = "0.8 0.1 0.1 1", "0.1 0.6 0.2 1", "0.1 0.2 0.8 1", "0.9 0.8 0.1 1"
WHITE, GREY, DARK = "0.95 0.95 0.95 1", "0.5 0.5 0.5 1", "0.15 0.15 0.15 1"
BROWN, VIOLET, ORANGE = "0.5 0.3 0.15 1", "0.5 0.1 0.6 1", "0.95 0.45 0.05 1"

_FRICTION = 'friction="1.5 0.05 0.001" condim="4" solref="0.01 1"'
_SMOOTH = 'friction="0.3 0.005 0.001" priority="1" condim="4" solref="0.01 1"'


def body(name: str, geoms: str, *, loose: bool) -> str:
    """A body. `loose`: it can be moved, with a joint called as it is."""
    joint = f'<freejoint name="{name}"/>' if loose else ""
    return f'<body name="{name}">{joint}{geoms}</body>'


def moving(
    name: str,
    kind: Literal["hinge", "slide"],
    axis: Vector,
    span: tuple[float, float],
    place: Vector,
    geoms: str,
    *,
    friction: float = 0.05,
    damping: float = 0.1,
    stiffness: float = 0.0,
) -> str:
    """A body at `place` in another one, with a joint called as it is through its origin.

    `span`: the ends of the joint's way in radians or metres. `friction` in N or N·m, `damping` in N·s/m or N·m·s,
    `stiffness`, with which it springs back to 0, in N/m or N·m.
    """
    return (
        f'<body name="{name}" pos="{_text(place)}"><joint name="{name}" type="{kind}" axis="{_text(axis)}" '
        f'limited="true" range="{_text(span)}" frictionloss="{friction}" damping="{damping}" '
        f'stiffness="{stiffness}"/>{geoms}</body>'
    )


def box(name: str, size: Vector, place: Vector, colour: str, mass: float = 0.02, *, smooth: bool = False) -> str:
    """A geom; `size` is the whole length of its edges, `place` its centre in the body. `smooth`: it slides on all."""
    half = " ".join(str(edge / 2) for edge in size)
    return (
        f'<geom name="{name}" type="box" size="{half}" pos="{_text(place)}" rgba="{colour}" mass="{mass}" '
        f'group="0" {_SMOOTH if smooth else _FRICTION}/>'
    )


def ball(name: str, radius: float, place: Vector, colour: str, mass: float = 0.02, *, smooth: bool = False) -> str:
    friction = "0.3 0.005 0.001" if smooth else "1.5 0.05 0.01"
    return (
        f'<geom name="{name}" type="sphere" size="{radius}" pos="{_text(place)}" rgba="{colour}" mass="{mass}" '
        f'group="0" friction="{friction}" priority="{int(smooth)}" condim="6" solref="0.01 1"/>'
    )


def cylinder(name: str, radius: float, height: float, place: Vector, colour: str, mass: float = 0.02) -> str:
    return (
        f'<geom name="{name}" type="cylinder" size="{radius} {height / 2}" pos="{_text(place)}" rgba="{colour}" '
        f'mass="{mass}" group="0" {_FRICTION}/>'
    )


def mark(name: str, radius: float, colour: str) -> str:
    """A ball that is seen and touches nothing."""
    return (
        f'<geom name="{name}" type="sphere" size="{radius}" rgba="{colour}" contype="0" conaffinity="0" group="0" '
        f'mass="0"/>'
    )


def patch(name: str, radius: float, colour: str) -> str:
    """A round patch on the table that touches nothing."""
    return (
        f'<geom name="{name}" type="cylinder" size="{radius} 0.001" pos="0 0 0.001" rgba="{colour}" contype="0" '
        f'conaffinity="0" group="0" mass="0"/>'
    )


def tub(name: str, radius: float, height: float, colour: str, *, mass: float = 0.04, wall: float = 0.006) -> str:
    """An open vessel: a floor, and a `tube` around it. The origin is its foot."""
    floor = cylinder(f"{name}_floor", radius + wall, wall, (0, 0, wall / 2), colour, mass / 2)
    return floor + tube(name, radius, (0, height), colour, mass=mass / 2, wall=wall)


def tube(
    name: str,
    radius: float,
    span: tuple[float, float],
    colour: str,
    *,
    mass: float = 0.02,
    wall: float = 0.006,
    sides: int = 12,
) -> str:
    """`sides` flat walls around a circle of the inner `radius`, from the first height of `span` to the second."""
    width = 2 * (radius + wall) * math.tan(math.pi / sides)
    low, high = span
    walls = ""
    for side in range(sides):
        angle = 2 * math.pi * side / sides
        x, y = (radius + wall / 2) * math.cos(angle), (radius + wall / 2) * math.sin(angle)
        walls += (
            f'<geom name="{name}_wall{side}" type="box" size="{wall / 2} {width / 2} {(high - low) / 2}" '
            f'pos="{x} {y} {(low + high) / 2}" euler="0 0 {angle}" rgba="{colour}" mass="{mass / sides}" '
            f'group="0" {_FRICTION}/>'
        )
    return walls


def _text(numbers: tuple[float, ...]) -> str:
    return " ".join(map(str, numbers))
