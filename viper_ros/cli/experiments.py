"""Commands that run an experiment: videos, a video model, a policy, a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from viper_lab.errors import UserError
from viper_lab.experiment.sections import POLICY_NODE, REWARD_NODE, RUN
from viper_lab.parameters import parameter
from viper_ros.cli.console import console
from viper_ros.cli.options import AS_IN_SETTINGS, DIRECTORY, SIM, Arm, Directory, Settings, Sim, Task, option

REWARD = parameter(POLICY_NODE, "reward")
SEED, ENVIRONMENTS, NAMESPACE, VIZ = (parameter(RUN, name) for name in ("seed", "environments", "namespace", "viz"))

commands = typer.Typer()


@commands.command()
def prepare(
    sim: Sim = SIM.default,
    task: Task = None,
    arm: Arm = None,
    reward: Annotated[str | None, option(REWARD, unless_given=AS_IN_SETTINGS)] = None,
    directory: Directory = Path(DIRECTORY.default),
    settings: Settings = None,
) -> None:
    """Record the videos and fit the video model that training needs, where they are missing."""
    from viper_lab.experiment.plan import make_plan
    from viper_lab.experiment.preparation import prepare as prepare_plan

    plan = make_plan(sim, task=task, arm=arm, reward=reward, directory=directory, assignments=settings or ())
    prepare_plan(plan, console)


@commands.command()
def train(
    sim: Sim = SIM.default,
    task: Task = None,
    arm: Arm = None,
    reward: Annotated[str | None, option(REWARD, unless_given=AS_IN_SETTINGS)] = None,
    agent: Annotated[str | None, option(parameter(POLICY_NODE, "agent"), unless_given=AS_IN_SETTINGS)] = None,
    likelihood: Annotated[str | None, option(parameter(REWARD_NODE, "likelihood"), unless_given=AS_IN_SETTINGS)] = None,
    reward_task: Annotated[str | None, option(parameter(REWARD_NODE, "reward_task"))] = None,
    reward_model: Annotated[str | None, option(parameter(RUN, "reward_model"))] = None,
    name: Annotated[str | None, option(parameter(RUN, "name"))] = None,
    steps: Annotated[int | None, option(parameter(POLICY_NODE, "steps"), unless_given=AS_IN_SETTINGS)] = None,
    seed: Annotated[int, option(SEED)] = SEED.default,
    environments: Annotated[int, option(ENVIRONMENTS)] = ENVIRONMENTS.default,
    namespace: Annotated[str, option(NAMESPACE)] = NAMESPACE.default,
    viz: Annotated[str, option(VIZ)] = VIZ.default,
    viz_file: Annotated[Path | None, option(parameter(RUN, "viz_file"))] = None,
    directory: Directory = Path(DIRECTORY.default),
    settings: Settings = None,
) -> None:
    """Train a policy, all nodes in this process. Records videos and fits the video model first where they are missing.

    Stop it at any time; the same command goes on where it was.
    """
    from viper_lab.experiment.plan import make_plan
    from viper_ros.graph import train as train_plan

    if viz_file and viz != "rerun":
        raise UserError(f"viz_file:={viz_file} is what viz:=rerun writes: add that")
    plan = make_plan(
        sim,
        task=task,
        arm=arm,
        reward=reward,
        agent=agent,
        likelihood=likelihood,
        reward_task=reward_task,
        reward_model=reward_model,
        name=name,
        steps=steps,
        seed=seed,
        environments=environments,
        namespace=namespace,
        directory=directory,
        assignments=settings or (),
    )
    status = train_plan(plan, console, viz=viz == "rerun", viz_file=viz_file)
    if status:
        raise typer.Exit(status)
    _report(plan.run)


@commands.command()
def report(run: Annotated[Path, typer.Argument(help="Directory of a run.")]) -> None:
    """Write a run's report.html: curves, videos, likelihood maps."""
    _report(run)


def _report(run: Path) -> None:
    from viper_lab.results.report import result_line, write_report

    page = write_report(run)
    console.print(result_line(run))
    console.print(f"report: {page}")
