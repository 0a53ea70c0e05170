"""Training as the graph does it but without ROS: environments, reward and trainer, called by turns in one process.

    python -m benchmarks.plain_loop --task cartpole_swingup --directory FOLDER [--steps 40000] [--environments 4]
        [--reward-model FOLDER] [--seconds 600] [--set policy_node.seed=1]

makes what `viper train` makes: videos and a video model where they are missing, a run in FOLDER/runs, and its report.
Each line on the way is a round of evaluation: seconds since the beginning, steps, ground-truth return. After --seconds,
preparation included, a run is stopped where it is.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from rich.console import Console

import sim
from sim import TimeStep
from sim.options import parse_options
from viper_lab.experiment.plan import Plan, make_plan
from viper_lab.experiment.preparation import prepare
from viper_lab.experiment.provenance import run_config
from viper_lab.experiment.run_directory import RunDirectory
from viper_lab.experiment.trainer import ReplayStep, Settings, Trainer
from viper_lab.results.report import result_line, write_report
from viper_model.reward.scorer import FrameScore, Scorer
from viper_model.torch_tools.device import torch_device
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.preparation import resize


class ThreadedEnvironment:
    """An environment in a thread of its own, as OpenGL wants it: so several draw at once."""

    def __init__(self, plan: Plan, name: str) -> None:
        parameters = plan.sim_parameters(name)
        options = parse_options(parameters["camera"], parameters["arm"], parameters["options"])
        side = parameters["image_size"]
        self._thread = ThreadPoolExecutor(1)
        self._environment = self._thread.submit(
            lambda: sim.make(
                plan.sim,
                plan.task,
                image_size=(side, side),
                action_repeat=parameters["action_repeat"],
                seed=parameters["seed"],
                **options,
            )
        ).result()
        self.description = self._environment.description
        self._coming = self._thread.submit(self._environment.reset)

    def begin(self, time_step: TimeStep, action: np.ndarray) -> None:
        """Make the step that follows `time_step`."""
        self._coming = (
            self._thread.submit(self._environment.reset)
            if time_step.is_last
            else self._thread.submit(self._environment.step, action)
        )

    def end(self) -> TimeStep:
        """Of the step that was begun."""
        return self._coming.result()

    def close(self) -> None:
        self._thread.submit(self._environment.close).result()
        self._thread.shutdown()


class Rewarder:
    """Scores what several environments show, as the reward node does."""

    def __init__(self, plan: Plan) -> None:
        parameters = plan.reward_parameters()
        self._model = VideoModel.load(plan.model, torch_device(parameters["device"]))
        self._model.prepare_for_inference(parameters["precision"])
        self._scorer = Scorer(self._model, parameters["likelihood"], len(plan.environments))
        self._task = parameters["reward_task"] or plan.task
        self._videos = {name: number for number, name in enumerate(plan.environments)}

    def __call__(self, shown: dict[str, TimeStep]) -> dict[str, FrameScore]:
        """Of each environment's next frame."""
        frames = resize(np.stack([each.image for each in shown.values()]), self._model.image_size)
        videos = [self._videos[name] for name in shown]
        is_first = [each.is_first for each in shown.values()]
        return dict(zip(shown, self._scorer.step(videos, frames, [self._task] * len(shown), is_first), strict=True))


def train(plan: Plan, until: Callable[[Trainer], bool]) -> None:
    """Carry out a plan of a reward that compares with no videos, until `until`, asked at every turn, says so."""
    values = plan.policy_parameters()
    of_node = {name: value for name, value in values.items() if name != "experiment"}
    settings = Settings(
        **{field.name: values[field.name] for field in dataclasses.fields(Settings) if field.name != "device"},
        device=torch_device(values["device"]),
    )
    environments = {name: ThreadedEnvironment(plan, name) for name in plan.environments}
    description = environments[plan.environments[0]].description
    run = RunDirectory(plan.run, run_config(description, of_node, values["experiment"]))
    trainer = Trainer(settings, run, description, list(plan.environments))
    scores = Rewarder(plan) if plan.reward.has_video_model else None
    trainer.learner.start()
    under_way, newest, stamp = list(environments), dict[str, TimeStep](), 0
    while not until(trainer):
        stamp += 1
        shown = {name: environments[name].end() for name in under_way}
        newest |= shown
        for name, time_step in shown.items():
            image = resize(time_step.image[None], settings.image_size)[0]
            told = time_step.is_first, time_step.is_last, time_step.is_terminal, time_step.task_reward
            trainer.observe(name, ReplayStep(stamp, image, *told))
        for name, score in scores(shown).items() if scores and shown else ():
            trainer.reward(name, stamp, score.reward, score.log_likelihood)
        under_way = []
        for name, _, action in trainer.answers():
            environments[name].begin(newest[name], action)
            under_way.append(name)
        if not under_way:
            time.sleep(0.0005)  # the learner is behind
    trainer.close()
    for environment in environments.values():
        environment.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sim", choices=tuple(sim.SIMS), default="dmc")
    parser.add_argument("--task")
    parser.add_argument("--reward", choices=("viper", "task"))
    parser.add_argument("--reward-model")
    parser.add_argument("--name")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--environments", type=int, default=4)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], dest="assignments", metavar="SECTION.PARAMETER=VALUE")
    parser.add_argument("--seconds", type=float, default=math.inf)
    choices = vars(parser.parse_args())
    begin = time.perf_counter()
    end = begin + choices.pop("seconds")
    plan = make_plan(**choices)
    prepare(plan, Console())
    told: list[float] = []

    def until(trainer: Trainer) -> bool:
        evaluated = trainer.schedule.evaluated
        if evaluated >= 0 and evaluated not in told:
            told.append(evaluated)
            seconds = time.perf_counter() - begin
            print(f"{plan.run.name}: {seconds:5.0f} s, step {evaluated:6}: {trainer.last_evaluation:.0f}", flush=True)
        if time.perf_counter() > end:
            print(f"{plan.run.name}: stopped at step {trainer.collected}, {trainer.agent.updates} updates", flush=True)
            return True
        return trainer.done

    train(plan, until)
    write_report(plan.run)
    print(f"{plan.run.name}: {time.perf_counter() - begin:.0f} s in all. {result_line(plan.run)}")


if __name__ == "__main__":
    main()
