"""Settings, declared in one place each: name, default, description, and what values make sense.

Nodes declare these as ROS parameters; command-line options, launch arguments and the checks of sections that belong to
no node are made of them too.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from viper_lab.errors import UserError


@dataclass(frozen=True)
class Parameter:
    """One setting. `low` and `high` are inclusive; `choices` are the only values allowed."""

    name: str
    default: Any
    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] | tuple[int, ...] = ()
    read_only: bool = True

    def problem(self, value: object) -> str:
        """What is wrong with `value`, as the end of a sentence; empty where nothing is."""
        if type(value) is not type(self.default) and not (isinstance(self.default, float) and type(value) is int):
            return f"is {value!r}, but must be of type {type(self.default).__name__}"
        if self.choices and value not in self.choices:
            return f"is '{value}', but must be one of: {', '.join(map(str, self.choices))}"
        if self.low is not None and self.high is not None and not self.low <= value <= self.high:  # type: ignore[operator]
            return f"is {value}, but must be from {self.low:.10g} to {self.high:.10g}"
        return ""


def parameter(parameters: Iterable[Parameter], name: str) -> Parameter:
    """The one of that name."""
    return next(each for each in parameters if each.name == name)


def unknown(owner: str, name: str, parameters: Sequence[Parameter], kind: str = "parameter") -> UserError:
    """The error for a name that is not among `parameters`."""
    names = [each.name for each in parameters]
    near = difflib.get_close_matches(name, names, cutoff=0.4)
    advice = f"did you mean {' or '.join(near)}?" if near else f"choose one of {', '.join(names)}"
    return UserError(f"{owner} has no {kind} '{name}': {advice}")


def resolved(section: str, parameters: Sequence[Parameter], values: Mapping[str, Any]) -> dict[str, Any]:
    """All `parameters` by name: `values`, and defaults for those that aren't given.

    Raises UserError for an unknown name and for a value of another type, out of range or not among the choices.
    """
    by_name = {each.name: each for each in parameters}
    for name, value in values.items():
        if name not in by_name:
            raise unknown(section, name, parameters)
        if problem := by_name[name].problem(value):
            raise UserError(f"{section}.{name} {problem}")
    return {
        name: type(each.default)(values[name]) if name in values else each.default for name, each in by_name.items()
    }
