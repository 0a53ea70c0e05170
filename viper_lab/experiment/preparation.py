"""Videos and the video model, made where they are missing."""

from __future__ import annotations

from rich.console import Console

from sim.options import parse_options
from sim.record import record
from viper_lab.experiment.plan import Plan
from viper_lab.results.check_reward import check_model
from viper_model.torch_tools.device import torch_device
from viper_model.video_model.fit.training import fit

OTHERS = ("random", "noisy")
"""Behaviours beside the expert's, recorded to judge the reward; nothing learns from them."""


def record_videos(plan: Plan, behaviour: str, episodes: int | None = None) -> list[float]:
    """Record a behaviour in the plan's environment; returns the ground-truth return of each video. Videos already there
    count."""
    options = plan.settings["record"]
    environment = plan.settings["sim_node"]
    size = environment["image_size"]
    return record(
        plan.sim,
        plan.task,
        behaviour,
        episodes or options["episodes" if behaviour == "expert" else "other_episodes"],
        plan.data,
        image_size=(size, size),
        action_repeat=environment["action_repeat"],
        hold_steps=None if options["hold_steps"] < 0 else options["hold_steps"],
        **parse_options(environment.get("camera", ""), environment.get("arm", ""), environment.get("options", "")),
    )


def prepare(plan: Plan, console: Console) -> None:
    """Record and fit what is missing for the plan."""
    if (plan.model / "config.yaml").exists() and (plan.model / "check.json").exists():
        return
    options = plan.settings["fit"]
    device = torch_device(options["device"])
    for behaviour in ("expert", *OTHERS):
        record_videos(plan, behaviour)
    fit(
        plan.data,
        plan.model,
        options["size"],
        tokenizer=options["tokenizer"],
        code_model=options["code_model"],
        background=options["background"],
        tasks=(plan.label,),
        seed=options["seed"],
        device=device,
    )
    check_model(plan.data, plan.model, console, device=device)
