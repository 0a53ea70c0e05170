"""What a training run needs, worked out from a few choices: the same for `viper` and for `ros2 launch`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from viper_lab.errors import UserError
from viper_lab.experiment import settings
from viper_lab.experiment.provenance import experiment_text
from viper_lab.experiment.reward_source import RewardSource, TaskReward, reward_source
from viper_lab.experiment.sections import ENVIRONMENT_SEEDS, SECTIONS
from viper_lab.parameters import resolved
from viper_lab.results.run_files import arm_and_task
from viper_model.video_model.folder import read_calibration
from viper_model.yaml_files import YamlError, parse_yaml


@dataclass(frozen=True)
class Plan:
    sim: str
    task: str
    arm: str
    """Empty where the simulator has one robot only."""
    data: Path
    """Videos, in <task>/<behaviour>/: those of one arm, where there are several."""
    model: Path
    is_given: bool
    """The video model, or the videos that the reward compares with, are the user's own: nothing is recorded or
    fitted."""
    run: Path
    namespace: str
    """Of the whole graph; empty for none."""
    environments: tuple[str, ...]
    """Namespaces within it, one an environment."""
    settings: dict[str, dict[str, Any]]
    """By section of the parameter file: the value of every setting."""
    node_options: dict[str, dict[str, Any]]
    """By section: what nodes are given besides, of `settings.OF_EVERY_NODE`."""

    @property
    def older_label(self) -> str:
        """What older versions called an arm's task, in folders and in models."""
        return f"{self.arm}_{self.task}"

    @property
    def reward(self) -> type[RewardSource]:
        return reward_source(self.settings["policy_node"]["reward"])

    @property
    def learns_from_videos(self) -> bool:
        return self.reward.has_video_model or self.reward.compares_with != "nothing"

    @property
    def needs_preparation(self) -> bool:
        """Whether videos, or a video model, have to be there that `preparation.prepare` makes."""
        return self.learns_from_videos and not self.is_given

    def sim_parameters(self, environment: str) -> dict[str, Any]:
        """Parameters of the environment in one namespace: like the others but for its seed."""
        seed = self.settings["sim_node"]["seed"] + self.environments.index(environment)
        return {**self.settings["sim_node"], **self.node_options["sim_node"], "seed": seed}

    def reward_parameters(self) -> dict[str, Any]:
        return {
            **self.settings["reward_node"],
            **self.node_options["reward_node"],
            "model": str(self.model),
            "environments": list(self.environments),
        }

    def policy_parameters(self) -> dict[str, Any]:
        others = {section: values for section, values in self.settings.items() if section != "policy_node"}
        data = self.data if self.learns_from_videos else None
        reward_model = self.model if self.reward.has_video_model else None
        compared = {} if self.reward.compares_with == "nothing" else {"videos": str(self.data)}
        return {
            **self.settings["policy_node"],
            **self.node_options["policy_node"],
            **compared,
            "run": str(self.run),
            "environments": list(self.environments),
            "experiment": experiment_text(others, data, reward_model),
        }


