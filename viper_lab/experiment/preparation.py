"""Videos and the video model, made where they are missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sim.options import parse_options
from sim.record import record
from viper_lab.errors import UserError
from viper_lab.experiment.plan import Plan
from viper_lab.results.check_reward import check_model
from viper_model.torch_tools.device import torch_device
from viper_model.video_model.fit.training import fit

JUDGES = ("random", "noisy", "parked", "stopped")
"""Behaviours that are recorded to judge the reward; nothing learns from them."""
WHOLE_EPISODES = ("random", "parked", "stopped")
"""Recorded to the episode's end: what such a behaviour earns in an episode is what a policy could earn."""


def record_videos(plan: Plan, behaviour: str, episodes: int | None = None) -> list[float]:
    """Record a behaviour in the plan's environment; returns the ground-truth return of each video. Videos already there
    count. episodes: as in the plan's settings where None."""
    _refuse_old_layout(plan, plan.data / plan.task, "")
    options = plan.settings["record"]
    environment = plan.settings["sim_node"]
    size = environment["image_size"]
    usual = {"expert": options["episodes"], "background": options["background_episodes"]}
    return record(
        plan.sim,
        plan.task,
        behaviour,
        episodes or usual.get(behaviour, options["other_episodes"]),
        plan.data,
        image_size=(size, size),
        action_repeat=environment["action_repeat"],
        disturbance_steps=options["disturbance_steps"],
        episode_steps=0 if behaviour in WHOLE_EPISODES else options["episode_steps"],
        hold_steps=None if options["hold_steps"] < 0 else options["hold_steps"],
        **parse_options(environment["camera"], environment["arm"], environment["options"]),
    )


def prepare(plan: Plan, console: Console) -> None:
    """Record and fit what is missing for the plan."""
    if plan.model_is_given or ((plan.model / "config.yaml").exists() and (plan.model / "check.json").exists()):
        return
    old = f"{plan.arm}_{plan.task}"
    _refuse_old_layout(plan, plan.model, f", and rename {old} to {plan.task} in its tasks.yaml and check.json")
    background = ("background",) if plan.settings["record"]["background_episodes"] else ()
    device = torch_device(plan.settings["fit"]["device"])  # refused before anything is recorded
    for behaviour in ("expert", *background, *JUDGES):
        record_videos(plan, behaviour)
    fit_model(plan, plan.data, plan.model, (plan.task,))
    check_model(
        plan.data,
        plan.model,
        console,
        form=plan.settings["reward_node"]["likelihood"],
        tasks=(plan.task,),
        device=device,
    )


def fit_model(plan: Plan, data: Path, folder: Path, tasks: Sequence[str]) -> None:
    """Fit a model of `tasks` (see `fit`) with the plan's settings, where it is missing. Raises ModelError."""
    options = plan.settings["fit"]
    fit(
        data,
        folder,
        options["size"],
        tokenizer=options["tokenizer"],
        code_model=options["code_model"],
        background=options["background"],
        tasks=tasks,
        seed=options["seed"],
        tokenizer_steps=options["tokenizer_steps"],
        code_model_steps=options["code_model_steps"],
        background_steps=options["background_steps"],
        device=torch_device(options["device"]),
    )


def _refuse_old_layout(plan: Plan, folder: Path, besides: str) -> None:
    """Refuse to make `folder` anew where an older version, which named tasks after their arm, kept it elsewhere.

    Raises UserError, which says what to move, and `besides`.
    """
    old = folder.parent.parent / f"{plan.arm}_{plan.task}"
    if plan.arm and old.exists() and not folder.exists():
        raise UserError(f"{old} is of an older version: `mkdir -p {folder.parent} && mv {old} {folder}`{besides}")
