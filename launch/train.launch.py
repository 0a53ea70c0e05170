"""The training graph, a process per node: as many environments as asked for, one reward node, one policy node.

Where videos or the video model are missing, `viper prepare` records and fits them first. At the end `viper report` says
what came out.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from launch.actions import OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events.process import ProcessExited

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from viper_lab.experiment.existing_run import refuse_another
from viper_lab.experiment.plan import Plan, make_plan
from viper_ros.launching.actions import chosen, declared, end_with, node, restarted, viper, viz


def nodes(plan: Plan, values: dict[str, Any]) -> list[LaunchDescriptionEntity]:
    common = {**values, "params_file": None}  # The plan has what it says.
    started: list[LaunchDescriptionEntity] = []
    for name in plan.environments:
        environment = plan.sim_parameters(name)
        started += restarted(partial(node, "sim_node", environment, common, inside=name))
    if plan.reward.has_video_model:
        started += restarted(partial(node, "reward_node", plan.reward_parameters(), common))
    policy = partial(node, "policy_node", plan.policy_parameters(), common)
    report = viper("report", str(plan.run))
    started += restarted(policy, then=[end_with(report, "viper report"), report])
    return [*started, *viz(values, plan.environments)]


def graph(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    values = chosen(context, "train")
    values["directory"] = Path(values["directory"]).expanduser().resolve()
    plain = ("task", "arm", "reward", "agent", "likelihood", "reward_task", "reward_model", "name", "steps")
    names = (*plain, "seed", "environments", "namespace", "directory", "params_file")
    plan = make_plan(values["sim"], **{name: values[name] for name in names})
    refuse_another(plan)
    running = nodes(plan, values)
    if not plan.needs_preparation:
        return running
    assignments = [
        f"--set={section}.{name}={value}"
        for section in ("record", "fit", "sim_node", "reward_node")
        for name, value in plan.settings[section].items()
    ]
    prepare = viper(
        "prepare", f"sim:={plan.sim}", f"reward:={plan.reward.name}", f"directory:={values['directory']}", *assignments
    )

    def prepared(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        if event.returncode != 0:
            raise RuntimeError(f"viper prepare ended with status {event.returncode}: see its last line above")
        return running

    return [RegisterEventHandler(OnProcessExit(target_action=prepare, on_exit=prepared)), prepare]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*declared("train"), OpaqueFunction(function=graph)])
