"""The training graph, a process per node: as many worlds as asked for, one reward node, one policy node.

Where films or the video model are missing, `viper prepare` records and fits them first.
"""

from __future__ import annotations

from pathlib import Path

from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from viper_ros.launching import end_with
from viper_ros.plan import Plan, make_plan
from viper_ros.settings import config_directory

ARGUMENTS = [
    DeclareLaunchArgument(
        "sim",
        default_value="dmc",
        description="Simulator; its settings are in config/<sim>.yaml.",
        choices=sorted(path.stem for path in config_directory().glob("*.yaml")),
    ),
    DeclareLaunchArgument(
        "task", default_value="", description="Task of the simulator; empty: the one in its settings."
    ),
    DeclareLaunchArgument(
        "arm", default_value="", description="Arm, where the simulator has several; empty: the one in its settings."
    ),
    DeclareLaunchArgument(
        "reward",
        default_value="viper",
        description="viper: the video model's likelihood; task: the simulator's own reward (the Task Oracle).",
        choices=["viper", "task"],
    ),
    DeclareLaunchArgument("name", default_value="", description="The run's name; empty: after the task."),
    DeclareLaunchArgument(
        "steps", default_value="0", description="Environment steps to collect; 0: as in the settings."
    ),
    DeclareLaunchArgument("environments", default_value="1", description="Worlds side by side, each a process."),
    DeclareLaunchArgument(
        "namespace", default_value="", description="ROS namespace of the graph, to run several side by side."
    ),
    DeclareLaunchArgument("directory", default_value=".", description="Where data/, models/ and runs/ are."),
    DeclareLaunchArgument(
        "log_level", default_value="info", description="What nodes log.", choices=["debug", "info", "warn", "error"]
    ),
]
"""What changes from run to run. Everything else is in config/."""


def node(executable: str, parameters: dict[str, object], log_level: str, namespace: str) -> Node:
    return Node(
        package="viper_ros",
        executable=executable,
        namespace=namespace,
        parameters=[parameters],
        output="screen",
        ros_arguments=["--log-level", log_level],
    )


def nodes(plan: Plan, log_level: str) -> list[Node]:
    inside = plan.namespace
    worlds = [node("sim_node", plan.sim_parameters(name), log_level, f"{inside}/{name}") for name in plan.environments]
    rewards = [node("reward_node", plan.reward_parameters(), log_level, inside)] if plan.learns_from_films else []
    return [*worlds, *rewards, node("policy_node", plan.policy_parameters(), log_level, inside)]


def graph(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    chosen = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in ARGUMENTS}
    plan = make_plan(
        chosen["sim"],
        task=chosen["task"] or None,
        arm=chosen["arm"] or None,
        reward=chosen["reward"],
        name=chosen["name"] or None,
        steps=int(chosen["steps"]) or None,
        environments=int(chosen["environments"]),
        namespace=chosen["namespace"],
        directory=Path(chosen["directory"]).expanduser().resolve(),
    )
    started = nodes(plan, chosen["log_level"])
    running = [*(end_with(process, process.node_executable) for process in started), *started]
    if not plan.learns_from_films:
        return running
    names = ("sim", "task", "arm", "directory")
    options = [f"{name}:={chosen[name]}" for name in names if chosen[name]]
    prepare = ExecuteProcess(cmd=["viper", "prepare", *options], name="prepare", output="screen")

    def prepared(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        if event.returncode != 0:
            raise RuntimeError(f"viper prepare ended with status {event.returncode}: see its last line above")
        return running

    return [RegisterEventHandler(OnProcessExit(target_action=prepare, on_exit=prepared)), prepare]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=graph)])
