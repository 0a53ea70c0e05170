"""docs/reference.md: every node's topics, services and parameters and every launch file's arguments, from the code.

`python -m viper_ros.introspection.reference docs/reference.md` writes it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path

from viper_lab.config import config_directory
from viper_lab.parameters import Parameter
from viper_ros.introspection.interfaces import ENVIRONMENT, Interfaces, common, inspect
from viper_ros.launching.arguments import LAUNCH_FILES, Argument
from viper_ros.runtime.node import AUTOSTART

TOPICS = {
    "/clock": "time, where `use_sim_time` is true",
    "/diagnostics": "once a second: is all well, and the node's counts and latencies",
    "/parameter_events": "changes of parameters",
    "/rosout": "the log",
    "~/transition_event": "changes of the node's lifecycle state",
    "action": "the action that answers the step with the same stamp, in [-1, 1] or one-hot",
    "arm_controller/joint_trajectory": "commands for the arm's joint_trajectory_controller, rad, rad/s, rad/s²",
    "arm_controller/joint_trajectory/would_send": "what would be sent, in a dry run",
    "camera/image_raw": "the arm's camera",
    "description": "latched: the environment's task, action space, frame size and step in seconds, as JSON",
    "e_stop": "`true` stops the arm and holds `clear_fault` off until `false` comes",
    "enable": "the dead-man switch, where `dead_man` is true: the arm moves while `true` keeps coming",
    "gripper_controller/joint_trajectory": "commands for the gripper's controller, m",
    "gripper_controller/joint_trajectory/would_send": "what would be sent, in a dry run",
    "image_raw": "what the policy and the model are to see of a time step",
    "joint_states": "the arm's joints, rad and rad/s",
    "likelihood_map": "which part of the frame surprised the model: mono8, a pixel a code, brighter for likelier",
    "reward": "ln p(x_t | x_<t, task) in nats, and on the task's calibrated scale, at the frame's stamp",
    "servo/delta_twist_cmds": "commands for MoveIt Servo in the arm's base frame, m/s and rad/s",
    "servo/delta_twist_cmds/would_send": "what would be sent, in a dry run",
    "step": "what is true of a time step besides its picture: task, episode, first, last, the ground-truth reward",
}
SERVICES = {
    "clear_fault": "forget the fault; nothing moves yet",
    "e_stop": "brake, and hold until `clear_fault`",
    "end_episode": "brake and hold; the policy is told that the episode is over",
    "reset_episode": "go to the home posture",
    "start_episode": "let the policy move the arm; refused, with the reason, unless all is well",
}
ACTIONS = {
    "run_episode": "an episode from start to end, with feedback a time step; cancelled, the arm brakes and holds",
}


def reference(found: Mapping[str, Interfaces]) -> str:
    """The reference, in Markdown. found: what the nodes say of themselves, see `inspect`."""
    everywhere = common(found)
    lines = [
        "# Reference",
        "",
        "Made from the code by `make docs`. The topics and services are those of the running nodes. Names are relative",
        "to the node's namespace; `<environment>` is one of the parameter `environments`. Messages are in",
        "[`msg/`](../msg), actions in [`action/`](../action). Parameters that can't change while the node runs are",
        "read-only.",
        "",
        "## Every node",
        "",
        "A lifecycle node, with the services of one and those of its parameters, and:",
        "",
        *_topics(everywhere, {}),
        "",
        *_parameters([AUTOSTART]),
    ]
    for name, interfaces in found.items():
        module = import_module(f"viper_ros.nodes.{name}")
        lines += ["", f"## {name}", "", (module.__doc__ or "").strip(), ""]
        if name == "record_node":
            lines += ["Subscribes to the topics that its parameter `topics` names.", ""]
        else:
            lines += [*_topics(interfaces, {**everywhere.publishes, **everywhere.subscribes}), ""]
        services = {service: kind for service, kind in interfaces.serves.items() if service not in everywhere.serves}
        if services:
            rows = [(f"`{_name(s)}`", f"`{kind}`", SERVICES[_name(s)]) for s, kind in services.items()]
            lines += [*_table(("service", "type", "what it does"), rows), ""]
        if interfaces.actions:
            rows = [(f"`{_name(a)}`", f"`{kind}`", ACTIONS[_name(a)]) for a, kind in interfaces.actions.items()]
            lines += [*_table(("action", "type", "what it does"), rows), ""]
        lines += _parameters(module.PARAMETERS)
    for name, arguments in LAUNCH_FILES.items():
        lines += ["", f"## {name}.launch.py", "", _docstring(name), "", *_arguments(arguments)]
    return "\n".join(lines) + "\n"


def _topics(interfaces: Interfaces, but: Mapping[str, str]) -> list[str]:
    rows = [
        (f"`{_name(topic)}`", f"`{kind}`", way, TOPICS[_name(topic).removeprefix("<environment>/")])
        for way, topics in (("publishes", interfaces.publishes), ("subscribes", interfaces.subscribes))
        for topic, kind in topics.items()
        if topic not in but
    ]
    return _table(("topic", "type", "the node", "what"), rows)


def _name(topic: str) -> str:
    """As users write it: relative, but for what lies at the root by convention."""
    if topic in TOPICS:
        return topic
    return topic.removeprefix("/").replace(f"{ENVIRONMENT}/", "<environment>/")


def _parameters(parameters: Iterable[Parameter]) -> list[str]:
    rows = [
        (
            f"`{each.name}`",
            _type(each.default),
            f"`{_value(each.default)}`",
            _allowed(each),
            "" if each.read_only else "yes",
            each.description,
        )
        for each in parameters
    ]
    return _table(("parameter", "type", "default", "allowed", "can change while it runs", "what it is"), rows)


def _arguments(arguments: Sequence[Argument]) -> list[str]:
    rows = [
        (
            f"`{each.name}`",
            "has to be given" if each.default is None else f"`{each.default}`" if each.default else "empty",
            ", ".join(f"`{choice}`" for choice in each.choices),
            each.description,
        )
        for each in arguments
    ]
    return _table(("argument", "default", "choices", "what it is"), rows)


def _type(default: object) -> str:
    if isinstance(default, list):
        return f"{_type(default[0])} array"
    return {bool: "bool", int: "integer", float: "double", str: "string"}[type(default)]


def _value(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, list):
        return f"[{', '.join(default)}]"
    return f'"{default}"' if default == "" else str(default)


def _allowed(parameter: Parameter) -> str:
    if parameter.choices:
        return ", ".join(f"`{choice}`" for choice in parameter.choices)
    if parameter.low is None or parameter.high is None:
        return ""
    return f"{parameter.low:.10g} to {parameter.high:.10g}"


def _docstring(launch_file: str) -> str:
    source = (config_directory().parent / "launch" / f"{launch_file}.launch.py").read_text()
    return (ast.get_docstring(ast.parse(source)) or "").strip()


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return [line(head), line("---" for _ in head), *map(line, rows)]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(inspect()))
