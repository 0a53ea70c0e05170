"""Videos of a policy that is neither random nor good: a run's evaluation episodes in the middle of its training."""

from __future__ import annotations

from pathlib import Path

import yaml

from viper_lab.errors import UserError
from viper_lab.results.run_files import EPISODES, read_config, value_at
from viper_model.files import replace_file
from viper_model.videos.dataset import read_recording

BEHAVIOUR = "half_trained"


def keep_half_trained(run: Path, directory: Path) -> dict[Path, float]:
    """Copy the run's videos of all rounds of evaluation but the first and the last to where `viper record` keeps
    videos.

    That is `<directory>/data/<sim>/[<arm>/]<task>/half_trained/<run>_<steps learned from>.npz`, beside which a YAML
    file says where the video comes from. Returns the ground-truth return of each video by its path. Raises UserError
    where the run has no such rounds, ModelError where a video can't be read or written.
    """
    config = read_config(run)
    videos = sorted((run / EPISODES).glob(f"evaluation_{'[0-9]' * 8}.npz"))[1:-1]
    if not videos:
        raise UserError(
            f"{run} has no evaluation between its first and its last: train longer, or with a smaller "
            "policy_node.evaluate_every"
        )
    arm = value_at(config, "settings.sim_node.arm") or ""
    task = value_at(config, "settings.sim_node.task") or config["task"]  # Older runs name it after their arm.
    folder = directory / "data" / config["sim"] / arm / task / BEHAVIOUR
    returns = {}
    for video in videos:
        reward = read_recording(video).task_reward
        if reward is None:
            raise UserError(f"{video} has no ground-truth return: it is no video of a run")
        steps = int(video.stem.removeprefix("evaluation_"))
        path = folder / f"{run.resolve().name}_{video.stem.removeprefix('evaluation_')}.npz"
        returns[path] = float(reward.sum())
        origin = {
            "sim": config["sim"],
            "task": task,
            "behaviour": BEHAVIOUR,
            "run": run.resolve().name,
            "steps": steps,
            "task_return": returns[path],
        }
        replace_file(path, video.read_bytes())
        replace_file(path.with_suffix(".yaml"), yaml.safe_dump(origin, sort_keys=False).encode())
    return returns
