"""Records a camera, an arm and what was done to a bag (MCAP), as `ros2 bag record` would."""

from __future__ import annotations

from pathlib import Path

from launch.actions import OpaqueFunction

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from viper_ros.launching.actions import chosen, declared, node, together


def graph(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    values = chosen(context, "record")
    out = str(Path(values["out"]).expanduser().resolve())
    return together([node("record_node", {"out": out, "topics": values["topics"]}, values)])


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*declared("record"), OpaqueFunction(function=graph)])
