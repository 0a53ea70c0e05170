"""What a training run needs, worked out from a few choices: the same for `viper` and for `ros2 launch`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sim.env import task_label
from viper_lab.errors import UserError
from viper_lab.experiment import settings
from viper_lab.parameters import resolved


@dataclass(frozen=True)
class Plan:
    sim: str
    task: str
    label: str
    """What the video model and the videos call the task: see `sim.env.task_label`."""
    data: Path
    """Videos, in <label>/<behaviour>/."""
    model: Path
    run: Path
    namespace: str
    """Of the whole graph; empty for none."""
    environments: tuple[str, ...]
    """Namespaces within it, one an environment."""
    settings: dict[str, dict[str, Any]]
    """By section of the parameter file, all choices made."""

    @property
    def learns_from_videos(self) -> bool:
        return bool(self.settings["policy_node"]["reward"] == "viper")

    def sim_parameters(self, environment: str) -> dict[str, Any]:
        """Parameters of the environment in one namespace: like the others but for its seed."""
        seed = self.settings["sim_node"].get("seed", 0) + self.environments.index(environment)
        return {**self.settings["sim_node"], "seed": seed}

    def reward_parameters(self) -> dict[str, Any]:
        return {**self.settings["reward_node"], "model": str(self.model), "environments": list(self.environments)}

    def policy_parameters(self) -> dict[str, Any]:
        return {**self.settings["policy_node"], "run": str(self.run), "environments": list(self.environments)}


def make_plan(
    sim: str,
    *,
    task: str | None = None,
    arm: str | None = None,
    reward: str = "viper",
    name: str | None = None,
    steps: int | None = None,
    environments: int = 1,
    namespace: str = "",
    directory: Path = Path(),
    assignments: Sequence[str] = (),
) -> Plan:
    """A plan for one run under `directory`. `assignments`: `section.parameter=value`, the value in YAML.

    Raises UserError for an unknown simulator or section, an assignment that is none, and wrong values of the sections
    that are no node's. The nodes check their own.
    """
    chosen = settings.load(sim)
    for assignment in assignments:
        _assign(chosen, assignment)
    if task:
        chosen["sim_node"]["task"] = task
    if arm:
        chosen["sim_node"]["arm"] = arm
    if steps:
        chosen["policy_node"]["steps"] = steps
    chosen["policy_node"]["reward"] = reward
    for section in settings.OWN:
        chosen[section] = resolved(section, settings.OWN[section], chosen[section])
    task = str(chosen["sim_node"]["task"])
    label = task_label(task, str(chosen["sim_node"].get("arm", "")))
    if environments < 1:
        raise UserError(f"{environments} environments: there must be at least 1")
    return Plan(
        sim=sim,
        task=task,
        label=label,
        data=directory / "data" / sim,
        model=directory / "models" / sim / label,
        run=directory / "runs" / (name or (label if reward == "viper" else f"{label}_oracle")),
        namespace=namespace.strip("/"),
        environments=tuple(f"env_{i}" for i in range(environments)),
        settings=chosen,
    )


def _assign(chosen: dict[str, dict[str, Any]], assignment: str) -> None:
    key, equals, value = assignment.partition("=")
    section, dot, parameter = key.partition(".")
    if not (equals and dot and parameter):
        raise UserError(f"'{assignment}' is no setting: write section.parameter=value, as in policy_node.steps=5000")
    if section not in chosen:
        raise UserError(f"no section '{section}' in '{assignment}': choose one of {', '.join(settings.SECTIONS)}")
    try:
        loaded = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UserError(f"'{value}' in '{assignment}' can't be read as a value") from error
    # No parameter of a node is a mapping: one that takes YAML takes its text.
    chosen[section][parameter] = value if isinstance(loaded, dict) else loaded
