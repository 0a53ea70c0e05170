"""Records a camera, an arm and what was done to a bag, MCAP or SQLite, by `ros2 bag record`."""

from __future__ import annotations

from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from viper_ros.launching import chosen, end_with

ARGUMENTS = [
    DeclareLaunchArgument("out", description="Folder of the new bag."),
    DeclareLaunchArgument(
        "topics",
        default_value="image_raw step action reward joint_states",
        description="Topics to record, with spaces between them.",
    ),
    DeclareLaunchArgument(
        "namespace", default_value="", description="Namespace of the topics whose names are relative."
    ),
    DeclareLaunchArgument(
        "storage", default_value="mcap", description="Format of the bag.", choices=["mcap", "sqlite3"]
    ),
]


def graph(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    values = chosen(context, ARGUMENTS)
    inside = f"/{values['namespace'].strip('/')}/".replace("//", "/")
    topics = [topic if topic.startswith("/") else inside + topic for topic in values["topics"].split()]
    command = ["ros2", "bag", "record", "--storage", values["storage"], "--output", values["out"], "--topics", *topics]
    recorder = ExecuteProcess(cmd=command, name="record", output="screen")
    return [end_with(recorder, "ros2 bag record"), recorder]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=graph)])
