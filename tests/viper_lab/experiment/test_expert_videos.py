"""What a discriminator compares with: the videos a model would learn from, as the environment shows them."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from tests.viper_lab.examples import DESCRIPTION
from tests.viper_model.videos.writers import write_npz
from viper_lab.errors import UserError
from viper_lab.experiment.expert_videos import ExpertVideos, load_expert_videos
from viper_model.errors import ModelError
from viper_model.videos.dataset import _map

SIDE = 32
ENVIRONMENT = dataclasses.replace(DESCRIPTION, image_size=(SIDE, SIDE))
OTHER = "pendulum_swingup"


def write(data: Path, task: str, behaviour: str, count: int, level: int, time: int = 20, side: int = SIDE) -> None:
    """Videos that are all of one grey."""
    for number in range(count):
        write_npz(data / task / behaviour / f"{number}.npz", np.full((time, side, side, 3), level, np.uint8))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write(tmp_path, ENVIRONMENT.task, "expert", 5, 10)
    write(tmp_path, ENVIRONMENT.task, "random", 2, 20)
    write(tmp_path, OTHER, "expert", 3, 30)
    return tmp_path


def levels(videos: ExpertVideos) -> list[int]:
    return sorted(int(video[0, 0, 0, 0]) for video in videos.frames)


def test_single_task_takes_the_task_s_experts_and_multi_task_all_tasks(data: Path) -> None:
    one = load_expert_videos(data, ENVIRONMENT, all_tasks=False, image_size=16)
    assert levels(one) == 4 * [10]  # one is held out
    assert all(video.shape == (20, 16, 16, 3) for video in one.frames)
    every = load_expert_videos(data, ENVIRONMENT, all_tasks=True, image_size=16)
    assert levels(every) == 4 * [10] + 2 * [30]
    assert every.document() == {
        "tasks": [ENVIRONMENT.task, OTHER],
        "videos": 6,
        "sha256": every.document()["sha256"],
    }
    assert one.document()["tasks"] == [ENVIRONMENT.task]


def test_videos_hold_no_files_open(data: Path) -> None:
    """A process may have only so many: 1024, as systems are set up."""
    _map.cache_clear()
    before = len(os.listdir("/proc/self/fd"))
    loaded = load_expert_videos(data, ENVIRONMENT, all_tasks=True, image_size=16)
    assert sum(len(video) for video in loaded.frames) == 120
    _map.cache_clear()  # which keeps the last 256
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_same_videos_are_told_from_others(data: Path) -> None:
    def sha256() -> str:
        return str(load_expert_videos(data, ENVIRONMENT, all_tasks=True, image_size=16).document()["sha256"])

    before = sha256()
    assert sha256() == before
    write(data, OTHER, "noisy", 2, 50)
    assert sha256() == before  # nothing learns from those
    write(data, OTHER, "expert", 3, 31)
    assert sha256() != before


def test_videos_that_are_missing_short_or_give_themselves_away_are_refused(data: Path) -> None:
    def load(task: str = ENVIRONMENT.task, all_tasks: bool = False) -> None:
        load_expert_videos(data, dataclasses.replace(ENVIRONMENT, task=task), all_tasks, image_size=16)

    with pytest.raises(ModelError, match="put two expert videos or more of 'walker_walk'"):
        load("walker_walk")
    with pytest.raises(UserError, match="no expert videos of walker_walk"):
        load("walker_walk", all_tasks=True)
    write(data, "short", "expert", 2, 10, time=4)
    with pytest.raises(ModelError, match="it has 4 frames"):
        load("short")
    write(data, "large", "expert", 2, 10, side=48)
    with pytest.raises(UserError, match="48×48 pixels, the environment's frames are 32×32"):
        load("large")
    (data / "videos.yaml").write_text("rate: 10\nrecorded_rate: 10")
    with pytest.raises(UserError, match="sets a rate"):
        load()
    (data / "videos.yaml").write_text("crop: {top: 0, left: 0, height: 16, width: 16}")
    with pytest.raises(UserError, match="crops or masks"):
        load()
