"""What a data folder holds, told without decoding it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from viper_model.errors import ModelError
from viper_model.videos.find import EXPERT, FORMATS, FoundFilm, find_films
from viper_model.videos.settings import FilmSettings
from viper_model.videos.source import SETTINGS, Facts
from viper_model.videos.split import SHORTEST, held_out_names


@dataclass(frozen=True)
class Group:
    """Films of one task, behaviour and format that can be used."""

    task: str
    behaviour: str
    format: str
    films: tuple[FoundFilm, ...]
    facts: tuple[Facts, ...]
    """Of each film, as recorded."""
    held_out: int
    """How many of the films are kept from training."""

    @property
    def frames(self) -> int:
        return sum(facts.frames or 0 for facts in self.facts)

    @property
    def seconds(self) -> float | None:
        """Length of all films together; None where a film's rate is not known."""
        if not all(facts.rate for facts in self.facts):
            return None
        return sum((facts.frames or 0) / facts.rate for facts in self.facts if facts.rate)


@dataclass(frozen=True)
class Survey:
    groups: tuple[Group, ...]
    problems: dict[str, str]
    """What is wrong, by the name of a film, task or file."""


def survey(root: Path) -> Survey:
    """Look at every film under `root`. Raises ModelError without such a folder and for a bad films.yaml."""
    settings = FilmSettings.load(root)
    found = find_films(root, settings.camera)
    problems = dict(found.broken)
    usable: dict[FoundFilm, Facts] = {}
    for film in found.films:
        try:
            facts = FORMATS[film.source.format].look(film.source)
            frames = settings.of(film.task).frames_of(facts)
        except ModelError as error:
            problems[film.name] = str(error)
            continue
        if frames is not None and frames < SHORTEST:
            problems[film.name] = f"it has {frames} frames; {SHORTEST} are needed"
        else:
            usable[film] = facts
    held_out = held_out_names(usable)
    keys = sorted({(film.task, film.behaviour, film.source.format) for film in usable})
    groups = []
    for key in keys:
        films = tuple(film for film in usable if (film.task, film.behaviour, film.source.format) == key)
        kept = sum(film.name in held_out for film in films)
        groups.append(Group(*key, films, tuple(usable[film] for film in films), kept))
    tasks = {film.task for film in found.films}
    for task in tasks:
        experts = [film for film in usable if film.task == task and film.behaviour == EXPERT]
        if len(experts) < 2:
            problems[task] = (
                f"{len(experts)} usable {EXPERT} films: two are needed, one to train on and one to hold out"
            )
    for task in settings.masks.keys() - tasks:
        problems[SETTINGS] = f"it has a mask for '{task}', but there are no films of such a task"
    return Survey(tuple(groups), problems)
