"""What the launch files share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from launch.actions import DeclareLaunchArgument, EmitEvent, ExecuteProcess, LogInfo, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.launch_context import LaunchContext
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from viper_ros.launching.arguments import Argument

RESTARTS = 3
"""So often is a node started again that something killed."""


def declared(arguments: Sequence[Argument]) -> list[DeclareLaunchArgument]:
    return [
        DeclareLaunchArgument(
            each.name,
            default_value=each.default,
            description=each.description,
            choices=list(each.choices) or None,
        )
        for each in arguments
    ]


def chosen(context: LaunchContext, arguments: Sequence[Argument]) -> dict[str, str]:
    """The values of `arguments`."""
    return {each.name: LaunchConfiguration(each.name).perform(context) for each in arguments}


def node(
    executable: str,
    parameters: dict[str, object],
    values: dict[str, str],
    remappings: dict[str, str] | None = None,
    inside: str = "",
) -> Node:
    """One of our nodes, as the common arguments in `values` say; `inside` a namespace within theirs."""
    more = values["params_file"]
    if more and not Path(more).expanduser().is_file():
        raise RuntimeError(f"params_file:={more}: there is no such file")
    return Node(
        package="viper_ros",
        executable=executable,
        namespace="/".join(filter(None, (values["namespace"].strip("/"), inside))),
        parameters=[
            {**parameters, "use_sim_time": values["use_sim_time"] == "true"},
            *([str(Path(more).expanduser())] if more else []),
        ],
        remappings=list((remappings or {}).items()),
        output="screen",
        # Means nothing unless ROS_SECURITY_ENABLE is true: see docs/security.md.
        ros_arguments=["--log-level", values["log_level"], "--enclave", f"/viper_ros/{executable}"],
    )


def viz(
    values: dict[str, str], environments: Sequence[str], remappings: dict[str, str] | None = None
) -> list[LaunchDescriptionEntity]:
    """A viz_node where `viz:=rerun` asks for one. A viewer that is closed ends nothing else."""
    if values["viz"] != "rerun":
        return []
    file = str(Path(values["viz_file"]).expanduser().resolve()) if values["viz_file"] else ""
    return [node("viz_node", {"environments": list(environments), "file": file}, values, remappings)]


def end_with(action: ExecuteProcess, why: str) -> RegisterEventHandler:
    """When `action`'s process ends, end everything, with a failure unless it ended well."""
    return _watch(action, why, None, 0)


def _watch(action: ExecuteProcess, why: str, again: Callable[[], Node] | None, restarts: int) -> RegisterEventHandler:
    def ended(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        if context.is_shutdown:
            return []
        if event.returncode < 0 and again and restarts:
            successor = again()
            told = LogInfo(msg=f"{why} was killed by signal {-event.returncode}: starting it again")
            return [told, _watch(successor, why, again, restarts - 1), successor]
        if event.returncode != 0:
            # An error here is what makes `ros2 launch` itself exit with a failure.
            raise RuntimeError(f"{why} ended with status {event.returncode}: see its last line above")
        return [LogInfo(msg=f"{why} is done"), EmitEvent(event=Shutdown(reason=f"{why} is done"))]

    return RegisterEventHandler(OnProcessExit(target_action=action, on_exit=ended))


def together(nodes: list[Node]) -> list[LaunchDescriptionEntity]:
    """Nodes that end together."""
    return [*(end_with(one, one.node_executable) for one in nodes), *nodes]


def restarted(make_node: Callable[[], Node]) -> list[LaunchDescriptionEntity]:
    """A node that is started again where something kills it, and with which all others end where it ends by itself.

    For nodes that find their place again: a graph in lockstep waits for them. Never for what moves an arm.
    """
    first = make_node()
    return [_watch(first, first.node_executable, make_node, RESTARTS), first]
