"""How much of a GPU's rate the training of the video model uses, against one large bfloat16 matrix product.

    python -m benchmarks.speed.video_model_training --device cuda [--size arms] [--seconds 30]

Prints, for the VQ-GAN and for the code model, training steps a second, the floating-point operations of a step (matrix
products, convolutions and attention, forward and backward, as torch counts them), and their rate as a share of the
matrix product's, which is measured in the same run; then the kernels that take most of a step's time. Videos are
random, which takes as long as any others. --device cpu only shows that the script works.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.timing import device_name, rate
from viper_model.torch_tools.distributed import make_fabric
from viper_model.video_model.fit.assembly import make_stages
from viper_model.video_model.fit.schedule import SCHEDULES
from viper_model.video_model.fit.stages import Stage
from viper_model.video_model.sizes import SIZES, size_config
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.dataset import load_dataset

VIDEOS, FRAMES = 16, 64
KERNELS = 12
"""How many are listed."""


def matrix_rate(device: str, side: int, seconds: float) -> float:
    """Floating-point operations a second of a product of two bfloat16 matrices of side × side."""
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * side**3 * rate(lambda: a @ b, device, seconds)


def make_training(size: str, device: str, folder: Path, batch: int | None) -> list[Stage]:
    """The VQ-GAN's and the code model's stage of a new model's training on random videos, which go into `folder`.

    batch: frames and clips in a batch; None: what the schedule says.
    """
    config, schedule = size_config(size, "vqgan"), SCHEDULES[size]
    if batch:
        schedule = dataclasses.replace(
            schedule,
            tokenizer=dataclasses.replace(schedule.tokenizer, batch=batch),
            code_model=dataclasses.replace(schedule.code_model, batch=batch),
        )
    videos = folder / "task"
    videos.mkdir()
    side = config.tokenizer.image_size
    for number in range(VIDEOS):
        image = np.random.default_rng(number).integers(0, 256, (FRAMES, side, side, 3), np.uint8)
        np.savez(videos / f"{number}.npz", image=image)
    data = load_dataset(folder, side)
    fabric = make_fabric(device)
    model = VideoModel(config, data.tasks).to(fabric.device)
    return make_stages(fabric, model, data, schedule, "none", seed=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--size", choices=tuple(SIZES), default="arms")
    parser.add_argument("--batch", type=int, help="frames and clips in a batch, instead of the schedule's")
    parser.add_argument("--seconds", type=float, default=30, help="of each measurement")
    arguments = parser.parse_args()
    device = arguments.device
    if device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no CUDA GPU here")
    peak = matrix_rate(device, 8192 if device == "cuda" else 1024, min(arguments.seconds, 5))
    name = device_name(device)
    print(f"{name}, torch {torch.__version__}: {peak / 1e12:.1f} TFLOP/s in one bfloat16 matrix product")
    with tempfile.TemporaryDirectory() as folder:
        vqgan, code_model = make_training(arguments.size, device, Path(folder), arguments.batch)
        # From here on the discriminator takes part in a step.
        adversarial = SCHEDULES[arguments.size].tokenizer.adversarial_start
        measure("VQ-GAN", partial(vqgan.step, adversarial), device, arguments.seconds, peak)
        measure("code model", partial(code_model.step, 0), device, arguments.seconds, peak)


def measure(name: str, step: Callable[[], object], device: str, seconds: float, peak: float) -> None:
    step()
    with FlopCounterMode(display=False) as counter:
        step()
    operations = counter.get_total_flops()
    steps = rate(step, device, seconds)
    achieved = operations * steps
    print(
        f"\n{name}: {steps:.2f} steps/s, {operations / 1e12:.3f} TFLOP a step, {achieved / 1e12:.2f} TFLOP/s: "
        f"{achieved / peak:.1%} of the matrix rate"
    )
    activities = [ProfilerActivity.CUDA if device == "cuda" else ProfilerActivity.CPU]
    with profile(activities=activities) as trace:
        step()
    order = "self_cuda_time_total" if device == "cuda" else "self_cpu_time_total"
    print(trace.key_averages().table(sort_by=order, row_limit=KERNELS, max_name_column_width=60))


if __name__ == "__main__":
    main()
