"""The arguments of the launch files: what changes from run to run. Everything else is in config/.

Without `launch`, so that the reference in docs/ can be made where that isn't installed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from viper_lab.errors import UserError
from viper_lab.experiment.sections import POLICY_NODE, REWARD_NODE, RUN
from viper_lab.experiment.sim_sections import SIM_NODE
from viper_lab.parameters import Parameter, parameter
from viper_ros.nodes import act_node, arm_node, record_node

SWITCH = {"true": True, "false": False}


@dataclass(frozen=True)
class Argument:
    """One argument of a launch file, for the setting that it stands for."""

    setting: Parameter
    required: bool = False
    """It has to be given."""
    optional: bool = False
    """Where it isn't given, what the parameter file of the simulator says counts."""

    @property
    def name(self) -> str:
        return self.setting.name

    @property
    def description(self) -> str:
        more = " With spaces between them." if isinstance(self.setting.default, list) else ""
        return self.setting.description + (" Empty: as in config/<sim>.yaml." if self.optional else more)

    @property
    def choices(self) -> tuple[str, ...]:
        """The only values allowed; empty where others are."""
        choices = tuple(SWITCH) if isinstance(self.setting.default, bool) else tuple(map(str, self.setting.choices))
        return ("", *choices) if self.optional and choices else choices

    @property
    def default(self) -> str | None:
        """As text; None where there is none."""
        default = self.setting.default
        if self.required or self.optional:
            return None if self.required else ""
        if isinstance(default, list):
            return " ".join(default)
        return str(default).lower() if isinstance(default, bool) else str(default)

    def value(self, text: str) -> Any:
        """The value that `text` stands for; None where it is the parameter file's. Raises UserError."""
        if self.optional and not text:
            return None
        read: dict[type, Callable[[str], Any]] = {bool: SWITCH.__getitem__, list: str.split}
        kind = type(self.setting.default)
        try:
            value = read.get(kind, kind)(text)
        except (KeyError, ValueError) as error:
            raise UserError(f"{self.name}:={text}: it must be of type {kind.__name__}") from error
        if problem := self.setting.problem(value):
            raise UserError(f"{self.name} {problem}")
        return value


def arguments(parameters: Sequence[Parameter], *names: str, **kind: bool) -> tuple[Argument, ...]:
    """Arguments for the settings of these names, in this order; for all where no name is given."""
    chosen = [parameter(parameters, name) for name in names] if names else parameters
    return tuple(Argument(each, **kind) for each in chosen)


COMMON = (
    parameter(RUN, "namespace"),
    Parameter("params_file", "", "ROS 2 parameter file (YAML) of your own; what it says counts. Empty: none."),
    Parameter("use_sim_time", False, "Take time from /clock."),
    Parameter("log_level", "info", "What nodes log.", choices=("debug", "info", "warn", "error")),
)
CAMERA = (Parameter("image", "camera/image_raw", "Topic of the camera, such as /camera/color/image_raw."),)
ROBOT = (
    Parameter("sim", False, "Simulate the arm."),
    Parameter("joint_states", "joint_states", "Topic of the arm's joints."),
    Parameter("controller", "arm_controller", "Name of the joint_trajectory_controller."),
    Parameter("gripper", "gripper_controller", "Name of the gripper's joint_trajectory_controller."),
)

TRAIN = (
    *arguments(SIM_NODE, "sim"),
    *arguments(SIM_NODE, "task", "arm", optional=True),
    *arguments(POLICY_NODE, "reward"),
    *arguments(POLICY_NODE, "agent", optional=True),
    *arguments(REWARD_NODE, "likelihood", optional=True),
    *arguments(REWARD_NODE, "reward_task"),
    *arguments(RUN, "reward_model", "name"),
    *arguments(POLICY_NODE, "steps", optional=True),
    *arguments(RUN, "seed", "environments", "directory", "viz", "viz_file"),
    *arguments(COMMON),
)

SCORE = (
    *arguments(CAMERA, "image", required=True),
    *arguments(REWARD_NODE, "model", required=True),
    *arguments(REWARD_NODE, "task", "likelihood", "device"),
    *arguments(RUN, "viz", "viz_file"),
    *arguments(COMMON),
)

DEPLOY = (
    *arguments(arm_node.PARAMETERS, "arm", required=True),
    *arguments(act_node.PARAMETERS, "policy", required=True),
    *arguments(arm_node.PARAMETERS, "dry_run", "task", "action", "step_seconds", "output", "dead_man", "joint_prefix"),
    *arguments(ROBOT, "sim", "joint_states", "controller", "gripper"),
    *arguments(CAMERA, "image"),
    *arguments(RUN, "viz", "viz_file"),
    *arguments(COMMON),
)

RECORD = (
    *arguments(record_node.PARAMETERS, "out", required=True),
    *arguments(record_node.PARAMETERS, "topics"),
    *arguments(COMMON),
)

LAUNCH_FILES = {"train": TRAIN, "score": SCORE, "deploy": DEPLOY, "record": RECORD}
"""By name: launch/<name>.launch.py."""
