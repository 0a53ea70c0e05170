"""The ground-truth returns of the experts (planners) of DeepMind Control: records videos, prints a table in Markdown.

    .venv/bin/in_ros python -m benchmarks.experts.dmc --videos data/expert_table --episodes 2 [--tasks pendulum_swingup]

Every video counts: none is recorded again for a low return. Videos that are there already are kept, so what was
interrupted goes on; without --episodes, only the table is printed. Seconds are the elapsed time of one episode recorded
by one process, with rendering and the start of the process.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from sim.record import list_episodes, record

PAPER = (
    "acrobot_swingup",
    "cartpole_balance",
    "cartpole_swingup",
    "cheetah_run",
    "cup_catch",
    "finger_spin",
    "finger_turn_hard",
    "hopper_stand",
    "manipulator_bring_ball",
    "pendulum_swingup",
    "pointmass_easy",
    "pointmass_hard",
    "quadruped_run",
    "quadruped_walk",
    "reacher_easy",
)
"""The tasks of Escontrela et al. (2023)."""
OTHERS = ("walker_stand", "walker_walk", "reacher_hard")
MAXIMUM = 1000
"""An episode's highest return in DeepMind Control."""


def record_task(task: str, videos: Path, episodes: int, action_repeat: int) -> None:
    """Record until the task has so many episodes, and write the seconds that each took beside them."""
    folder = videos / task / "expert"
    for count in range(len(list_episodes(folder)) + 1, episodes + 1):
        begin = time.perf_counter()
        record(
            "dmc",
            task,
            "expert",
            count,
            videos,
            image_size=(64, 64),
            action_repeat=action_repeat,
            workers=1,
            min_score=0.0,
        )
        with (folder / "seconds.txt").open("a") as file:
            file.write(f"{time.perf_counter() - begin:.1f}\n")


def row(task: str, videos: Path) -> str:
    """A line of the table, in Markdown."""
    episodes = list(list_episodes(videos / task / "expert").values())
    if not episodes:
        return f"| {task} | | | | |"
    returns = np.array([episode.task_return for episode in episodes])
    seconds = np.loadtxt(videos / task / "expert" / "seconds.txt", ndmin=1)
    share = returns.mean() / MAXIMUM
    return (
        f"| {task} | {returns.mean():.0f} ± {returns.std():.0f} | {len(returns)} | {share:.0%} | {seconds.mean():.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", default=PAPER + OTHERS)
    parser.add_argument("--episodes", type=int, default=0)
    parser.add_argument("--action-repeat", type=int, default=2)
    arguments = parser.parse_args()
    for task in arguments.tasks:
        record_task(task, arguments.videos, arguments.episodes, arguments.action_repeat)
    print("| task | return of the planner | episodes | of 1000 | s an episode |\n| --- | --- | --- | --- | --- |")
    print("\n".join(row(task, arguments.videos) for task in PAPER + OTHERS))
    known = [episode for episode in list_episodes(arguments.videos).values() if episode.behaviour == "expert"]
    versions = {f"{name} {version}" for episode in known for name, version in episode.versions.items()}
    print(f"\naction repeat {sorted({episode.action_repeat for episode in known})}, {', '.join(sorted(versions))}")


if __name__ == "__main__":
    main()
