"""Steps a second of the arms, each with a 64 × 64 frame: this package's rendering against robosuite's own.

    .venv/bin/in_ros python -m benchmarks.speed.rendering_arms [--rounds 5] [--steps 30] [--task pick_and_lift]

Both environments use the same controller. They take turns in short rounds, so that what else the machine does slows
both. robosuite's own rendering is its visual meshes with its camera sensor's defaults.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

import sim
from sim import Env


def steps_a_second(environment: Env, steps: int, rng: np.random.Generator) -> float:
    environment.reset()
    begin = time.perf_counter()
    for _ in range(steps):
        environment.step(environment.description.action_space.sample(rng))
    return steps / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="pick_and_lift", choices=sim.tasks("robosuite"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30, help="in a round: fewer than an episode has")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    for arm in ("panda", "sawyer"):
        with (
            sim.make("robosuite", arguments.task, arm=arm) as fast,
            sim.make("robosuite", arguments.task, arm=arm, fast_render=False) as usual,
        ):
            rates = [
                (steps_a_second(fast, arguments.steps, rng), steps_a_second(usual, arguments.steps, rng))
                for _ in range(arguments.rounds)
            ]
        ours, theirs = (statistics.median(each) for each in zip(*rates, strict=True))
        print(f"{arm}: {ours:.1f} steps/s, {theirs:.1f} with robosuite's own rendering: {ours / theirs:.2f} times")


if __name__ == "__main__":
    main()
