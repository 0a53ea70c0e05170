"""Films and the video model, made where they are missing."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from sim.record import record
from viper_model.check import check_reward
from viper_model.checkpoint import replace_file
from viper_model.dataset import load_dataset
from viper_model.fit import fit
from viper_model.video_model import VideoModel
from viper_ros.plan import Plan
from viper_ros.sim_node import world_options

OTHERS = ("random", "noisy")
"""Behaviours beside the expert's, filmed to judge the reward; nothing learns from them."""


def torch_device(name: str) -> str:
    """`auto` as what this machine has."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


def record_films(plan: Plan, behaviour: str, episodes: int | None = None) -> list[float]:
    """Film a behaviour in the plan's world; returns the true return of each film. Films already there count."""
    options = plan.settings["record"]
    world = plan.settings["sim_node"]
    size = world["image_size"]
    return record(
        plan.sim,
        plan.task,
        behaviour,
        episodes or options["episodes" if behaviour == "expert" else "other_episodes"],
        plan.data,
        image_size=(size, size),
        action_repeat=world["action_repeat"],
        **world_options(world.get("camera", ""), world.get("arm", "")),
    )


def fit_model(
    data: Path, folder: Path, tasks: tuple[str, ...] | None, size: str, likelihood: str, seed: int, device: str
) -> VideoModel:
    return fit(data, folder, size, likelihood=likelihood, tasks=tasks, seed=seed, device=torch_device(device))


def check_model(data: Path, folder: Path, console: Console) -> None:
    """Judge a model as a reward by the films kept from its training: into check.json and a table."""
    model = VideoModel.load(folder)
    result = check_reward(
        model, load_dataset(data, model.image_size, model.tasks, shortest=model.context * model.frame_skip)
    )
    replace_file(folder / "check.json", json.dumps(result.to_dict(), indent=2).encode())
    table = Table(
        "task", "expert against", "AUC", title="Is it a usable reward? Held-out clips, 1.0 is a perfect judge"
    )
    for task, check in result.tasks.items():
        for kind, auc in check.auc.items():
            table.add_row(task, kind, f"{auc:.3f}")
        if check.rank_correlation is not None:
            table.add_row(task, "rank correlation with the true return", f"{check.rank_correlation:.3f}")
    console.print(table)


def prepare(plan: Plan, console: Console) -> None:
    """Record and fit what is missing for the plan."""
    if (plan.model / "config.yaml").exists() and (plan.model / "check.json").exists():
        return
    for behaviour in ("expert", *OTHERS):
        record_films(plan, behaviour)
    options = plan.settings["fit"]
    fit_model(
        plan.data,
        plan.model,
        (plan.label,),
        options["size"],
        options.get("likelihood", "videogpt"),
        options.get("seed", 0),
        options.get("device", "auto"),
    )
    check_model(plan.data, plan.model, console)
