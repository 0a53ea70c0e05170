"""What is done otherwise on a GPU, against a CPU."""

import copy
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.viper_model.conftest import MICRO, sliding_square
from viper_model.video_model.fit.training import fit
from viper_model.video_model.sizes import size_config
from viper_model.video_model.video_model import VideoModel

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")

NATS = 1e-4
"""Another order of the same sums in float32."""


@pytest.mark.parametrize(
    ("size", "tokenizer", "code_model"),
    sorted(
        set(product(("tiny", "dmc"), ("patches", "vqgan"), ("videogpt", "masked")))
        - {("dmc", "patches", "masked")}  # for which the CPU takes minutes
    ),
)
def test_a_stream_gives_on_a_gpu_what_a_cpu_gives(size: str, tokenizer: str, code_model: str) -> None:
    """Steps of one, two and three videos, in changing order, with resets: kernels one by one first, then graphs."""
    torch.manual_seed(0)
    on_cpu = VideoModel(size_config(size, tokenizer, code_model), ("walk", "run"), background=True)
    on_gpu = copy.deepcopy(on_cpu).to("cuda")
    streams, side = [model.stream(3, background=True) for model in (on_cpu, on_gpu)], on_cpu.image_size
    begun: set[int] = set()
    for step in range(20):
        index = torch.randperm(3)[: step % 3 + 1]
        is_first = torch.tensor([video not in begun or step in (7, 15) for video in index.tolist()])
        begun |= set(index.tolist())
        frames, task = torch.randint(0, 256, (len(index), side, side, 3), dtype=torch.uint8), index % 2
        there, here = (stream.step(index, frames, task, is_first) for stream in streams)
        torch.testing.assert_close(here.task, there.task, atol=NATS, rtol=0)
        torch.testing.assert_close(here.background, there.background, atol=NATS, rtol=0)


def test_what_a_stream_gave_is_not_overwritten_by_its_next_step() -> None:
    model = VideoModel(MICRO, ("walk",)).to("cuda")
    stream, frames = model.stream(1), torch.randint(0, 256, (12, 1, 16, 16, 3), dtype=torch.uint8)
    index, task = torch.arange(1), torch.zeros(1, dtype=torch.int64)
    given = [stream.step(index, frame, task, torch.tensor([step == 0])).task for step, frame in enumerate(frames)]
    whole = model.log_probs(frames.transpose(0, 1), task).task.cpu()
    torch.testing.assert_close(torch.stack(given, 1), whole, atol=NATS, rtol=0)


@pytest.mark.usefixtures("micro")
@pytest.mark.parametrize("tokenizer", ["patches", "vqgan"])
def test_a_model_is_trained_on_a_gpu(videos: Path, tmp_path: Path, tokenizer: str) -> None:
    """Of the VQ-GAN the discriminator included."""
    model = fit(videos, tmp_path / "model", "micro", tokenizer=tokenizer, device="cuda")
    rng, task = np.random.default_rng(9), torch.zeros(1, dtype=torch.int64)
    slide, jumps = sliding_square(rng, 20), sliding_square(rng, 20, rng.permutation(20))
    likely, unlikely = (model.log_probs(torch.from_numpy(video)[None], task).task.sum() for video in (slide, jumps))
    assert likely > unlikely
