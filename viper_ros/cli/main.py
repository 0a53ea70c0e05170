"""The `viper` command: from videos to a trained policy.

Options can be written as ROS 2 writes them, `task:=cartpole_swingup`, or as `--task cartpole_swingup`.
"""

from __future__ import annotations

import ast
import io
import os
import re
import signal
import sys
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from viper_lab.errors import USER_ERRORS
from viper_model.files import disk_is_full

MODULES = {
    "doctor": ("doctor",),
    "videos": ("data", "record", "half-trained"),
    "models": ("fit", "check-reward", "score", "imagine", "progress"),
    "experiments": ("prepare", "train", "report"),
    "benchmarks": ("benchmark", "aggregate"),
    "cross_embodiment": ("cross-embodiment",),
}
"""By the name of a module in this folder: the commands that it has."""
WHERE_IT_WAS = "the same command goes on where it was"
AFTER_A_SIGNAL = {
    **dict.fromkeys(("record", "prepare", "train", "benchmark", "cross-embodiment"), WHERE_IT_WAS),
    "fit": "the same command goes on from what it last saved, which it does every 20 seconds of training",
}
"""What is there to go on with, by command; all others begin anew."""
PACKAGES = "pip install -r requirements/python.txt; `viper doctor` says what else is missing"
ROS = "ROS 2: run `make setup`, or source a ROS 2 Jazzy or Kilted installation and this package's install/setup.bash"


class Commands(TyperGroup):
    """The commands of MODULES. A command's module is imported when the command runs, and so is what it needs."""

    def __init__(self) -> None:
        stand_ins = [
            TyperCommand(name, help=_summary(module, name)) for module, names in MODULES.items() for name in names
        ]
        super().__init__(
            name="viper",
            commands=stand_ins,
            help=__doc__,
            no_args_is_help=True,
            rich_markup_mode="rich",
        )

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, _, rest = super().resolve_command(ctx, args)
        module = next(module for module, names in MODULES.items() if name in names)
        group = typer.main.get_group(import_module(f"viper_ros.cli.{module}").commands)
        _take_signals()
        command = group.commands[str(name)]
        return name, command, _switched(command, rest)


def _switched(command: Any, arguments: list[str]) -> list[str]:
    """Flags that were given as ROS 2 gives them: `--maps true` is `--maps`, and `--maps false` is nothing."""
    flags = {
        option for parameter in command.params if getattr(parameter, "is_flag", False) for option in parameter.opts
    }
    plain: list[str] = []
    for argument in arguments:
        if argument in ("true", "false") and plain and plain[-1] in flags:
            if argument == "false":
                plain.pop()
        else:
            plain.append(argument)
    return plain


def _summary(module: str, command: str) -> str:
    """The first line of a command's docstring, without importing its module."""
    source = Path(__file__).with_name(f"{module}.py").read_text()
    functions = [each for each in ast.parse(source).body if isinstance(each, ast.FunctionDef)]
    function = next(each for each in functions if each.name == command.replace("-", "_"))
    return (ast.get_docstring(function) or "").partition("\n")[0]


def _take_signals() -> None:
    """Until here, where all that takes time to load is loaded, bin/viper has answered them."""
    for number, answer in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, _terminated)):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, answer)


def _terminated(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def dashed(arguments: list[str]) -> list[str]:
    """`name:=value`, as ROS 2 writes it, as `--name value`. Shells leave a `~` there as it is, before a path too."""
    plain: list[str] = []
    for argument in arguments:
        match = re.fullmatch(r"([a-z_]+):=(.*)", argument, re.DOTALL)
        plain += [f"--{match[1].replace('_', '-')}", _expanded(match[2])] if match else [argument]
    return plain


def _expanded(value: str) -> str:
    return os.path.expanduser(value) if value == "~" or value.startswith("~/") else value


def _mistake(error: Exception, command: str) -> str:
    """The line that tells of an error which is the user's or their machine's to mend; empty for all others."""
    if isinstance(error, USER_ERRORS):
        return f"viper: {error}"
    if isinstance(error, ImportError) and error.name:
        package = error.name.partition(".")[0]
        if package in ("rclpy", "ament_index_python") or package.endswith(("_msgs", "_srvs", "_interfaces")):
            return f"viper {command} needs {ROS}"
        if error.name.startswith(("viper_ros.action", "viper_ros.msg")):
            return f"viper {command} needs {ROS}"
        if package not in ("sim", "viper_lab", "viper_model", "viper_ros"):
            return f"viper {command} needs {package}: {PACKAGES}"
    if isinstance(error, PermissionError) and error.filename:
        return f"viper: {error.filename} may not be read, or not be written, by this user"
    if _is_full(error):
        return "viper: the disk is full, or what the output goes to"
    torch = sys.modules.get("torch")
    if torch and isinstance(error, torch.OutOfMemoryError):
        return "viper: the GPU's memory is too small for this, or in use: choose device:=cpu"
    if isinstance(error, MemoryError) or "DefaultCPUAllocator" in str(error):  # torch's, in a RuntimeError
        return "viper: this machine's memory is too small for this, or in use: ask for less at a time"
    return ""


def _is_full(error: Exception) -> bool:
    return isinstance(error, OSError) and disk_is_full(error)


def main() -> int:
    """Returns the exit status: 0, 1 after a mistake told in one line, 2 for wrong options.

    Above 128 where a signal ended it, as in shells: 130 after Ctrl-C, 143 after SIGTERM.
    """
    arguments = dashed(sys.argv[1:])
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # Names of files need not be UTF-8.
    try:
        Commands()(arguments)
    except (KeyboardInterrupt, SystemExit) as end:  # Typer makes the one into the other
        status = 130 if isinstance(end, KeyboardInterrupt) else int(end.code or 0)
        if status > 128:
            how = "interrupted" if status == 128 + signal.SIGINT else "terminated"
            then = AFTER_A_SIGNAL.get(arguments[0], "the same command begins anew")
            print(f"viper: {how}; {then}", file=sys.stderr)
        return status
    except Exception as error:
        line = _mistake(error, arguments[0])
        if not line:
            raise
        print(line, file=sys.stderr)
        if _is_full(error):
            _give_up_output()
        return 1
    return 0


def _give_up_output() -> None:
    """What could not be written out would be tried again, and told, when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
