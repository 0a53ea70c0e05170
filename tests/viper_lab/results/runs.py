"""Directories of runs, as a training leaves them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

CONFIG: dict[str, Any] = {
    "version": 2,
    "sim": "dmc",
    "task": "cartpole_swingup",
    "return_range": [0, 1000],
    "data": None,
    "video_model": None,
    "settings": {
        "reward_node": {"likelihood": "auto", "reward_task": ""},
        "policy_node": {"seed": 7, "size": "tiny", "agent": "drqv2", "steps": 500},
    },
    "versions": {"python": "3.11.2"},
}


def write_run(run: Path, evaluations: Mapping[int, Sequence[float]], **config: Any) -> Path:
    """evaluations: ground-truth returns by round."""
    run.mkdir(parents=True, exist_ok=True)
    (run / "config.yaml").write_text(yaml.safe_dump({**CONFIG, **config}))
    with open(run / "metrics.jsonl", "w") as file:
        for step, returns in evaluations.items():
            for value in returns:
                file.write(json.dumps({"step": step, "round": step, "evaluation_return": value}) + "\n")
    return run


def write_episode(run: Path, number: int, image: np.ndarray, reward: np.ndarray, task_reward: np.ndarray) -> None:
    (run / "episodes").mkdir(exist_ok=True)
    np.savez(
        run / "episodes" / f"evaluation_{number:08d}.npz",
        image=image,
        action=np.zeros((len(image) - 1, 1)),
        task_reward=task_reward,
        reward=reward.astype(np.float32),
        log_likelihood=reward.astype(np.float32),
    )
