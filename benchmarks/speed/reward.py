"""The time of the reward for a frame, of a model of size dmc with random weights, which take as long as trained ones.

    .venv/bin/in_ros python -m benchmarks.speed.reward [--rounds 5] [--clock cpu]
    .venv/bin/in_ros python -m benchmarks.speed.reward --model models/mine --videos data/task/expert/*.npz
    python -m benchmarks.speed.reward --device cuda [--tokenizer patches]

Measured in turns; medians and their ratios are printed:
* each new frame of one camera, its encoding included: streaming with cached keys and values, against encoding and
  evaluating the whole window of 16 frames anew (in float32 as well; with the codes of earlier frames kept or not);
* a whole trajectory in one pass, against the same window for each of its frames;
* several cameras in one batch;
* on a GPU: streaming as one CUDA graph, against the same kernels launched one by one.

With --model and --videos (all of the model's first task) it measures instead what lower precision changes, in nats a
frame, beside the spread of the exact likelihoods: of the transformer (`precision:=bfloat16`), and of the encoder too.

--clock cpu counts the processor's time, for a machine that others use: with one thread and no GPU.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.timing import CLOCKS, Timer, device_name
from viper_model.reward.likelihood import CodeLogProbs, conditional
from viper_model.torch_tools.precision import PRECISIONS
from viper_model.video_model.sizes import size_config
from viper_model.video_model.tokenizers import TOKENIZERS
from viper_model.video_model.tokenizers.vqgan import VQGAN
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.dataset import read_recording
from viper_model.videos.preparation import resize

TRAJECTORY = 128
"""Frames of a trajectory that is scored whole."""
FRAME_BUDGET_MS = 40.0
"""What a frame of one camera should take on one thread of a CPU."""


def random_frames(*shape: int, device: str) -> Tensor:
    return torch.randint(0, 256, (*shape, 64, 64, 3), dtype=torch.uint8, device=device)


def camera_step(model: VideoModel, cameras: int, graphed: bool = True) -> Callable[[], Tensor | CodeLogProbs]:
    """The next frame of each of `cameras` cameras, all past the context's length; brought to the CPU.

    graphed: as it is, a CUDA graph on a GPU; otherwise its kernels are launched one by one.
    """
    stream, index = model.stream(cameras), torch.arange(cameras)
    frames, task = random_frames(cameras, device="cpu"), torch.zeros(cameras, dtype=torch.int64)
    for step in range(model.context + 1):
        stream.step(index, frames, task, torch.full([cameras], step == 0))
    later = torch.zeros(cameras, dtype=torch.bool)
    if graphed:
        return lambda: stream.step(index, frames, task, later)
    inputs = {name: x.to(model.device) for name, x in {"index": index, "frames": frames, "task": task}.items()}
    return torch.no_grad()(lambda: stream._score(inputs)["task"].cpu())


def one_camera(model: VideoModel, prepared: dict[str, VideoModel], timer: Timer, rounds: int) -> None:
    device, task = str(model.device), torch.zeros(1, dtype=torch.int64)
    window, video = random_frames(1, model.context, device=device), random_frames(1, TRAJECTORY, device=device)
    codes = model.tokenizer.encode(window)
    runs: dict[str, tuple[Callable[[], object], int]] = {
        "window": (lambda: model.log_probs(window, task), 1),
        "window, codes cached": (
            lambda: (
                model.tokenizer.encode(window[:, -1:]),
                model.code_log_probs(model.code_model, codes, task.to(device)),
            ),
            1,
        ),
    }
    for precision, fast in prepared.items():
        runs[f"trajectory {precision}"] = (partial(fast.log_probs, video, task), 1)
        runs[f"stream {precision}"] = (camera_step(fast, 1), 8)
    for precision, fast in prepared.items() if device != "cpu" else ():
        runs[f"stream {precision}, no CUDA graph"] = (camera_step(fast, 1, graphed=False), 8)
    medians = timer.medians(runs, rounds)
    for precision in prepared:
        medians[f"trajectory {precision}"] /= TRAJECTORY
    print("\none camera, ms a frame                  times the window's speed   … with its codes cached")
    for name, seconds in medians.items():
        ratios = medians["window"] / seconds, medians["window, codes cached"] / seconds
        print(f"  {name:32} {1e3 * seconds:8.1f} {ratios[0]:12.1f} {ratios[1]:22.1f}")
    if device == "cpu":
        best = 1e3 * min(medians[f"stream {precision}"] for precision in prepared)
        print(f"  the fastest stream takes {best:.1f} ms of the {FRAME_BUDGET_MS:.0f} ms wished for")


def many_cameras(prepared: dict[str, VideoModel], timer: Timer, rounds: int, numbers: list[int]) -> None:
    runs: dict[str, tuple[Callable[[], object], int]] = {}
    for precision, fast in prepared.items():
        for cameras in numbers:
            runs[f"{cameras:3} cameras, {precision}"] = (camera_step(fast, cameras), 1)
            if fast.device.type == "cuda":
                runs[f"{cameras:3} cameras, {precision}, no CUDA graph"] = (
                    camera_step(fast, cameras, graphed=False),
                    1,
                )
    print("\nseveral cameras in one batch             ms a batch   frames/s")
    for name, seconds in timer.medians(runs, rounds).items():
        print(f"  {name:36} {1e3 * seconds:11.1f} {int(name.split()[0]) / seconds:10.1f}")


class RoundedEncoder(nn.Module):
    """An encoder computed in bfloat16."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(encoder).to(torch.bfloat16)

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(x.to(torch.bfloat16)).float()


