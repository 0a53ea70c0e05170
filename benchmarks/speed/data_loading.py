"""How long reading videos takes, by format, and for what share of its time training waits for data.

    .venv/bin/in_ros python -m benchmarks.speed.data_loading [--seconds 60] [--videos 12] [--frames 300]

First, videos of 640×480 at 30 Hz are decoded from each format: seconds for 1,000 frames on all cores, the files in the
page cache. Then a model of size tiny trains on them: the share of the time that goes to reading frames (the VQ-GAN's
stage) and codes (the code model's); the rest is the model's own work.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from rosbags.rosbag2 import StoragePlugin

from tests.viper_model.videos.writers import write_bag, write_lerobot_2, write_lerobot_3, write_mp4, write_npz
from viper_model.video_model.fit.assembly import EncodedFrames
from viper_model.video_model.fit.sampler import ClipSampler
from viper_model.video_model.fit.schedule import SCHEDULES
from viper_model.video_model.fit.stages import CodeModelStage, Stage, VQGANStage
from viper_model.video_model.sizes import size_config
from viper_model.video_model.tokenizers.vqgan import VQGAN
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.cache import FOLDER
from viper_model.videos.dataset import FrameSet, Video, load_dataset
from viper_model.videos.find import EXPERT

RATE = 30.0
TINY = size_config("tiny", "vqgan")
SCHEDULE = SCHEDULES["tiny"]


def video(seed: int, frames: int) -> np.ndarray:
    """A square that moves over blocks of colour, as compressible as a camera's picture: uint8 [frames, 480, 640, 3]."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (30, 40, 3), np.uint8)
    ground = small.repeat(16, 0).repeat(16, 1)
    video = np.broadcast_to(ground, (frames, *ground.shape)).copy()
    for t in range(frames):
        left, top = 4 * t % 560, 2 * t % 400
        video[t, top : top + 80, left : left + 80] = 255 - ground[top : top + 80, left : left + 80]
    return video


def writers(videos: list[np.ndarray]) -> dict[str, Callable[[Path], None]]:
    """By format, a function that writes `videos` into a data folder."""

    def each(write: Callable[[Path, np.ndarray], None], ending: str = "") -> Callable[[Path], None]:
        def write_all(root: Path) -> None:
            for i, video in enumerate(videos):
                write(root / "push" / f"{i}{ending}", video)

        return write_all

    episodes = [("push", video) for video in videos]
    jpeg = ("/camera/compressed",)
    return {
        "mp4": each(lambda path, video: write_mp4(path, video, RATE), ".mp4"),
        "npz": each(write_npz, ".npz"),
        "rosbag2 sqlite3, raw": each(lambda path, video: write_bag(path, video, RATE, storage=StoragePlugin.SQLITE3)),
        "rosbag2 mcap, jpeg": each(lambda path, video: write_bag(path, video, RATE, topics=jpeg)),
        "lerobot 2.1": lambda root: write_lerobot_2(root, episodes, RATE),
        "lerobot 3.0": lambda root: write_lerobot_3(root, episodes, RATE),
    }


def time_decoding(root: Path) -> float:
    """Seconds for 1,000 frames, the start of the processes that decode included."""
    shutil.rmtree(root / FOLDER, ignore_errors=True)
    begin = time.perf_counter()
    videos = load_dataset(root, TINY.tokenizer.image_size).videos
    return (time.perf_counter() - begin) / sum(len(video.frames) for video in videos) * 1000


class Timed:
    """Stands for what training reads from, and adds up the seconds that reading takes."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self.seconds = 0.0

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: Any) -> Any:
        begin = time.perf_counter()
        data = self.source[index]
        self.seconds += time.perf_counter() - begin
        return data


def waiting_shares(root: Path, seconds: float) -> tuple[float, float]:
    """Shares of the time of training steps that reading takes: of the VQ-GAN's, of the code model's. 0 to 1."""
    torch.manual_seed(0)
    dataset = load_dataset(root, TINY.tokenizer.image_size)
    fabric = Fabric(accelerator="cpu", devices=1)
    model = VideoModel(TINY, dataset.tasks)
    assert isinstance(model.tokenizer, VQGAN)
    trained_on, held_out = (dataset.select(EXPERT, held_out=each) for each in (False, True))
    frames = Timed(FrameSet(trained_on))
    vqgan = VQGANStage(fabric, model.tokenizer, SCHEDULE.tokenizer, frames, FrameSet(held_out))  # type: ignore[arg-type]
    vqgan_share = waiting_share(vqgan, frames, seconds)
    codes, held_out_codes = EncodedFrames(model, trained_on, held_out)()
    timed_codes: Any = Timed(codes)
    code_model = CodeModelStage(
        "code_model",
        fabric,
        model.code_model,
        SCHEDULE.code_model,
        SCHEDULE.code_model.steps,
        sampler(model, trained_on),
        sampler(model, held_out),
        lambda: (timed_codes, held_out_codes),
    )
    return vqgan_share, waiting_share(code_model, timed_codes, seconds)


def sampler(model: VideoModel, videos: list[Video]) -> ClipSampler:
    lengths, tasks = [len(video.frames) for video in videos], [model.task_index(video.task) for video in videos]
    return ClipSampler(lengths, tasks, SCHEDULE.code_model.clip_frames, model.frame_skip)


def waiting_share(stage: Stage, source: Timed, seconds: float) -> float:
    """The share of a stage's time that reading from `source` takes."""
    stage.step(0)
    source.seconds = 0.0
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds:
        stage.step(0)
    return source.seconds / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="of training, for each of both stages")
    parser.add_argument("--videos", type=int, default=12)
    parser.add_argument("--frames", type=int, default=300, help="of each video")
    arguments = parser.parse_args()
    videos = [video(seed, arguments.frames) for seed in range(arguments.videos)]
    print(f"{arguments.videos} videos of {arguments.frames} frames of 640×480 on {len(os.sched_getaffinity(0))} cores")
    with tempfile.TemporaryDirectory() as folder:
        for name, write in writers(videos).items():
            root = Path(folder) / name
            write(root)
            os.sync()  # Else the cache's own fsync waits for the videos to be on disk.
            print(f"{name}: {time_decoding(root):.2f} s for 1,000 frames", flush=True)
            if name != "mp4":
                shutil.rmtree(root)
        vqgan, code_model = waiting_shares(Path(folder) / "mp4", arguments.seconds)
    print(f"training waits for data: {vqgan:.2%} of the VQ-GAN's time, {code_model:.2%} of the code model's")


if __name__ == "__main__":
    main()
