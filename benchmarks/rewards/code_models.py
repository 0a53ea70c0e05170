"""Every code model fitted to the same videos: how well its likelihood tells experts, and how long it takes.

    .venv/bin/in_ros python -m benchmarks.rewards.code_models --data data/dmc --models models/compared
    … --tasks pendulum_swingup --size tiny --tokenizer patches --code-model-steps 300 --clock cpu

Each is fitted into `<models>/<name>`: a fit that was interrupted goes on, one that has finished is only read. Seed,
schedule and the codes that they read are the same for all. Printed for each task: the likelihood of held-out expert
clips, the AUC (area under the ROC curve) of expert against each other kind of clip, and the rank correlation with the
ground-truth return. Then, measured in turns, with the ratio to the first model's: the time of a new frame of one camera
with its encoding and without, of a whole clip without its encoding, and of a training step of the code model.

--clock cpu counts the processor's time, for a machine that others use.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.timing import CLOCKS, Timer
from viper_model.reward.check import TaskCheck, check_reward
from viper_model.video_model.fit.schedule import SCHEDULES
from viper_model.video_model.fit.training import fit
from viper_model.video_model.sizes import CODE_MODELS, SIZES, size_config
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.dataset import EXPERT, load_dataset

CLIP_FRAMES = 64
"""Length of the clip that is evaluated whole."""


def print_checks(checks: dict[str, TaskCheck], codes: int) -> None:
    """checks: of one task, by code model. codes: in a frame."""
    rows: dict[str, list[float | None]] = {
        "expert, nats a code": [check.kinds[EXPERT].log_likelihood / codes for check in checks.values()],
        **{
            f"AUC of clips against {kind}": [check.kinds[kind].clip_auc for check in checks.values()]
            for kind in next(iter(checks.values())).kinds
            if kind != EXPERT
        },
        "rank correlation": [check.return_correlation for check in checks.values()],
    }
    for name, values in rows.items():
        print(f"  {name:32}", *(f"{'-' if value is None else f'{value:.3f}':>12}" for value in values))


def runs_of(model: VideoModel, batch: int, clip_frames: int) -> dict[str, tuple[Callable[[], object], int]]:
    """What to measure of a model, by name: what to run, and how often in each round."""
    size, grid = model.image_size, model.config.tokenizer.grid
    frame = torch.randint(0, 256, (1, size, size, 3), dtype=torch.uint8)
    codes = torch.randint(model.config.tokenizer.codes, (batch, CLIP_FRAMES, grid, grid))
    video, task, later = torch.zeros(1, dtype=torch.int64), torch.zeros(batch, dtype=torch.int64), torch.tensor([False])
    stream, cache = model.stream(1), model.code_model.cache(1)
    for _ in range(model.context * model.frame_skip):
        stream.step(video, frame, video, later)
        model.code_model.score(cache, video, codes[:1, 0].flatten(1), video)

    def train() -> None:
        model.code_model.loss(codes[:, :clip_frames].flatten(2), task).backward()
        model.zero_grad()

    return {
        "a new frame": (lambda: stream.step(video, frame, video, later), 16),
        "a new frame, encoded": (lambda: model.code_model.score(cache, video, codes[:1, 0].flatten(1), video), 16),
        f"a clip of {CLIP_FRAMES} frames, encoded": (
            lambda: model.code_log_probs(model.code_model, codes[:1], video),
            2,
        ),
        "a training step of the code model": (train, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", help="default: all of the data's")
    parser.add_argument("--size", choices=tuple(SIZES), default="tiny")
    parser.add_argument("--tokenizer", default="", help="default: the size's first")
    parser.add_argument("--tokenizer-steps", type=int)
    parser.add_argument("--code-model-steps", type=int)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clock", choices=tuple(CLOCKS), default="wall")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    models = {
        name: fit(
            arguments.data,
            arguments.models / name,
            arguments.size,
            tokenizer=arguments.tokenizer,
            code_model=name,
            background="none",
            tasks=arguments.tasks,
            tokenizer_steps=arguments.tokenizer_steps,
            code_model_steps=arguments.code_model_steps,
        )
        for name in CODE_MODELS
    }
    config, schedule = size_config(arguments.size, arguments.tokenizer), SCHEDULES[arguments.size].code_model
    shortest = config.code_model.context * config.frame_skip
    dataset = load_dataset(arguments.data, config.tokenizer.image_size, arguments.tasks, shortest=shortest)
    checks = {name: check_reward(model, dataset, "conditional").tasks for name, model in models.items()}
    print(f"{'':34}", *(f"{name:>12}" for name in models))
    for task in dataset.tasks:
        print(task)
        print_checks({name: check[task] for name, check in checks.items()}, config.tokenizer.grid**2)
    runs = {
        f"{what}/{name}": run
        for name, model in models.items()
        for what, run in runs_of(model, schedule.batch, schedule.clip_frames).items()
    }
    medians = Timer(arguments.clock, "cpu").medians(runs, arguments.rounds)
    first = next(iter(models))
    print(f"ms of {arguments.clock} time (times {first}'s), torch {torch.__version__}, threads: {arguments.threads}")
    for what in dict.fromkeys(key.split("/")[0] for key in runs):
        seconds = {name: medians[f"{what}/{name}"] for name in models}
        told = (f"{1e3 * s:.1f} ({s / seconds[first]:.1f})" for s in seconds.values())
        print(f"  {what:32}", *(f"{text:>12}" for text in told))


if __name__ == "__main__":
    main()