def make_plan(
    sim: str,
    *,
    task: str | None = None,
    arm: str | None = None,
    reward: str | None = None,
    agent: str | None = None,
    likelihood: str | None = None,
    reward_task: str | None = None,
    reward_model: str | None = None,
    name: str | None = None,
    steps: int | None = None,
    seed: int = 0,
    environments: int = 1,
    namespace: str = "",
    directory: Path = Path(),
    assignments: Sequence[str] = (),
    params_file: Path | None = None,
) -> Plan:
    """A plan for one run under `directory`; what is None, empty or 0 is as in the simulator's parameter file.

    reward_task: label under which the frames are scored, the task's own unless given.
    reward_model: folder of the video model that scores them, models/<sim>/[<arm>/]<task> unless given.
    assignments: `section.parameter=value`, the value in YAML.
    params_file: a ROS 2 parameter file; what it says counts above all else.
    Raises UserError for an unknown simulator, section or parameter, an assignment or a file that is none, a wrong
    value, a `reward_model` or videos that aren't there, a task or `reward_task` that the model doesn't or wouldn't
    know, and choices of a video model beside a reward that compares with the videos themselves.
    """
    chosen = settings.load(sim)
    usual_weight = chosen["policy_node"].pop("exploration_weight", 0.0)
    for assignment in assignments:
        _assign(chosen, assignment)
    options = {
        ("sim_node", "task"): task,
        ("sim_node", "arm"): arm,
        ("policy_node", "steps"): steps,
        ("policy_node", "reward"): reward,
        ("policy_node", "agent"): agent,
        ("policy_node", "seed"): seed,
        ("sim_node", "seed"): seed * ENVIRONMENT_SEEDS,
        ("reward_node", "likelihood"): likelihood,
        ("reward_node", "reward_task"): reward_task,
        ("reward_node", "model"): reward_model,
    }
    for (section, option), value in options.items():
        if value:
            chosen[section][option] = value
    if environments < 1:
        raise UserError(f"{environments} environments: there must be at least 1")
    for part in filter(None, namespace.split("/")):
        if not re.fullmatch(r"[A-Za-z_]\w*", part, re.ASCII) or "__" in part:
            raise UserError(f"namespace:={namespace} is no ROS namespace: letters, digits and single _, a letter first")
    namespace, inside = namespace.strip("/"), tuple(f"env_{i}" for i in range(environments))
    node_options: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    if params_file:
        for section, values in settings.of_graph(params_file, _node_names(namespace, inside)).items():
            for option, value in values.items():
                of_every_node = option in settings.OF_EVERY_NODE
                (node_options if of_every_node else chosen)[section][option] = value
    if chosen["policy_node"].get("reward") != TaskReward.name:  # its own reward needs no bonus beside it
        chosen["policy_node"].setdefault("exploration_weight", usual_weight)
    chosen = {section: resolved(section, parameters, chosen[section]) for section, parameters in SECTIONS.items()}
    task, arm = chosen["sim_node"]["task"], chosen["sim_node"]["arm"]
    source = reward_source(chosen["policy_node"]["reward"])
    if not source.has_video_model:
        of_model = {"likelihood": likelihood, "reward_task": reward_task, "reward_model": reward_model}
        for option, value in of_model.items():
            if value:
                raise UserError(
                    f"{option}:={value} is said of a video model, and reward:={source.name} has none: leave it out"
                )
    videos = chosen["policy_node"]["videos"] if source.compares_with != "nothing" else ""
    plan = Plan(
        sim=sim,
        task=task,
        arm=arm,
        data=Path(videos or directory / "data" / sim / arm).expanduser(),
        model=Path(chosen["reward_node"]["model"] or directory / "models" / sim / arm / task).expanduser(),
        is_given=bool(chosen["reward_node"]["model"] if source.has_video_model else videos),
        run=directory / "runs" / (name or _usual_name(arm, task, source, seed)),
        namespace=namespace,
        environments=inside,
        settings=chosen,
        node_options=node_options,
    )
    if videos and not plan.data.is_dir():
        raise UserError(f"no data folder at {plan.data}: policy_node.videos is one of expert videos")
    if source.has_video_model:
        _check_model(plan)
    return plan


def _usual_name(arm: str, task: str, source: type[RewardSource], seed: int) -> str:
    return arm_and_task(arm, task) + source.run_suffix + (f"_seed{seed}" if seed else "")


def _node_names(namespace: str, environments: Sequence[str]) -> dict[str, list[str]]:
    """By section: the full names of the nodes that have its settings."""
    root = f"/{namespace}" if namespace else ""
    return {
        "sim_node": [f"{root}/{name}/sim_node" for name in environments],
        "reward_node": [f"{root}/reward_node"],
        "policy_node": [f"{root}/policy_node"],
    }


def _check_model(plan: Plan) -> None:
    """Refuse what could only fail once videos are recorded and a model is fitted, or once the graph runs."""
    scored_as = plan.settings["reward_node"]["reward_task"] or plan.task
    if (plan.model / "config.yaml").exists():
        known, old = tuple(read_calibration(plan.model)), plan.older_label
        if scored_as not in known:
            advice = f"add reward_task:={old}" if old in known else "choose one by reward_task:="
            raise UserError(f"{plan.model} knows no task '{scored_as}', but {', '.join(known)}: {advice}")
    elif plan.is_given:
        raise UserError(f"no video model in {plan.model}: reward_model:= takes a folder that `viper fit` made")
    elif plan.settings["reward_node"]["likelihood"] == "ratio" and plan.settings["fit"]["background"] == "none":
        raise UserError(
            "likelihood:=ratio compares with a background model: fit.background none has none, choose another"
        )
    elif scored_as != plan.task:
        raise UserError(
            f"reward_task:={scored_as}: the model of {plan.task} would not know it; "
            f"give one that does by reward_model:="
        )


def _assign(chosen: dict[str, dict[str, Any]], assignment: str) -> None:
    key, equals, value = assignment.partition("=")
    section, dot, name = key.partition(".")
    if not (equals and dot and name):
        raise UserError(f"'{assignment}' is no setting: write section.parameter=value, as in policy_node.steps=5000")
    if section not in chosen:
        raise UserError(f"no section '{section}' in '{assignment}': choose one of {', '.join(SECTIONS)}")
    try:
        loaded = parse_yaml(value)
    except YamlError as error:
        raise UserError(f"'{value}' in '{assignment}' can't be read as a value: {error}") from error
    text = any(each.name == name and isinstance(each.default, str) for each in SECTIONS[section])
    # Text may look like something else: a camera's number, a mapping of options.
    chosen[section][name] = value if text and not isinstance(loaded, str) else loaded
