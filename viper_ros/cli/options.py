"""Options of commands, made of the settings that they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from viper_lab.errors import UserError
from viper_lab.experiment.sections import REWARD_NODE, RUN
from viper_lab.experiment.sim_sections import SIM_NODE
from viper_lab.parameters import Parameter, parameter


def option(setting: Parameter, *, unless_given: str = "") -> Any:
    """A command's option for `setting`: its description, its choices, and a check as for the setting.

    unless_given: what counts without the option, where that isn't the setting's own default.
    """

    def check(value: Any) -> Any:
        problem = "" if value is None else setting.problem(str(value) if isinstance(value, Path) else value)
        if problem:
            raise UserError(f"{setting.name} {problem}")
        return value

    description = f"{setting.description} {unless_given}".strip()
    return typer.Option(help=description, metavar="|".join(map(str, setting.choices)) or None, callback=check)


AS_IN_SETTINGS = "As in config/<sim>.yaml unless given."

SIM = parameter(SIM_NODE, "sim")
DIRECTORY = parameter(RUN, "directory")
DEVICE = parameter(REWARD_NODE, "device")

Sim = Annotated[str, option(SIM)]
Task = Annotated[str | None, option(parameter(SIM_NODE, "task"), unless_given=AS_IN_SETTINGS)]
Arm = Annotated[str | None, option(parameter(SIM_NODE, "arm"), unless_given=AS_IN_SETTINGS)]
Directory = Annotated[Path, option(DIRECTORY)]
Device = Annotated[str, option(DEVICE)]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a setting: section.parameter=value, as in policy_node.replay_ratio=32. Repeat."),
]
