"""Which films are used, and which of them are kept from training."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from viper_model.videos.find import EXPERT, FoundFilm

SHORTEST = 16
"""Films of fewer frames are not used: there is no motion to learn from."""
HELD_OUT = 0.2
"""Share of each task's expert films that is kept from training."""


def held_out_names(films: Iterable[FoundFilm]) -> set[str]:
    """Names of the films that are kept from training; whole films, chosen by nothing but names.

    All that are not experts'. Of each task's experts those in its folder `test`, or, where it has none, a fixed,
    arbitrary choice of HELD_OUT of them, at least one.
    """
    held_out: set[str] = set()
    experts: dict[str, list[FoundFilm]] = {}
    for film in films:
        if film.behaviour == EXPERT:
            experts.setdefault(film.task, []).append(film)
        else:
            held_out.add(film.name)
    for task_films in experts.values():
        chosen = {film.name for film in task_films if film.held_out}
        if not chosen:
            names = sorted((film.name for film in task_films), key=lambda name: hashlib.sha256(name.encode()).digest())
            chosen = set(names[: max(1, round(HELD_OUT * len(names)))])
        held_out |= chosen
    return held_out
