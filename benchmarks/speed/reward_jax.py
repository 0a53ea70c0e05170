"""The time of the reward for a frame, against the public JAX code's, on one core, each at its own DMC size.

The public code (github.com/Alescontrela/viper_rl) runs unchanged and with random weights in an environment of its own:

    git clone https://github.com/Alescontrela/viper_rl /tmp/viper_rl
    python3 -m venv /tmp/jaxenv && /tmp/jaxenv/bin/pip install "jax[cpu]==0.4.38" flax==0.10.2 optax==0.2.4 \\
        orbax-checkpoint==0.10.3 tqdm ruamel.yaml rich cloudpickle
    .venv/bin/in_ros python -m benchmarks.speed.reward_jax /tmp/viper_rl /tmp/jaxenv/bin/python [--rounds 3]

It is timed twice: as its training loop runs it, which waits for 49 new frames, encodes the last 64 and evaluates 49
windows of 16; and called for each new frame, as a robot that needs each reward at once would have to. This package's
times are those of streaming (each reward at once) and of one pass over a trajectory (rewards later, as in that loop),
in both precisions. Both processes share one core (--core) and take turns. --clock cpu: as for benchmarks.speed.reward.
"""

from __future__ import annotations

import argparse
import copy
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from benchmarks.speed.reward import TRAJECTORY, camera_step, random_frames
from benchmarks.timing import CLOCKS, Timer
from viper_model.torch_tools.precision import PRECISIONS
from viper_model.video_model.sizes import size_config
from viper_model.video_model.video_model import VideoModel

ONE_THREAD = {
    "JAX_PLATFORMS": "cpu",
    "OMP_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("code", type=Path, help="Folder of the public code.")
    parser.add_argument("python", type=Path, help="Python of its environment.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--clock", choices=tuple(CLOCKS), default="wall")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {arguments.core})
    torch.set_num_threads(1)
    torch.manual_seed(0)

    model = VideoModel(size_config("dmc", "vqgan"), ("task",))
    video, task = random_frames(1, TRAJECTORY, device="cpu"), torch.zeros(1, dtype=torch.int64)
    runs: dict[str, tuple[Callable[[], object], int, int]] = {}
    """What to run, how often in each round, and of how many frames."""
    for precision in PRECISIONS:
        fast = copy.deepcopy(model)
        fast.prepare_for_inference(precision)
        runs[f"ours, stream, {precision}"] = (camera_step(fast, 1), 16, 1)
        runs[f"ours, whole trajectory, {precision}"] = (partial(fast.log_probs, video, task), 1, TRAJECTORY)

    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **ONE_THREAD}
    child = Path(__file__).with_name("public_jax_reward.py")
    public = subprocess.Popen(
        [arguments.python, child, arguments.code.resolve()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert public.stdin
    assert public.stdout
    commands, answers = public.stdin, public.stdout

    def ask(command: str) -> float:
        print(command, file=commands, flush=True)
        wall, cpu = map(float, answers.readline().split())
        return wall if arguments.clock == "wall" else cpu

    if answers.readline().strip() != "ready":
        sys.exit("the public code did not start: see its messages above")
    taken: dict[str, list[float]] = {name: [] for name in ("public, training loop", "public, each frame", *runs)}
    timer = Timer(arguments.clock, "cpu")
    for number in range(arguments.rounds + 1):
        seconds = {"public, training loop": ask("loop"), "public, each frame": ask("frame")}
        seconds |= {name: timer.seconds(run, times) / frames for name, (run, times, frames) in runs.items()}
        for name, value in seconds.items():
            if number:  # The first round compiles and warms up.
                taken[name].append(value)
    commands.close()
    public.wait()

    medians = {name: statistics.median(values) for name, values in taken.items()}
    loop, frame = medians["public, training loop"], medians["public, each frame"]
    print(f"one core, {arguments.clock} time, medians of {arguments.rounds} rounds")
    print("                                    ms a frame   public loop / this   public each frame / this")
    for name, value in medians.items():
        print(f"  {name:34} {1e3 * value:10.1f} {loop / value:15.1f} {frame / value:21.1f}")


if __name__ == "__main__":
    main()
