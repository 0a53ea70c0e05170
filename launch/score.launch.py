"""Scores any camera, live, without a policy: reward and likelihood map beside the camera's frames."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from launch.actions import OpaqueFunction

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from viper_ros.launching.actions import chosen, declared, node, restarted, viz


def graph(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    values = chosen(context, "score")
    parameters: dict[str, object] = {
        "model": str(Path(values["model"]).expanduser().resolve()),
        "task": values["task"],
        "likelihood": values["likelihood"],
        "device": values["device"],
        "steps": False,
        "environments": ["camera"],
    }
    sides = {"camera/image_raw": values["image"]}
    return [*restarted(partial(node, "reward_node", parameters, values, sides)), *viz(values, ["camera"], sides)]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*declared("score"), OpaqueFunction(function=graph)])
