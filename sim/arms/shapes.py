"""MJCF of simple things. Lengths in metres, colours as "r g b a".

All geoms are in group 0, from which alone robosuite's models take masses.
"""

from __future__ import annotations

import math

_FRICTION = 'friction="1.5 0.05 0.001" condim="4" solref="0.01 1"'


def body(name: str, geoms: str, *, loose: bool) -> str:
    """A body. `loose`: it can be moved, with a joint called as it is."""
    joint = f'<freejoint name="{name}"/>' if loose else ""
    return f'<body name="{name}">{joint}{geoms}</body>'


def box(
    name: str, size: tuple[float, float, float], place: tuple[float, float, float], colour: str, mass: float = 0.02
) -> str:
    """A geom; `size` is the whole length of its edges, `place` its centre in the body."""
    half = " ".join(str(edge / 2) for edge in size)
    return (
        f'<geom name="{name}" type="box" size="{half}" pos="{_text(place)}" rgba="{colour}" mass="{mass}" '
        f'group="0" {_FRICTION}/>'
    )


def ball(name: str, radius: float, place: tuple[float, float, float], colour: str, mass: float = 0.02) -> str:
    return (
        f'<geom name="{name}" type="sphere" size="{radius}" pos="{_text(place)}" rgba="{colour}" mass="{mass}" '
        f'group="0" friction="1.5 0.05 0.01" condim="6" solref="0.01 1"/>'
    )


def cylinder(
    name: str, radius: float, height: float, place: tuple[float, float, float], colour: str, mass: float = 0.02
) -> str:
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


def tub(
    name: str, radius: float, height: float, colour: str, *, mass: float = 0.04, wall: float = 0.006, sides: int = 12
) -> str:
    """An open vessel: a floor and `sides` flat walls around a circle of the inner `radius`. The origin is its foot."""
    floor = cylinder(f"{name}_floor", radius + wall, wall, (0, 0, wall / 2), colour, mass / 2)
    width = 2 * (radius + wall) * math.tan(math.pi / sides)
    walls = ""
    for side in range(sides):
        angle = 2 * math.pi * side / sides
        x, y = (radius + wall / 2) * math.cos(angle), (radius + wall / 2) * math.sin(angle)
        walls += (
            f'<geom name="{name}_wall{side}" type="box" size="{wall / 2} {width / 2} {height / 2}" '
            f'pos="{x} {y} {height / 2}" euler="0 0 {angle}" rgba="{colour}" mass="{mass / 2 / sides}" '
            f'group="0" {_FRICTION}/>'
        )
    return floor + walls


def _text(numbers: tuple[float, ...]) -> str:
    return " ".join(map(str, numbers))
