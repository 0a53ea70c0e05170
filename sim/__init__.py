"""Environments: simulators behind one contract (`Env`), made by name.

>>> environment = sim.make("dmc", "cartpole_swingup", image_size=(64, 64), action_repeat=4, seed=0)
>>> time_step = environment.reset()
>>> while not time_step.is_last:
...     time_step = environment.step(environment.description.action_space.sample(rng))
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from sim import opengl
from sim.env import ActionSpace, Description, Env, SimDiedError, SimError, TimeStep

__all__ = [
    "SIMS",
    "ActionSpace",
    "Description",
    "Env",
    "SimDiedError",
    "SimError",
    "TimeStep",
    "arms_of",
    "make",
    "tasks",
]

SIMS = {
    "dmc": "mujoco==3.3.7 dm_control==1.0.34",
    "atari": "ale-py==0.12.1",
    "robosuite": "mujoco==3.3.7 robosuite==1.5.2 numba==0.61.2 termcolor==3.3.0",
    "rlbench": "rlbench==1.2.0 PyRep==4.1.0.3",
}
"""The simulators, each the name of a module in this package, with the Python packages that it needs. Others that those
ask for are not wanted: robosuite's OpenCV would take the place of the one without a screen.

Such a module has `tasks() -> tuple[str, ...]` and `make(task, *, image_size, action_repeat, seed, **options) -> Env`;
where there are several arms, `ARMS` has their names.
"""


_OWN = ("task", "image_size", "action_repeat", "seed")
"""What `make` gives a simulator itself: no options of it."""


def make(
    sim: str,
    task: str,
    *,
    image_size: tuple[int, int] = (64, 64),
    action_repeat: int | None = None,
    seed: int = 0,
    **options: Any,
) -> Env:
    """A new environment.

    `image_size`: height and width of its frames in pixels. `action_repeat`: the simulator's control steps for each
    `step`, None for what is usual for the simulator. `seed` decides everything random in the environment. `options` are
    the simulator's own, such as `camera` (see its module).

    Raises SimError for an unknown simulator, task or option, an impossible size or repeat, and a simulator that is
    not installed or can't draw.
    """
    module = _module(sim)
    _check_name("task", task, module.tasks(), f" of {sim}")
    options_known = [p.name for p in inspect.signature(module.make).parameters.values() if p.name not in _OWN]
    for option in options:
        _check_name("option", option, options_known, f" of {sim}")
    if len(image_size) != 2 or min(image_size) < 1:
        raise SimError(f"image_size {image_size}: give a height and a width in pixels, such as (64, 64)")
    if action_repeat is not None and action_repeat < 1:
        raise SimError(f"action_repeat {action_repeat}: an action is held for at least 1 control step")
    if seed < 0 or seed >= 2**32:
        raise SimError(f"seed {seed}: a seed is from 0 to 2**32 - 1")
    environment: Env = module.make(
        task, image_size=tuple(image_size), action_repeat=action_repeat, seed=seed, **options
    )
    return environment


def tasks(sim: str) -> tuple[str, ...]:
    """The names of a simulator's tasks."""
    names: tuple[str, ...] = _module(sim).tasks()
    return names


def arms_of(sim: str) -> tuple[str, ...]:
    """The names of the arms that a simulator can choose from, its option `arm`; none where it has no such option."""
    return tuple(getattr(_module(sim), "ARMS", ()))


def _module(sim: str) -> ModuleType:
    _check_name("simulator", sim, SIMS)
    try:
        return importlib.import_module(f"sim.{sim}")
    except ModuleNotFoundError as error:
        raise SimError(f"{sim} needs the Python package {error.name}: `pip install --no-deps {SIMS[sim]}`") from error
    # What PyOpenGL raises where a library is missing depends on the library: AttributeError for OSMesa, for one.
    except (ImportError, AttributeError, RuntimeError) as error:
        raise SimError(f"{opengl.advice()} ({error})") from error


def _check_name(kind: str, name: str, known: Iterable[str], where: str = "") -> None:
    known = sorted(known)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known
        raise SimError(f"no {kind} {name!r}{where}: did you mean {' or '.join(near)}?")
