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
from viper_model.video_model.fit.training import SCHEDULES, Training
from viper_model.video_model.video_model import SIZES, VideoModel
from viper_model.videos.cache import FOLDER
from viper_model.videos.dataset import load_dataset

RATE = 30.0
TINY = SIZES["tiny"]


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
    videos = load_dataset(root, TINY.vqgan.image_size).videos
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


def waiting_share(root: Path, folder: Path, seconds: float) -> tuple[float, float]:
    """Shares of the time of training steps that reading takes: of the VQ-GAN's, of the code model's. 0 to 1."""
    torch.manual_seed(0)
    dataset = load_dataset(root, TINY.vqgan.image_size)
    fabric = Fabric(accelerator="cpu", devices=1)
    training = Training(fabric, VideoModel(TINY, dataset.tasks), dataset, SCHEDULES["tiny"], 0, folder, {})
    frames = training.frames

    def share(step: Callable[[], object], source: Timed) -> float:
        step()
        source.seconds = 0.0
        begin = time.perf_counter()
        while time.perf_counter() - begin < seconds:
            step()
        return source.seconds / (time.perf_counter() - begin)

    timed_frames = Timed(frames)
    training.frames = timed_frames  # type: ignore[assignment]
    vqgan = share(training.vqgan_step, timed_frames)
    training.frames = frames
    training.step = training.schedule.vqgan_steps
    timed_codes = Timed(training.encode_frames())
    training.codes = timed_codes  # type: ignore[assignment]
    return vqgan, share(training.code_model_step, timed_codes)


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
        vqgan, code_model = waiting_share(Path(folder) / "mp4", Path(folder) / "model", arguments.seconds)
    print(f"training waits for data: {vqgan:.2%} of the VQ-GAN's time, {code_model:.2%} of the code model's")


if __name__ == "__main__":
    main()
