"""Environment steps a second, each with a 64×64 frame: this package's DeepMind Control against dm_control's own.

    .venv/bin/in_ros python -m benchmarks.speed.rendering_dmc [--processes 2] [--steps 100] [--rounds 5]

Both step the same task with the same random actions, action repeat and camera, in as many processes. The peer is
`dm_control.suite` with `physics.render` at its defaults. They take turns; the figure is the ratio of the medians.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

import numpy as np

import sim
from sim import opengl

TASKS = ("walker_walk", "cheetah_run", "cartpole_swingup")
SIDES = ("viper_ros", "dm_control")


def stepper(side: str, task: str, action_repeat: int) -> Callable[[], object]:
    """A function that makes one step and its frame, and starts a new episode where one ends."""
    rng = np.random.default_rng(0)
    environment = sim.make("dmc", task, action_repeat=action_repeat)
    environment.reset()
    space = environment.description.action_space

    def ours() -> object:
        time_step = environment.step(space.sample(rng))
        return environment.reset() if time_step.is_last else time_step.image

    if side == "viper_ros":
        return ours
    from dm_control import suite

    domain, name = task.split("_", 1)
    peer = suite.load(domain, name, task_kwargs={"random": 0})
    peer.reset()
    low, high = peer.action_spec().minimum, peer.action_spec().maximum
    camera = environment.description.options["camera"]

    def theirs() -> object:
        action = low + (space.sample(rng) + 1) / 2 * (high - low)
        for _ in range(action_repeat):
            if peer.step(action).last():
                peer.reset()
                break
        return peer.physics.render(height=64, width=64, camera_id=camera)

    return theirs


def serve(connection: Connection, side: str, task: str, action_repeat: int) -> None:
    os.environ["LP_NUM_THREADS"] = "1"  # For Mesa's software renderer: each core has a process of its own.
    step = stepper(side, task, action_repeat)
    for _ in range(5):
        step()
    connection.send(None)
    while steps := connection.recv():
        for _ in range(steps):
            step()
        connection.send(None)


def steps_a_second(crew: list[Connection], steps: int) -> float:
    begin = time.perf_counter()
    for connection in crew:
        connection.send(steps)
    for connection in crew:
        connection.recv()
    return steps * len(crew) / (time.perf_counter() - begin)


def compare(task: str, processes: int, action_repeat: int, steps: int, rounds: int) -> dict[str, float]:
    """The median steps a second of each side."""
    context = multiprocessing.get_context("spawn")
    crews: dict[str, list[Connection]] = {side: [] for side in SIDES}
    members: list[SpawnProcess] = []
    for side in SIDES:
        for _ in range(processes):
            mine, other = context.Pipe()
            members.append(context.Process(target=serve, args=(other, side, task, action_repeat), daemon=True))
            members[-1].start()
            crews[side].append(mine)
    for crew in crews.values():
        for connection in crew:
            connection.recv()
    rates: dict[str, list[float]] = {side: [] for side in SIDES}
    for _ in range(rounds):
        for side in SIDES:
            rates[side].append(steps_a_second(crews[side], steps))
    for crew in crews.values():
        for connection in crew:
            connection.send(0)
    for member in members:
        member.join()
    return {side: statistics.median(values) for side, values in rates.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--action-repeat", type=int, default=2)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    opengl.choose_backend()
    print(f"MUJOCO_GL={os.environ['MUJOCO_GL']}, {arguments.processes} processes a side, steps a second:")
    for task in TASKS:
        rates = compare(task, arguments.processes, arguments.action_repeat, arguments.steps, arguments.rounds)
        told = ", ".join(f"{side} {rate:.1f}" for side, rate in rates.items())
        print(f"{task:20} {told}, ratio {rates['viper_ros'] / rates['dm_control']:.2f}", flush=True)


if __name__ == "__main__":
    main()
