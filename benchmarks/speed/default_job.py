"""What the default job (`viper train`) spends its time on: milliseconds of each, at size tiny with random weights.

    .venv/bin/in_ros python -m benchmarks.speed.default_job [--rounds 20] [--clock cpu] [--threads 1]

Measured in turns; medians are printed. --clock cpu: the processor's time, for a machine that others use.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from benchmarks.speed.drqv2_peer import our_update
from benchmarks.timing import CLOCKS, Timer, device_name
from viper_model.reward.likelihood import Calibration, Form
from viper_model.reward.scorer import Scorer
from viper_model.video_model.fit.schedule import SCHEDULES
from viper_model.video_model.sizes import size_config
from viper_model.video_model.video_model import VideoModel


def video_model() -> VideoModel:
    model = VideoModel(size_config("tiny"), ("task",), background=True)
    quantiles: dict[str, tuple[float, ...]] = dict.fromkeys(("expert", "shuffled"), Calibration.LEVELS)
    model.calibration = {"task": Calibration(quantiles, quantiles)}
    return model


def scoring(form: Form) -> Callable[[], object]:
    """The reward of one camera's next frame."""
    model = video_model()
    model.prepare_for_inference()
    frame = np.random.default_rng(0).integers(0, 256, (1, model.image_size, model.image_size, 3), np.uint8)
    return partial(Scorer(model, form, 1).step, [0], frame, ["task"], [False])


def fitting() -> Callable[[], None]:
    """A step of a code model's training."""
    schedule = SCHEDULES["tiny"].code_model
    code_model = video_model().code_model.train()
    optimizer = torch.optim.AdamW(code_model.parameters(), schedule.rate, fused=True)
    codes = torch.randint(code_model.codes, (schedule.batch, schedule.clip_frames, code_model.tokens))
    task = torch.zeros(schedule.batch, dtype=torch.int64)

    def step() -> None:
        optimizer.zero_grad()
        code_model.loss(codes, task).backward()
        optimizer.step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--clock", choices=tuple(CLOCKS), default="wall")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    runs: dict[str, tuple[Callable[[], object], int]] = {
        "an update of DrQ-v2": (our_update("tiny", "cpu"), 3),
        "the same, with its bonus": (our_update("tiny", "cpu", exploration_weight=0.5), 3),
        "a frame's reward, conditional": (scoring("conditional"), 10),
        "a frame's reward, ratio": (scoring("ratio"), 10),
        "a step of a code model's training": (fitting(), 1),
    }
    print(
        f"{device_name('cpu')}, torch {torch.__version__}, {arguments.clock} time, medians of {arguments.rounds} rounds"
    )
    for name, seconds in Timer(arguments.clock, "cpu").medians(runs, arguments.rounds).items():
        print(f"  {name:34} {1e3 * seconds:7.1f} ms")


if __name__ == "__main__":
    main()
