"""In how many episodes the scripted expert of each robosuite task succeeds, with each arm: a table in Markdown.

.venv/bin/in_ros python -m benchmarks.experts.arms --episodes 20 [--workers 2] [--out table.md]
"""

from __future__ import annotations

import argparse
import multiprocessing
from pathlib import Path

import sim
from sim.arms.controller import ARMS
from sim.experts import make_behaviour

SIM = "robosuite"


def count_successes(job: tuple[str, str, int, int]) -> int:
    """job: task, arm, how many episodes, seed. Returns the number of episodes in which the expert succeeds."""
    task, arm, episodes, seed = job
    count = 0
    with sim.make(SIM, task, arm=arm, seed=seed) as environment:
        for episode in range(episodes):
            time_step = environment.reset()
            expert = make_behaviour("expert", SIM, task, episode)
            expert.reset(environment)
            while not time_step.is_last and not time_step.task_reward:
                time_step = environment.step(expert.act(environment))
            count += int(time_step.task_reward)
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="*", default=sim.tasks(SIM), choices=sim.tasks(SIM))
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1000, help="no expert was tuned on the default's episodes")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    jobs = [(task, arm, arguments.episodes, arguments.seed) for task in arguments.tasks for arm in ARMS]
    lines = [f"| task | {' | '.join(ARMS)} |", "| --- |" + " --- |" * len(ARMS)]
    good = 0
    with multiprocessing.get_context("spawn").Pool(arguments.workers) as pool:
        results = pool.imap(count_successes, jobs)
        for task in arguments.tasks:
            row = [next(results) for _ in ARMS]
            good += min(row) >= 0.9 * arguments.episodes
            cells = [f"{count} of {arguments.episodes}" for count in row]
            lines.append(f"| {task} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    lines += ["", f"{good} of {len(arguments.tasks)} tasks are solved by every arm in 90% of the episodes or more."]
    print(lines[-1])
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
