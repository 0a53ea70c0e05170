"""Suites of a benchmark: which agents learn which tasks from which rewards, how often and for how long.

A suite is a YAML file:

    description: one line
    blocks:
      - sim: dmc
        arm: panda                        # only where the simulator has several
        tasks: {pendulum_swingup: 30000}  # environment steps by task
        agents: [drqv2, dreamer]
        rewards: [viper_ratio, task]      # names in `rewards.REWARDS`
        seeds: [0, 1, 2]
        settings: [policy_node.size=tiny] # optional, as `--set` takes them

Each block stands for all its combinations.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import sim as simulators
from viper_lab.config import config_directory
from viper_lab.errors import UserError, did_you_mean
from viper_lab.evaluation.rewards import REWARDS, ComparedReward
from viper_lab.experiment.plan import Plan, make_plan
from viper_lab.results.run_files import arm_and_task
from viper_model.agents.registry import AGENTS, check_agent
from viper_model.videos.dataset import EXPERT
from viper_model.yaml_files import YamlError, read_yaml

_REQUIRED = {"sim": str, "tasks": dict, "agents": list, "rewards": list, "seeds": list}
_OPTIONAL = {"arm": str, "settings": list}
_OF_A_KEY = {
    "sim_node.sim": "sim",
    "sim_node.task": "tasks",
    "sim_node.arm": "arm",
    "sim_node.seed": "seeds",
    "policy_node.agent": "agents",
    "policy_node.reward": "rewards",
    "policy_node.seed": "seeds",
    "policy_node.steps": "tasks",
    "reward_node.likelihood": "rewards",
}
"""What a block says of its runs itself, by setting."""


@dataclass(frozen=True)
class Run:
    """One training of a suite."""

    suite: str
    sim: str
    arm: str
    task: str
    agent: str
    reward: str
    """A name in `REWARDS`."""
    seed: int
    steps: int
    settings: tuple[str, ...]

    @property
    def label(self) -> str:
        return arm_and_task(self.arm, self.task)

    @property
    def name(self) -> str:
        """The name of the run's directory in the suite's."""
        return f"{self.label}_{self.agent}_{self.reward}_seed{self.seed}"

    @property
    def compared_reward(self) -> ComparedReward:
        return REWARDS[self.reward]

    def plan(self, directory: Path) -> Plan:
        """What `viper train` makes of the run's `arguments`. Raises UserError."""
        return make_plan(self.sim, **self._options(), directory=directory, assignments=self.settings)

    def arguments(self, directory: Path) -> tuple[str, ...]:
        """Of the `viper` command, for this run."""
        options = {"sim": self.sim, **self._options(), "directory": str(directory)}
        return _command("train", options, self.settings)

    def preparation(self, directory: Path, model: bool) -> tuple[str, ...]:
        """Arguments of the `viper` command that makes what the run's task is learned from.

        model: its videos and its video model, not the expert's videos alone.
        """
        options = {"sim": self.sim, "task": self.task, "arm": self.arm, "directory": str(directory)}
        if model:
            return _command("prepare", options, self.settings)
        return _command("record", {**options, "behaviour": EXPERT}, self.settings)

    def _options(self) -> dict[str, Any]:
        name = f"{self.suite}/{self.name}"
        return {
            "task": self.task,
            "arm": self.arm,
            "agent": self.agent,
            "reward": self.compared_reward.reward,
            "likelihood": self.compared_reward.likelihood,
            "name": name,
            "steps": self.steps,
            "seed": self.seed,
            # Graphs side by side on one machine must not hear each other. ROS takes letters first, and no "__".
            "namespace": re.sub(r"[^A-Za-z0-9]+", "_", f"{self.name}_{self.suite}").strip("_"),
        }


def _command(name: str, options: Mapping[str, Any], assignments: Iterable[str]) -> tuple[str, ...]:
    chosen = (f"{option}:={value}" for option, value in options.items() if value)
    return (name, *chosen, *(word for each in assignments for word in ("--set", each)))


@dataclass(frozen=True)
class Suite:
    name: str
    description: str
    runs: tuple[Run, ...]
    """Those of the first seeds come first: what is there after half the time compares all methods."""

    def directory(self, directory: Path) -> Path:
        """Where the runs are, below the directory that has data/, models/ and runs/."""
        return directory / "runs" / self.name


