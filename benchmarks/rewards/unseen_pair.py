"""A policy for a pair of arm and task by the reward of a model that never saw it, beside what others learn.

    .venv/bin/viper cross-embodiment pairs:=small
    .venv/bin/in_ros python -m benchmarks.rewards.unseen_pair --pair panda/take_lid_off_saucepan --steps 200000
    … --pairs small --seeds 0 1 2 --set policy_node.device=cuda --set reward_node.device=cuda --set fit.device=cuda

Policies learn from: the model of the seen pairs, by the plain likelihood and by the ratio; a model that saw this pair
as well, by both; and the task's own reward, the oracle. The command before has made the first model; the second is
fitted here, by the same settings, into the same folder. Each is a run, `runs/<arm>_<task>_<reward>_<seed>`: the same
command goes on where it was. Printed: the mean ground-truth return, which is the rate of success, with the standard
error over episodes, a line a run, and over seeds at the end.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path

import numpy as np

from viper_lab.config import PACKAGE
from viper_lab.errors import UserError
from viper_lab.evaluation.cross_embodiment.fitting import make_plans
from viper_lab.evaluation.cross_embodiment.pairs import Pair, Pairs, load_pairs
from viper_lab.evaluation.cross_embodiment.study import FOLDER
from viper_lab.experiment.preparation import fit_model, record_videos
from viper_lab.results.report import with_error
from viper_model.videos.find import BACKGROUND

VIPER = PACKAGE.parent / ".venv" / "bin" / "viper"


def fit_model_that_saw(pairs: Pairs, pair: Pair, sim: str, directory: Path, assignments: list[str]) -> Path:
    """A model of the seen pairs and this one. Returns its folder."""
    plan = make_plans(pairs, sim, directory, assignments)[pair]
    record_videos(plan, BACKGROUND)
    folder = directory / FOLDER / pairs.name / "models" / f"with_{pair.arm}_{pair.task}"
    fit_model(plan, plan.data.parent, folder, (*pairs.trained_on(), str(pair)))
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sim", default="robosuite")
    parser.add_argument("--pairs", default="small")
    parser.add_argument("--pair", required=True, help="such as panda/take_lid_off_saucepan")
    parser.add_argument("--directory", type=Path, default=Path())
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--set", action="append", default=[], help="as of `viper train`, and as the study was made by")
    arguments = parser.parse_args()
    pairs, pair = load_pairs(arguments.pairs, arguments.sim), Pair(*arguments.pair.split("/"))
    if pair not in pairs.unseen:
        raise UserError(f"{pair} is not among the unseen pairs: {', '.join(map(str, pairs.unseen))}")
    never = arguments.directory / FOLDER / pairs.name / "models" / "all"
    saw = fit_model_that_saw(pairs, pair, arguments.sim, arguments.directory, arguments.set)
    rewards = {
        **{
            f"{name}_{form}": [f"reward_model:={model}", f"likelihood:={form}"]
            for name, model in (("never_seen", never), ("seen", saw))
            for form in ("conditional", "ratio")
        },
        "oracle": ["reward:=task"],
    }
    given = [
        *(f"{name}:={value}" for name, value in (("sim", arguments.sim), ("arm", pair.arm), ("task", pair.task))),
        f"steps:={arguments.steps}",
        f"directory:={arguments.directory}",
        *(text for assignment in arguments.set for text in ("--set", assignment)),
    ]
    for reward, options in rewards.items():
        means = []
        for seed in arguments.seeds:
            name = f"{pair.arm}_{pair.task}_{reward}_{seed}"
            seeds = ("--set", f"policy_node.seed={seed}", "--set", f"sim_node.seed={seed}")
            subprocess.run([VIPER, "train", *given, *options, f"name:={name}", *seeds], check=True)
            returns = json.loads((arguments.directory / "runs" / name / "report.json").read_text())["returns"]
            trained = returns["policy"]
            means.append(trained["mean"])
            print(f"{name}: {with_error(trained['mean'], trained['standard_error_over_episodes'])}", flush=True)
        print(f"{reward}: mean over {len(means)} seeds {np.mean(means):.2f}, from {min(means):.2f} to {max(means):.2f}")


if __name__ == "__main__":
    main()
