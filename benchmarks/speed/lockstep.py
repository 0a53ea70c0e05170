"""Environment steps a second through the three nodes in one process, against a plain loop over the same parts.

    .venv/bin/in_ros python -m benchmarks.speed.lockstep [--steps 2000] [--rounds 5] [--learn]

So the figure is what the ROS graph costs. Both collect experience with the same policy, video model (untrained, which
takes as long) and environment, which renders each frame. Without --learn there are almost no updates, so that nothing
hides the graph's cost. They take turns; the figure is the ratio of the medians.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
import time
from pathlib import Path

import rclpy
import torch
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from rclpy.utilities import try_shutdown

from benchmarks.plain_loop import train
from viper_lab.experiment.plan import Plan, make_plan
from viper_lab.experiment.trainer import Trainer
from viper_lab.experiment.untrained import untrained_model
from viper_ros.graph import make_nodes
from viper_ros.runtime.process import make_executor


def through_ros(plan: Plan, steps: int) -> float:
    """Steps a second through the nodes."""
    nodes, policy = make_nodes(plan)
    assert all(node.start() for node in nodes)
    executor = make_executor()
    for node in nodes:
        executor.add_node(node)
    marks: list[tuple[int, float]] = []
    done: Future[bool] = Future()

    def watch() -> None:
        if policy.trainer and policy.trainer.collected:
            marks.append((policy.trainer.collected, time.perf_counter()))
            if marks[-1][0] >= steps and not done.done():
                done.set_result(True)

    policy.every(0.05, watch)
    executor.spin_until_future_complete(done, 600.0)
    for node in nodes:
        node.stop()
        node.destroy_node()
    executor.shutdown()
    (first, begin), (last, end) = marks[0], marks[-1]
    return (last - first) / (end - begin)


def without_ros(plan: Plan, steps: int) -> float:
    """Steps a second of the same agent, video model and environment in a plain loop."""
    marks: list[tuple[int, float]] = []

    def until(trainer: Trainer) -> bool:
        if trainer.collected and (not marks or trainer.collected >= steps):
            marks.append((trainer.collected, time.perf_counter()))
        return trainer.collected >= steps

    train(plan, until)
    (first, begin), (last, end) = marks
    return (last - first) / (end - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--learn", action="store_true", help="update the agent as in training")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    settings = ["policy_node.end_evaluation_episodes=1", "policy_node.prefill=100", "policy_node.steps=1000000"]
    if not arguments.learn:
        settings.append("policy_node.replay_ratio=0.01")
    ros, plain = [], []
    for number in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as folder:
            plan = make_plan("dmc", directory=Path(folder), assignments=settings)
            untrained_model(plan.model, plan.task)
            ros.append(through_ros(dataclasses.replace(plan, run=plan.run / "ros"), arguments.steps))
            plain.append(without_ros(dataclasses.replace(plan, run=plan.run / "plain"), arguments.steps))
        print(f"round {number + 1}: {ros[-1]:.1f} steps/s through ROS, {plain[-1]:.1f} in a plain loop", flush=True)
    ratio = statistics.median(ros) / statistics.median(plain)
    print(f"ratio of medians: {ratio:.3f}")
    try_shutdown()


if __name__ == "__main__":
    main()
