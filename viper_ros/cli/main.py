"""The `viper` command: from videos to a trained policy.

Options can be written as ROS 2 writes them, `task:=cartpole_swingup`, or as `--task cartpole_swingup`.
"""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(
    help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich"
)
console = Console()

Sim = Annotated[str, typer.Option(help="Simulator; its settings are in config/<sim>.yaml.")]
Task = Annotated[str | None, typer.Option(help="Task of the simulator; the one in its settings unless given.")]
Arm = Annotated[str | None, typer.Option(help="Arm, where the simulator has several; as in its settings unless given.")]
Directory = Annotated[Path, typer.Option(help="Where data/, models/ and runs/ are.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a setting: section.parameter=value, as in policy_node.replay_ratio=32. Repeat."),
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda (which GPU: CUDA_VISIBLE_DEVICES).")]


@app.command()
def doctor() -> None:
    """Look at what is installed, what is missing, and what to do about it."""
    from viper_lab.doctor import examine

    findings = examine()
    table = Table(box=None)
    for column in ("", "found", "what to do"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        mark = "[green]ok[/]" if not finding.missing else "[red]missing[/]" if finding.required else "[yellow]none[/]"
        table.add_row(f"{mark} {finding.what}", finding.found, finding.remedy if finding.missing else "")
    console.print(table)
    if any(finding.missing and finding.required for finding in findings):
        raise typer.Exit(1)


@app.command()
def record(
    sim: Sim = "dmc",
    task: Task = None,
    arm: Arm = None,
    behaviour: Annotated[str, typer.Option(help="Who acts: expert, random or noisy.")] = "expert",
    episodes: Annotated[int | None, typer.Option(min=1, help="How many; as in the settings unless given.")] = None,
    directory: Directory = Path(),
    settings: Settings = None,
) -> None:
    """Record a behaviour in a simulated environment. Videos that are there already are kept."""
    from viper_lab.experiment.plan import make_plan
    from viper_lab.experiment.preparation import record_videos

    plan = make_plan(sim, task=task, arm=arm, directory=directory, assignments=settings or ())
    returns = record_videos(plan, behaviour, episodes)
    mean = sum(returns) / len(returns)
    console.print(f"{len(returns)} {behaviour} videos in {plan.data / plan.label / behaviour}: mean return {mean:.2f}")


@app.command()
def half_trained(
    run: Annotated[Path, typer.Argument(help="Directory of a run.")], directory: Directory = Path()
) -> None:
    """Keep a run's evaluation episodes from the middle of its training as videos of half-trained behaviour."""
    from viper_lab.experiment.half_trained import keep_half_trained

    for path, task_return in keep_half_trained(run, directory).items():
        console.print(f"wrote {path}: return {task_return:.2f}", soft_wrap=True)


@app.command()
def data(
    folder: Annotated[Path, typer.Argument(help="Videos, as `viper fit data:=` takes them.")],
) -> None:
    """Say what videos a folder holds and what is wrong with them. Status 1 where none can be used."""
    from viper_lab.results.data_table import print_survey

    if not print_survey(folder, console):
        raise typer.Exit(1)


@app.command()
def fit(
    data: Annotated[
        Path, typer.Option(help="Videos: <task>/<video> or <task>/<behaviour>/<video>, or a LeRobot dataset or bag.")
    ],
    model: Annotated[Path, typer.Option(help="Folder for the video model.")],
    task: Annotated[list[str] | None, typer.Option(help="Only these tasks of the data. Repeat.")] = None,
    size: Annotated[str, typer.Option(help="Named size of the model: tiny, tiny64, dmc, atari or arms.")] = "tiny",
    tokenizer: Annotated[str, typer.Option(help="patches or vqgan; the size's own unless given.")] = "",
    code_model: Annotated[
        str, typer.Option(help="Which model of the videos' codes: videogpt or masked (docs/likelihoods.md).")
    ] = "videogpt",
    background: Annotated[str, typer.Option(help="auto, recorded, made or none.")] = "auto",
    tokenizer_steps: Annotated[int | None, typer.Option(min=1, help="Instead of the size's own.")] = None,
    code_model_steps: Annotated[int | None, typer.Option(min=1, help="Instead of the size's own.")] = None,
    background_steps: Annotated[int | None, typer.Option(min=1, help="Instead of the size's own.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the training.")] = 0,
    device: Device = "auto",
) -> None:
    """Train a video model on expert videos, and check it as a reward. Interrupted, it goes on where it was."""
    from viper_lab.results.check_reward import check_model
    from viper_model.torch_tools.device import torch_device
    from viper_model.torch_tools.distributed import is_first_process
    from viper_model.video_model.fit.training import fit as fit_model

    where = torch_device(device)
    fit_model(
        data,
        model,
        size,
        tokenizer=tokenizer,
        code_model=code_model,
        background=background,  # type: ignore[arg-type]
        tasks=task or None,
        seed=seed,
        tokenizer_steps=tokenizer_steps,
        code_model_steps=code_model_steps,
        background_steps=background_steps,
        device=where,
    )
    if is_first_process():
        check_model(data, model, console, device=where)


@app.command()
def check_reward(
    model: Annotated[Path, typer.Option(help="Folder of the video model.")],
    data: Annotated[Path, typer.Option(help="Videos, as `viper fit` takes them; those kept from training are used.")],
    task: Annotated[list[str] | None, typer.Option(help="Only these tasks. Repeat.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where results go; into the model's folder unless given.")] = None,
    form: Annotated[str, typer.Option(help="conditional, joint or ratio; the model's usual one unless given.")] = "",
    run: Annotated[
        Path | None, typer.Option(help="A run whose best-rewarded episodes are tried as well, as hacks.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Status 1 where a task's reward is not usable.")] = False,
    device: Device = "auto",
) -> None:
    """Judge a model as a reward before any robot moves: a verdict, a table, check.json and check.html.

    Status 0 whatever the verdict, unless --strict is given.
    """
    from viper_lab.results.check_reward import check_model
    from viper_model.torch_tools.device import torch_device

    usable = check_model(
        data, model, console, form=form, tasks=tuple(task or ()), out=out, run=run, device=torch_device(device)
    )
    if strict and not usable:
        raise typer.Exit(1)


@app.command()
def score(
    video: Annotated[Path, typer.Argument(help="A video file, an .npz, a rosbag2 folder or a LeRobot dataset.")],
    model: Annotated[Path, typer.Option(help="Folder of the video model.")],
    task: Annotated[
        str | None, typer.Option(help="What the video shows; needed where the model knows several.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path(),
    form: Annotated[str, typer.Option(help="conditional, joint or ratio; the model's usual one unless given.")] = "",
    rate: Annotated[float, typer.Option(min=0.1, help="Frames a second of the likelihood-map video.")] = 15.0,
    precision: Annotated[
        str, typer.Option(help="float32, or bfloat16: faster, a frame's likelihood moves by some 0.05 nats.")
    ] = "float32",
    episode: Annotated[int | None, typer.Option(min=0, help="Which video, where a recording holds several.")] = None,
    maps: Annotated[bool, typer.Option("--maps", help="Of a bag: write likelihood maps too.")] = False,
    device: Device = "auto",
) -> None:
    """Score a video: likelihood and reward of each frame (CSV), their plot (PNG), and the likelihood-map video (MP4).

    A rosbag2 recording is scored whole, unless episode:= is given: into a new bag, <video>_scored, with everything that
    it held and the rewards beside the frames, as the reward node gives them live.
    """
    from viper_lab.results.score import score_to_files
    from viper_model.torch_tools.device import torch_device
    from viper_model.videos import rosbag

    where = torch_device(device)
    if rosbag.holds(video) and episode is None:
        from viper_ros.bags.scoring import score_bag_to_folder

        written = [
            score_bag_to_folder(video, model, task, out, form=form, precision=precision, maps=maps, device=where)
        ]
    else:
        written = score_to_files(
            video, model, task, out, form=form, rate=rate, precision=precision, episode=episode, device=where
        )
    for path in written:
        console.print(f"wrote {path}")


@app.command()
def imagine(
    model: Annotated[Path, typer.Option(help="Folder of the video model.")],
    video: Annotated[list[Path], typer.Option(help="A video to begin from, of any format. Repeat for a row each.")],
    task: Annotated[
        list[str] | None, typer.Option(help="Label to go on under; all known unless given. Repeat.")
    ] = None,
    start: Annotated[int, typer.Option(min=0, help="The video's frame to begin at.")] = 0,
    given: Annotated[int, typer.Option(min=1, help="How many frames are given, the model's frame_skip apart.")] = 1,
    steps: Annotated[int, typer.Option(min=1, help="How many frames are imagined, the model's frame_skip apart.")] = 40,
    samples: Annotated[int, typer.Option(min=1, help="How often, from each video under each label.")] = 3,
    seed: Annotated[int, typer.Option(help="The same seed gives the same videos.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Where results go; imagined/ in the model's folder unless given.")
    ] = None,
    rate: Annotated[float, typer.Option(min=0.1, help="Frames a second of the videos written.")] = 10.0,
    device: Device = "auto",
) -> None:
    """Let the model dream on from a video's frame: videos, a grid of videos by labels, errors to what came by step."""
    from viper_lab.results.imagine import imagine_videos
    from viper_model.torch_tools.device import torch_device

    written = imagine_videos(
        video,
        model,
        out or model / "imagined",
        tasks=tuple(task or ()),
        start=start,
        given=given,
        steps=steps,
        samples=samples,
        seed=seed,
        rate=rate,
        device=torch_device(device),
    )
    for path in written:
        console.print(f"wrote {path}", soft_wrap=True)


@app.command()
def prepare(
    sim: Sim = "dmc", task: Task = None, arm: Arm = None, directory: Directory = Path(), settings: Settings = None
) -> None:
    """Record the videos and fit the video model that training needs, where they are missing."""
    from viper_lab.experiment.plan import make_plan
    from viper_lab.experiment.preparation import prepare as prepare_plan

    prepare_plan(make_plan(sim, task=task, arm=arm, directory=directory, assignments=settings or ()), console)


@app.command()
def train(
    sim: Sim = "dmc",
    task: Task = None,
    arm: Arm = None,
    reward: Annotated[str, typer.Option(help="viper: the likelihood of the videos; task: the Task Oracle.")] = "viper",
    name: Annotated[str | None, typer.Option(help="The run's name; after the task unless given.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Environment steps to collect.")] = None,
    environments: Annotated[int, typer.Option(min=1, help="Environments side by side.")] = 1,
    namespace: Annotated[str, typer.Option(help="ROS namespace of the graph, to run several side by side.")] = "",
    viz: Annotated[str, typer.Option(help="rerun: show what the graph does in a Rerun viewer; none.")] = "none",
    viz_file: Annotated[Path | None, typer.Option(help="With viz:=rerun, a recording (.rrd) to write instead.")] = None,
    directory: Directory = Path(),
    settings: Settings = None,
) -> None:
    """Train a policy, all nodes in this process. Records videos and fits the video model first where they are missing.

    Stop it at any time; the same command goes on where it was.
    """
    from viper_lab.errors import UserError
    from viper_lab.experiment.plan import make_plan
    from viper_lab.results.report import write_report
    from viper_ros.graph import train as train_plan

    if viz not in ("none", "rerun"):
        raise UserError(f"viz '{viz}': choose none or rerun")
    plan = make_plan(
        sim,
        task=task,
        arm=arm,
        reward=reward,
        name=name,
        steps=steps,
        environments=environments,
        namespace=namespace,
        directory=directory,
        assignments=settings or (),
    )
    status = train_plan(plan, console, viz=viz == "rerun", viz_file=viz_file)
    if status:
        raise typer.Exit(status)
    console.print(f"report: {write_report(plan.run)}")


@app.command()
def report(run: Annotated[Path, typer.Argument(help="Directory of a run.")]) -> None:
    """Write a run's report.html: curves, videos, likelihood maps."""
    from viper_lab.results.report import write_report

    console.print(f"report: {write_report(run)}")


def dashed(arguments: list[str]) -> list[str]:
    """`name:=value`, as ROS 2 writes it, as `--name value`."""
    plain: list[str] = []
    for argument in arguments:
        match = re.fullmatch(r"([a-z_]+):=(.*)", argument, re.DOTALL)
        plain += [f"--{match[1].replace('_', '-')}", match[2]] if match else [argument]
    return plain


def main() -> int:
    """Returns the exit status: 0, 1 after a mistake told in one line, 2 for wrong options.

    Above 128 where a signal ended it, as in shells: 130 after Ctrl-C.
    """
    from torch import OutOfMemoryError

    from viper_lab.errors import USER_ERRORS

    # Until here bin/viper has answered them.
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, usual)
    try:
        app(dashed(sys.argv[1:]))
    except USER_ERRORS as error:
        print(f"viper: {error}", file=sys.stderr)
        return 1
    except OutOfMemoryError:
        print("viper: the GPU's memory is too small for this, or in use: choose device:=cpu", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, SystemExit) as end:  # Typer makes the one into the other
        status = 130 if isinstance(end, KeyboardInterrupt) else int(end.code or 0)
        if status > 128:
            print("viper: interrupted; the same command goes on where it was", file=sys.stderr)
        return status
    return 0
