"""The training graph, a process per node: as many environments as asked for, one reward node, one policy node.

Where videos or the video model are missing, `viper prepare` records and fits them first.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from launch.actions import ExecuteProcess, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events.process import ProcessExited

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from viper_lab.experiment.plan import Plan, make_plan
from viper_ros.launching.actions import chosen, declared, node, restarted, viz


def nodes(plan: Plan, values: dict[str, Any]) -> list[LaunchDescriptionEntity]:
    started: list[LaunchDescriptionEntity] = []
    for name in plan.environments:
        environment = plan.sim_parameters(name)
        started += restarted(partial(node, "sim_node", environment, values, inside=name))
    if plan.learns_from_videos:
        started += restarted(partial(node, "reward_node", plan.reward_parameters(), values))
    started += restarted(partial(node, "policy_node", plan.policy_parameters(), values))
    return [*started, *viz(values, plan.environments)]


def graph(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    values = chosen(context, "train")
    values["directory"] = Path(values["directory"]).expanduser().resolve()
    plain = ("task", "arm", "reward", "agent", "likelihood", "reward_task", "reward_model", "name", "steps")
    names = (*plain, "environments", "namespace")
    plan = make_plan(values["sim"], directory=values["directory"], **{name: values[name] for name in names})
    running = nodes(plan, values)
    if plan.model_is_given or not plan.learns_from_videos:
        return running
    names = ("sim", "task", "arm", "directory")
    options = [f"{name}:={values[name]}" for name in names if values[name]]
    prepare = ExecuteProcess(cmd=["viper", "prepare", *options], name="prepare", output="screen")

    def prepared(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        if event.returncode != 0:
            raise RuntimeError(f"viper prepare ended with status {event.returncode}: see its last line above")
        return running

    return [RegisterEventHandler(OnProcessExit(target_action=prepare, on_exit=prepared)), prepare]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*declared("train"), OpaqueFunction(function=graph)])
