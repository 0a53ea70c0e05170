"""Scores any camera, live, without a policy: reward and surprise map beside the camera's frames."""

from __future__ import annotations

from pathlib import Path

from launch.actions import DeclareLaunchArgument, OpaqueFunction

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from viper_ros.launching import COMMON, chosen, node, together

ARGUMENTS = [
    DeclareLaunchArgument("image", description="Topic of the camera, such as /camera/color/image_raw."),
    DeclareLaunchArgument("model", description="Folder of the video model, as `viper fit` leaves it."),
    DeclareLaunchArgument(
        "task", default_value="", description="What the camera shows; empty: the only task that the model knows."
    ),
    DeclareLaunchArgument(
        "device", default_value="auto", description="Where the model runs.", choices=["auto", "cpu", "cuda"]
    ),
    *COMMON,
]


def graph(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    values = chosen(context, ARGUMENTS)
    parameters: dict[str, object] = {
        "model": str(Path(values["model"]).expanduser().resolve()),
        "task": values["task"],
        "device": values["device"],
        "steps": False,
        "environments": ["camera"],
    }
    return together([node("reward_node", parameters, values, {"camera/image_raw": values["image"]})])


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=graph)])
