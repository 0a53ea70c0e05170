"""What the expert of each Atari game scores in one episode, against a human's score: a table in Markdown.

.venv/bin/in_ros python -m benchmarks.experts.atari --max-frames 12000 [--games pong] [--out table.md]
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from pathlib import Path

import sim
from sim.experts import make_behaviour


def play(job: tuple[str, int, int]) -> str:
    """job: game, the episode's limit in frames, seed. Returns a line of the table."""
    game, max_frames, seed = job
    with sim.make("atari", game, seed=seed, max_frames=max_frames) as environment:
        began, score, steps = time.monotonic(), 0.0, 0
        time_step = environment.reset()
        expert = make_behaviour("expert", "atari", game, seed)
        expert.reset(environment)
        while not time_step.is_last:
            time_step = environment.step(expert.act(environment))
            score, steps = score + time_step.task_reward, steps + 1
        _, human = environment.description.return_range
        ended = "game over" if time_step.is_terminal else "time limit"
        normalised = environment.description.normalised_score(score)
        seconds = time.monotonic() - began
    return f"| {game} | {score:.0f} | {human:g} | {normalised:.0%} | {steps}, {ended} | {seconds:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", nargs="*", default=sim.tasks("atari"), choices=sim.tasks("atari"))
    parser.add_argument("--max-frames", type=int, default=108_000, help="an episode's time limit")
    parser.add_argument("--seed", type=int, default=1000, help="no expert was tuned on the default's episode")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    lines = [
        "| game | score | human | human-normalised | steps | s an episode |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    with multiprocessing.get_context("spawn").Pool(arguments.workers) as pool:
        jobs = [(game, arguments.max_frames, arguments.seed) for game in arguments.games]
        for line in pool.imap(play, jobs):
            lines.append(line)
            print(line, flush=True)
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
