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

import sim
from viper_lab.experiment.plan import Plan, make_plan
from viper_lab.experiment.run_directory import RunDirectory
from viper_lab.experiment.trainer import ReplayStep, Settings, Trainer
from viper_lab.experiment.untrained import untrained_model
from viper_model.reward.scorer import AUTO, Scorer, chosen_form
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.preparation import resize
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


def plain_loop(plan: Plan, steps: int) -> float:
    """Steps a second of the same agent, video model and environment, called one after the other."""
    parameters = plan.sim_parameters("env_0")
    size = parameters["image_size"]
    environment = sim.make(
        plan.sim, plan.task, image_size=(size, size), action_repeat=parameters["action_repeat"], seed=parameters["seed"]
    )
    model = VideoModel.load(plan.model)
    scorer = Scorer(model, chosen_form(model, AUTO), 1)
    values = {**plan.settings["policy_node"], "device": torch.device("cpu")}
    settings = Settings(**{field.name: values[field.name] for field in dataclasses.fields(Settings)})
    trainer = Trainer(settings, RunDirectory(plan.run, {}), environment.description, ["env_0"])
    trainer.learner.start()
    time_step, stamp, begin = environment.reset(), 0, 0.0
    while trainer.collected < steps:
        stamp += 1
        frame = resize(time_step.image[None], settings.image_size)[0]
        trainer.observe(
            "env_0", ReplayStep(stamp, frame, time_step.is_first, time_step.is_last, False, time_step.task_reward)
        )
        while not (answers := trainer.answers()):
            time.sleep(0.001)
        (score,) = scorer.step([0], resize(time_step.image[None], model.image_size), [plan.task], [time_step.is_first])
        trainer.reward("env_0", stamp, score.reward, score.log_likelihood)
        time_step = environment.reset() if time_step.is_last else environment.step(answers[0][2])
        if trainer.collected == 1 and not begin:
            begin = time.perf_counter()
    rate = (trainer.collected - 1) / (time.perf_counter() - begin)
    trainer.close()
    environment.close()
    return rate


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
            plain.append(plain_loop(dataclasses.replace(plan, run=plan.run / "plain"), arguments.steps))
        print(f"round {number + 1}: {ros[-1]:.1f} steps/s through ROS, {plain[-1]:.1f} in a plain loop", flush=True)
    ratio = statistics.median(ros) / statistics.median(plain)
    print(f"ratio of medians: {ratio:.3f}")
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
