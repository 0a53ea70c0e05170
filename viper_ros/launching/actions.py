"""What the launch files share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from launch.actions import DeclareLaunchArgument, EmitEvent, ExecuteProcess, LogInfo, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.launch_context import LaunchContext
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from viper_lab.errors import UserError
from viper_lab.parameters import unknown
from viper_ros.launching.arguments import LAUNCH_FILES

RESTARTS = 3
"""So often is a node started again that something killed."""


def declared(launch_file: str) -> list[DeclareLaunchArgument]:
    """The arguments of launch/<launch_file>.launch.py."""
    return [
        DeclareLaunchArgument(
            each.name,
            default_value=each.default,
            description=each.description,
            choices=list(each.choices) or None,
        )
        for each in LAUNCH_FILES[launch_file]
    ]


def chosen(context: LaunchContext, launch_file: str) -> dict[str, Any]:
    """The values of the file's arguments, by name; `params_file` as a Path, or None.

    Raises UserError for a wrong value, an unknown argument and a `params_file` that isn't there.
    """
    _refuse_unknown(context, launch_file)
    values = {
        each.name: each.value(LaunchConfiguration(each.name).perform(context)) for each in LAUNCH_FILES[launch_file]
    }
    file = Path(values["params_file"]).expanduser() if values["params_file"] else None
    if file and not file.is_file():
        raise UserError(f"params_file:={file}: there is no such file")
    return {**values, "params_file": file}


def _refuse_unknown(context: LaunchContext, launch_file: str) -> None:
    """Raises UserError for an argument that the command line gives and the file has not: launch would ignore it.

    Only where the command line names the file itself: one that includes it may have arguments of its own.
    """
    if f"{launch_file}.launch.py" not in {Path(each).name for each in sys.argv}:
        return
    known = [each.setting for each in LAUNCH_FILES[launch_file]]
    for given in context.argv:
        name, assigned, _ = given.partition(":=")
        if assigned and name not in {each.name for each in known} and not name.startswith("launch-prefix"):
            raise unknown(f"{launch_file}.launch.py", name, known, kind="argument")


def node(
    executable: str,
    parameters: dict[str, object],
    values: dict[str, Any],
    remappings: dict[str, str] | None = None,
    inside: str = "",
) -> Node:
    """One of our nodes, as the common arguments in `values` say; `inside` a namespace within theirs."""
    return Node(
        package="viper_ros",
        executable=executable,
        namespace="/".join(filter(None, (values["namespace"].strip("/"), inside))),
        parameters=[
            # Text is told to be text, or launch takes it for YAML: the camera "1" would be a number.
            {
                name: ParameterValue(value, value_type=str) if isinstance(value, str) else value
                for name, value in {"use_sim_time": values["use_sim_time"], **parameters}.items()
            },
            *([str(values["params_file"])] if values["params_file"] else []),
        ],
        remappings=list((remappings or {}).items()),
        output="screen",
        # Means nothing unless ROS_SECURITY_ENABLE is true: see docs/security.md.
        ros_arguments=["--log-level", values["log_level"], "--enclave", f"/viper_ros/{executable}"],
    )


def viz(
    values: dict[str, Any], environments: Sequence[str], remappings: dict[str, str] | None = None
) -> list[LaunchDescriptionEntity]:
    """A viz_node where `viz:=rerun` asks for one. A viewer that is closed ends nothing else."""
    if values["viz"] != "rerun":
        return []
    file = str(Path(values["viz_file"]).expanduser().resolve()) if values["viz_file"] else ""
    return [node("viz_node", {"environments": list(environments), "file": file}, values, remappings)]


def viper(*arguments: str) -> ExecuteProcess:
    """A command of `viper`, ended when its launch is gone: SIGTERM to `ros2 launch` alone leaves it there."""
    return ExecuteProcess(
        cmd=["setpriv", "--pdeathsig", "TERM", "viper", *arguments], name=f"viper_{arguments[0]}", output="screen"
    )


def end_with(action: ExecuteProcess, why: str) -> RegisterEventHandler:
    """When `action`'s process ends, end everything, with a failure unless it ended well."""
    return _watch(action, why, None, 0, ())


def _watch(
    action: ExecuteProcess,
    why: str,
    again: Callable[[], Node] | None,
    restarts: int,
    then: Sequence[LaunchDescriptionEntity],
) -> RegisterEventHandler:
    def ended(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        if context.is_shutdown:
            return []
        if event.returncode < 0 and again and restarts:
            successor = again()
            told = LogInfo(msg=f"{why} was killed by signal {-event.returncode}: starting it again")
            return [told, _watch(successor, why, again, restarts - 1, then), successor]
        if event.returncode != 0:
            # An error here is what makes `ros2 launch` itself exit with a failure.
            raise RuntimeError(f"{why} ended with status {event.returncode}: see its last line above")
        return list(then) or [EmitEvent(event=Shutdown(reason=f"{why} has ended"))]

    return RegisterEventHandler(OnProcessExit(target_action=action, on_exit=ended))


def together(nodes: list[Node]) -> list[LaunchDescriptionEntity]:
    """Nodes that end together."""
    return [*(end_with(one, one.node_executable) for one in nodes), *nodes]


def restarted(
    make_node: Callable[[], Node], then: Sequence[LaunchDescriptionEntity] = ()
) -> list[LaunchDescriptionEntity]:
    """A node that is started again where something kills it, and with which all others end where it ends by itself.

    For nodes that find their place again: a graph in lockstep waits for them. Never for what moves an arm.
    then: what is to happen once it has ended well; it has to end all others. Unless given, the others end at once.
    """
    first = make_node()
    return [_watch(first, first.node_executable, make_node, RESTARTS, then), first]
