"""Commands that fit a video model, judge it, and score and imagine videos with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from viper_lab.experiment.sections import FIT, REWARD_NODE
from viper_lab.experiment.sim_sections import SEEDS
from viper_lab.parameters import parameter
from viper_ros.cli.console import console
from viper_ros.cli.options import DEVICE, Device, option

SIZE, TOKENIZER, CODE_MODEL, BACKGROUND, SEED, FIT_DEVICE = (
    parameter(FIT, name) for name in ("size", "tokenizer", "code_model", "background", "seed", "device")
)
TOKENIZER_STEPS, CODE_MODEL_STEPS, BACKGROUND_STEPS = (
    parameter(FIT, f"{name}_steps") for name in ("tokenizer", "code_model", "background")
)
FORM, PRECISION = (parameter(REWARD_NODE, name) for name in ("likelihood", "precision"))

commands = typer.Typer()


@commands.command()
def fit(
    data: Annotated[
        Path,
        typer.Option(
            help="Videos: <task>/<video>, <task>/<behaviour>/<video> or <arm>/<task>/<behaviour>/<video>, or a LeRobot "
            "dataset or bag."
        ),
    ],
    model: Annotated[Path, typer.Option(help="Folder for the video model.")],
    task: Annotated[
        list[str] | None, typer.Option(help="Only these tasks of the data, or an arm's, as panda/lift. Repeat.")
    ] = None,
    size: Annotated[str, option(SIZE)] = SIZE.default,
    tokenizer: Annotated[str, option(TOKENIZER)] = TOKENIZER.default,
    code_model: Annotated[str, option(CODE_MODEL)] = CODE_MODEL.default,
    background: Annotated[str, option(BACKGROUND)] = BACKGROUND.default,
    tokenizer_steps: Annotated[int, option(TOKENIZER_STEPS)] = TOKENIZER_STEPS.default,
    code_model_steps: Annotated[int, option(CODE_MODEL_STEPS)] = CODE_MODEL_STEPS.default,
    background_steps: Annotated[int, option(BACKGROUND_STEPS)] = BACKGROUND_STEPS.default,
    seed: Annotated[int, option(SEED)] = SEED.default,
    device: Annotated[str, option(FIT_DEVICE)] = FIT_DEVICE.default,
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
        background=background,
        tasks=task or None,
        seed=seed,
        tokenizer_steps=tokenizer_steps,
        code_model_steps=code_model_steps,
        background_steps=background_steps,
        device=where,
    )
    if is_first_process():
        check_model(data, model, console, device=where)


@commands.command()
def check_reward(
    model: Annotated[Path, typer.Option(help="Folder of the video model.")],
    data: Annotated[Path, typer.Option(help="Videos, as `viper fit` takes them; those kept from training are used.")],
    task: Annotated[list[str] | None, typer.Option(help="Only these tasks. Repeat.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where results go; into the model's folder unless given.")] = None,
    likelihood: Annotated[str, option(FORM)] = FORM.default,
    run: Annotated[
        Path | None, typer.Option(help="A run whose episodes are tried too, those that its reward thought best.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Status 1 where a task's reward is not usable.")] = False,
    device: Device = DEVICE.default,
) -> None:
    """Judge a model as a reward before any robot moves: a verdict, a table, check.json and check.html.

    Status 0 whatever the verdict, unless --strict is given.
    """
    from viper_lab.results.check_reward import check_model
    from viper_model.torch_tools.device import torch_device

    usable = check_model(
        data, model, console, form=likelihood, tasks=tuple(task or ()), out=out, run=run, device=torch_device(device)
    )
    if strict and not usable:
        raise typer.Exit(1)


@commands.command()
def score(
    video: Annotated[Path, typer.Argument(help="A video file, an .npz, a rosbag2 folder or a LeRobot dataset.")],
    model: Annotated[Path, typer.Option(help="Folder of the video model.")],
    task: Annotated[
        str | None, typer.Option(help="What the video shows; needed where the model knows several.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path(),
    likelihood: Annotated[str, option(FORM)] = FORM.default,
    rate: Annotated[
        float, typer.Option(min=0.1, max=1000.0, help="Frames a second of the likelihood-map video.")
    ] = 15.0,
    precision: Annotated[str, option(PRECISION)] = PRECISION.default,
    episode: Annotated[int | None, typer.Option(min=0, help="Which video, where a recording holds several.")] = None,
    maps: Annotated[bool, typer.Option("--maps", help="Of a bag: write likelihood maps too.")] = False,
    device: Device = DEVICE.default,
) -> None:
    """Score a video: likelihood and reward of each frame (CSV), their plot (PNG), and the likelihood-map video (MP4).

    A rosbag2 recording is scored whole, unless episode:= is given: into a new bag, <video>_scored, with everything that
    it held and the rewards beside the frames, as the reward node gives them live.
    """
    from viper_lab.results.score import score_to_files
    from viper_model.torch_tools.device import torch_device
    from viper_model.torch_tools.precision import slower_than_float32
    from viper_model.videos import rosbag

    where = torch_device(device)
    if warning := slower_than_float32(precision, where):
        typer.echo(f"viper: {warning}", err=True)
    if rosbag.holds(video) and episode is None:
        from viper_ros.bags.scoring import score_bag_to_folder

        written = [
            score_bag_to_folder(video, model, task, out, form=likelihood, precision=precision, maps=maps, device=where)
        ]
    else:
        written = score_to_files(
            video, model, task, out, form=likelihood, rate=rate, precision=precision, episode=episode, device=where
        )
    for path in written:
        console.print(f"wrote {path}")


@commands.command()
def imagine(
    model: Annotated[Path, typer.Option(help="Folder of the video model.")],
    video: Annotated[list[Path], typer.Option(help="A video to begin from, of any format. Repeat for a row each.")],
    task: Annotated[
        list[str] | None, typer.Option(help="Label to go on under; all known unless given. Repeat.")
    ] = None,
    start: Annotated[int, typer.Option(min=0, help="The video's frame to begin at.")] = 0,
    given: Annotated[int, typer.Option(min=1, help="How many frames are given, the model's frame_skip apart.")] = 1,
    steps: Annotated[
        int, typer.Option(min=1, max=10_000, help="How many frames are imagined, the model's frame_skip apart.")
    ] = 40,
    samples: Annotated[int, typer.Option(min=1, max=1000, help="How often, from each video under each label.")] = 3,
    seed: Annotated[int, typer.Option(min=0, max=SEEDS, help="The same seed gives the same videos.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Where results go; imagined/ in the model's folder unless given.")
    ] = None,
    rate: Annotated[float, typer.Option(min=0.1, max=1000.0, help="Frames a second of the videos written.")] = 10.0,
    device: Device = DEVICE.default,
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
        console.print(f"wrote {path}")


@commands.command()
def progress(
    data: Annotated[Path, typer.Option(help="A LeRobot dataset.")],
    model: Annotated[Path, typer.Option(help="Folder of the video model.")],
    likelihood: Annotated[str, option(FORM)] = FORM.default,
    task: Annotated[
        str | None, typer.Option(help="What the episodes show, where the dataset calls it otherwise.")
    ] = None,
) -> None:
    """Write each frame's progress beside a LeRobot dataset, as LeRobot's own reward models do."""
    from viper_lab.lerobot.progress import write_progress

    console.print(f"wrote {write_progress(data, model, task=task, form=likelihood)}")