def precision_error(folder: Path, videos: list[Path], device: str) -> None:
    """Print what lower precision changes of the likelihood of every frame of `videos`."""
    exact = VideoModel.load(folder, device)
    lower, rounded = copy.deepcopy(exact), copy.deepcopy(exact)
    assert isinstance(rounded.tokenizer, VQGAN), "this compares encoders, which other tokenizers than vqgan lack"
    rounded.tokenizer.encoder = RoundedEncoder(rounded.tokenizer.encoder)  # type: ignore[assignment]
    lower.prepare_for_inference("bfloat16")
    rounded.prepare_for_inference("bfloat16")
    clips = [torch.from_numpy(resize(read_recording(video).frames, exact.image_size))[None] for video in videos]
    task = torch.zeros(1, dtype=torch.int64)

    def likelihood(model: VideoModel) -> Tensor:
        return torch.cat([conditional(model.log_probs(clip, task).task[0]).cpu() for clip in clips])

    truth = likelihood(exact)
    print(
        f"\n{len(truth)} frames of {len(videos)} videos: exact likelihood {truth.mean():.2f} ± {truth.std():.2f} nats"
    )
    for name, model in (("transformer", lower), ("transformer and encoder", rounded)):
        difference = likelihood(model) - truth
        print(
            f"  bfloat16 {name:24}: changes a frame by {difference.abs().mean():.4f} nats in the mean, "
            f"{difference.abs().max():.3f} at most, bias {difference.mean():+.4f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--tokenizer", choices=tuple(TOKENIZERS), default="vqgan")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clock", choices=tuple(CLOCKS), default="wall")
    parser.add_argument("--cameras", type=int, nargs="+", help="sizes of the batches of several cameras")
    parser.add_argument(
        "--model", type=Path, help="folder of a trained model with a VQ-GAN: measure what lower precision changes"
    )
    parser.add_argument("--videos", type=Path, nargs="+", default=[], help="videos for --model")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no CUDA GPU here")
    torch.set_num_threads(arguments.threads)
    if arguments.model:
        precision_error(arguments.model, arguments.videos, arguments.device)
        return
    torch.manual_seed(0)
    model = VideoModel(size_config("dmc", arguments.tokenizer), ("task",)).to(arguments.device)
    prepared = {precision: copy.deepcopy(model) for precision in PRECISIONS}
    for precision, fast in prepared.items():
        fast.prepare_for_inference(precision)
    timer = Timer(arguments.clock, arguments.device)
    where = device_name(arguments.device)
    print(f"{where}, torch {torch.__version__}, {arguments.clock} time, medians of {arguments.rounds} rounds")
    one_camera(model, prepared, timer, arguments.rounds)
    many_cameras(
        prepared, timer, arguments.rounds, arguments.cameras or ([1, 64] if arguments.device == "cuda" else [1, 4, 16])
    )


if __name__ == "__main__":
    main()