def load_suite(name: str, directory: Path = Path()) -> Suite:
    """The suite of a name in config/suites/, or of a YAML file.

    directory: where data/, models/ and runs/ are.
    Raises one of USER_ERRORS where there is no such suite, where it is not written as above, and where one of its
    runs could not be started: for an unknown simulator, task, arm, agent, reward or setting. Nothing has run then.
    """
    path = _find(name)
    try:
        document = read_yaml(path)
    except (OSError, YamlError) as error:
        raise UserError(f"the suite {path} can't be read: {error}") from error
    blocks = document.get("blocks") if isinstance(document, dict) else None
    if not isinstance(blocks, list) or not blocks:
        raise UserError(f"the suite {path} has no blocks: see docs/benchmarks.md")
    runs = [run for number, block in enumerate(blocks, 1) for run in _runs(path, number, block)]
    plans = [_check(path, run, directory) for run in runs]
    runs = [replace(run, arm=plan.arm) for run, plan in zip(runs, plans, strict=True)]  # a block may leave it out
    names = [run.name for run in runs]
    if twice := sorted({each for each in names if names.count(each) > 1}):
        raise UserError(f"the suite {path} has the run {twice[0]} in two blocks")
    _check_shared_preparation(path, dict(zip(runs, plans, strict=True)))
    return Suite(path.stem, str(document.get("description", "")), tuple(sorted(runs, key=lambda run: run.seed)))


def _find(name: str) -> Path:
    folder = config_directory() / "suites"
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    path = folder / f"{name}.yaml"
    if not path.exists():
        raise _unknown("suite", name, (each.stem for each in folder.glob("*.yaml")), " Or give a YAML file.")
    return path


def _runs(path: Path, number: int, block: Any) -> list[Run]:
    where = f"the suite {path}, block {number}"
    if not isinstance(block, dict):
        raise UserError(f"{where}: it must say {', '.join(_REQUIRED)}")
    for key in block:
        if key not in {**_REQUIRED, **_OPTIONAL}:
            raise _unknown(f"key of {where}", str(key), (*_REQUIRED, *_OPTIONAL))
    for key, kind in {**_REQUIRED, **_OPTIONAL}.items():
        if key in _REQUIRED and not block.get(key):
            raise UserError(f"{where}: '{key}' is missing")
        if key in block and not isinstance(block[key], kind):
            raise UserError(f"{where}: '{key}' must be a {_YAML_KINDS[kind]}")
    for what, values, least in (("steps by task", block["tasks"].values(), 1), ("seeds", block["seeds"], 0)):
        if bad := [each for each in values if type(each) is not int or each < least]:
            raise UserError(f"{where}: {what} must be whole numbers from {least} on, not {bad[0]!r}")
    for setting in map(str, block.get("settings", ())):
        if key := _OF_A_KEY.get(setting.partition("=")[0]):
            raise UserError(f"{where}: {setting} is said by the block's '{key}': leave it out of its settings")
    for reward in map(str, block["rewards"]):
        if reward not in REWARDS:
            raise _unknown(f"reward of {where}", reward, REWARDS)
    return [
        Run(
            path.stem,
            block["sim"],
            block.get("arm", ""),
            str(task),
            str(agent),
            reward,
            seed,
            steps,
            tuple(map(str, block.get("settings", ()))),
        )
        for (task, steps), agent, reward, seed in product(
            block["tasks"].items(), block["agents"], block["rewards"], block["seeds"]
        )
    ]


_YAML_KINDS = {str: "text", list: "list", dict: "mapping of tasks to environment steps"}


def _check(path: Path, run: Run, directory: Path) -> Plan:
    if run.agent not in AGENTS:
        raise _unknown(f"agent of the suite {path}", run.agent, AGENTS)
    plan = run.plan(directory)
    if run.task not in (tasks := simulators.tasks(run.sim)):
        raise _unknown(f"task of the suite {path}", run.task, tasks, f" in {run.sim}")
    arms = simulators.arms_of(run.sim)
    if run.arm and not arms:
        raise UserError(f"the suite {path}: {run.sim} has no arms to choose from, so leave out arm: {run.arm}")
    if run.arm and run.arm not in arms:
        raise _unknown(f"arm of the suite {path}", run.arm, arms, f" in {run.sim}")
    settings = plan.settings["policy_node"]
    check_agent(settings["agent"], settings["size"], settings["image_size"])
    return plan


def _check_shared_preparation(path: Path, plans: Mapping[Run, Plan]) -> None:
    """Runs that share videos and a video model must want the same ones."""
    wanted: dict[Path, tuple[Run, dict[str, Any]]] = {}
    for run, plan in plans.items():
        if not plan.learns_from_videos:
            continue
        environment = {name: value for name, value in plan.settings["sim_node"].items() if name != "seed"}
        prepared = {"record": plan.settings["record"], "fit": plan.settings["fit"], "sim_node": environment}
        first, same = wanted.setdefault(plan.model, (run, prepared))
        for section, values in prepared.items():
            for name, value in values.items():
                if same[section][name] != value:
                    raise UserError(
                        f"the suite {path}: {first.name} and {run.name} share videos and a video model, "
                        f"so {section}.{name} must be the same in both"
                    )


def _unknown(kind: str, name: str, known: Iterable[str], more: str = "") -> UserError:
    return UserError(f"no {kind} '{name}': {did_you_mean(name, sorted(known))}{more}")
