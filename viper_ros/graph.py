"""The training graph in one process and one executor: the same nodes as under `ros2 launch`."""

from __future__ import annotations

from pathlib import Path

from rclpy.utilities import try_shutdown
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from viper_lab.experiment.existing_run import refuse_another
from viper_lab.experiment.plan import Plan
from viper_model.torch_tools.device import torch_device
from viper_ros.nodes import policy_node, reward_node, sim_node, viz_node
from viper_ros.nodes.policy_node import PolicyNode
from viper_ros.nodes.reward_node import RewardNode
from viper_ros.nodes.sim_node import SimNode
from viper_ros.nodes.viz_node import VizNode
from viper_ros.runtime.node import ViperNode
from viper_ros.runtime.parameters import overrides
from viper_ros.runtime.process import join_graph, share_cores, spin, start_alone


def make_nodes(plan: Plan) -> tuple[list[ViperNode], PolicyNode]:
    """All nodes of the plan, not yet started, and the one that knows when it is done."""
    inside = plan.namespace
    policy = PolicyNode(
        namespace=inside, parameter_overrides=overrides(policy_node.PARAMETERS, plan.policy_parameters())
    )
    nodes: list[ViperNode] = [policy]
    if plan.reward.has_video_model:
        values = plan.reward_parameters()
        nodes.append(RewardNode(namespace=inside, parameter_overrides=overrides(reward_node.PARAMETERS, values)))
    for name in plan.environments:
        values = plan.sim_parameters(name)
        nodes.append(SimNode(namespace=f"{inside}/{name}", parameter_overrides=overrides(sim_node.PARAMETERS, values)))
    return nodes, policy


def train(plan: Plan, console: Console, *, viz: bool = False, viz_file: Path | None = None) -> int:
    """Make what is missing for the plan, then train until it is carried out, or interrupted.

    Returns the exit status. Raises one of USER_ERRORS: for wrong settings of the nodes before videos are recorded.

    viz: show what happens in a Rerun viewer, or write it to `viz_file`.
    """
    refuse_another(plan)
    join_graph([])
    try:
        nodes, policy = make_nodes(plan)
        if viz:
            file = "" if viz_file is None else str(viz_file)
            values = overrides(viz_node.PARAMETERS, {"environments": list(plan.environments), "file": file})
            nodes.append(VizNode(namespace=plan.namespace, parameter_overrides=values))
        if plan.needs_preparation:
            from viper_lab.experiment.preparation import prepare  # Slow to import: all that fitting and checks need.

            for node in nodes:
                if node.has_parameter("device"):
                    torch_device(node.value("device"))
            prepare(plan, console)
        share_cores()
        for node in nodes:
            # One node that can't go on ends all.
            node.done.add_done_callback(lambda done: policy.finish(done.result() or 0))
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[news]}"),
        )
        with Progress(*columns, console=console) as progress:
            bar = progress.add_task(f"training on {plan.task}", total=policy.value("steps"), news="")

            def show() -> None:
                if policy.trainer:
                    progress.update(bar, completed=policy.trainer.collected, news=policy.trainer.news())

            policy.every(0.5, show)
            if not start_alone(nodes):
                return 1
            return spin(nodes, policy.done)
    finally:
        try_shutdown()
