"""What the launch files share."""

from __future__ import annotations

from launch.actions import DeclareLaunchArgument, EmitEvent, ExecuteProcess, LogInfo, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.launch_context import LaunchContext
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

COMMON = [
    DeclareLaunchArgument("namespace", default_value="", description="ROS namespace of the nodes."),
    DeclareLaunchArgument(
        "use_sim_time", default_value="false", description="Take time from /clock.", choices=["true", "false"]
    ),
    DeclareLaunchArgument(
        "log_level", default_value="info", description="What nodes log.", choices=["debug", "info", "warn", "error"]
    ),
]
"""Arguments of every launch file for cameras and arms."""


def chosen(context: LaunchContext, arguments: list[DeclareLaunchArgument]) -> dict[str, str]:
    """The values of `arguments`."""
    return {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in arguments}


def node(
    executable: str, parameters: dict[str, object], values: dict[str, str], remappings: dict[str, str] | None = None
) -> Node:
    """One of our nodes, as the common arguments in `values` say."""
    return Node(
        package="viper_ros",
        executable=executable,
        namespace=values["namespace"],
        parameters=[{**parameters, "use_sim_time": values["use_sim_time"] == "true"}],
        remappings=list((remappings or {}).items()),
        output="screen",
        ros_arguments=["--log-level", values["log_level"]],
    )


def end_with(action: ExecuteProcess, why: str) -> RegisterEventHandler:
    """When `action`'s process ends, end everything, with a failure unless it ended well."""

    def ended(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        if context.is_shutdown:
            return []
        if event.returncode != 0:
            # An error here is what makes `ros2 launch` itself exit with a failure.
            raise RuntimeError(f"{why} ended with status {event.returncode}: see its last line above")
        return [LogInfo(msg=f"{why} is done"), EmitEvent(event=Shutdown(reason=f"{why} is done"))]

    return RegisterEventHandler(OnProcessExit(target_action=action, on_exit=ended))


def together(nodes: list[Node]) -> list[LaunchDescriptionEntity]:
    """Nodes that end together."""
    return [*(end_with(one, one.node_executable) for one in nodes), *nodes]
