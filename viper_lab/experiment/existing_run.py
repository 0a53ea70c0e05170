"""A run that is there already, beside the plan of one that is to be in its place."""

from __future__ import annotations

from collections.abc import Mapping

from viper_lab.errors import UserError
from viper_lab.experiment.plan import Plan
from viper_lab.experiment.provenance import IDENTITY, difference, of_video_model
from viper_lab.results.run_files import CONFIG, read_config


def made_otherwise(plan: Plan) -> str:
    """What the run in the plan's place was made with that the plan isn't, in words; empty where nothing is, or where
    there is no run. A video model counts where it is there. Raises UserError where the run's config.yaml is damaged."""
    if not (plan.run / CONFIG).exists():
        return ""
    before = read_config(plan.run)
    told = ["sim", "task", "settings"]
    if before["video_model"] and (plan.model / "config.yaml").exists():
        told.append("video_model")
    return difference(before, _config(plan), [key for key in IDENTITY if key.split(".")[0] in told])


def refuse_another(plan: Plan) -> None:
    """Raises UserError where the run in the plan's place can't go on as planned: before anything is prepared for it."""
    if what := made_otherwise(plan):
        raise UserError(f"{plan.run} was started with {what}: choose another name:= or remove the directory")


def _config(plan: Plan) -> Mapping[str, object]:
    """Of a run's config.yaml, what the plan alone tells: see `provenance.run_config`."""
    policy = {**plan.settings["policy_node"], "environments": list(plan.environments)}
    return {
        "sim": plan.sim,
        "task": plan.task,
        "video_model": of_video_model(plan.model),
        "settings": {**plan.settings, "policy_node": policy},
    }
