"""In how many episodes the scripted expert of each robosuite task succeeds, with each arm: a table in Markdown.

.venv/bin/in_ros python -m benchmarks.experts.arms --episodes 20 [--workers 2] [--out table.md]

With --out it goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import sim
from sim.experts import make_behaviour

SIM = "robosuite"
ARMS = sim.arms_of(SIM)
UNSEEN = (8, 8)
"""Experts don't look at frames: small ones cost least."""


def count_successes(job: tuple[str, str, int, int]) -> int:
    """job: task, arm, how many episodes, seed. Returns the number of episodes in which the expert succeeds."""
    task, arm, episodes, seed = job
    count = 0
    with sim.make(SIM, task, arm=arm, seed=seed, image_size=UNSEEN) as environment:
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
    parser.add_argument("--out", type=Path, help="where the table is kept: what is in it is not measured again")
    arguments = parser.parse_args()
    counts = read_table(arguments.out) if arguments.out and arguments.out.exists() else {}
    missing = [task for task in arguments.tasks if task not in counts]
    jobs = [(task, arm, arguments.episodes, arguments.seed) for task in missing for arm in ARMS]
    with multiprocessing.get_context("spawn").Pool(arguments.workers) as pool:
        results = pool.imap(count_successes, jobs)
        for task in missing:
            counts[task] = [next(results) for _ in ARMS]
            print(task, *counts[task], flush=True)
            if arguments.out:
                arguments.out.write_text(table(counts, arguments.episodes))
    print(table(counts, arguments.episodes))


def read_table(path: Path) -> dict[str, list[int]]:
    """By task, the episodes that each arm's expert solved, of a table that `table` wrote."""
    rows = re.findall(r"^\| (\w+) \|" + r" (\d+) of \d+ \|" * len(ARMS) + "$", path.read_text(), re.MULTILINE)
    return {task: list(map(int, counts)) for task, *counts in rows}


def table(counts: Mapping[str, Sequence[int]], episodes: int) -> str:
    good = sum(min(row) >= 0.9 * episodes for row in counts.values())
    lines = [f"| task | {' | '.join(ARMS)} |", "| --- |" + " --- |" * len(ARMS)]
    for task, row in sorted(counts.items()):
        lines.append(f"| {task} | {' | '.join(f'{count} of {episodes}' for count in row)} |")
    lines += ["", f"{good} of {len(counts)} tasks are solved by every arm in 90% of the episodes or more."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
