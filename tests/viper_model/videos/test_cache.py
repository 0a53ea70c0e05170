"""Decoded videos on the disk: made once, for exactly what they were made from, whatever happens meanwhile."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from tests.viper_model.videos.writers import CAMERA, numbered, numbers, write_lerobot_3, write_mp4, write_npz
from viper_model.videos import cache as cache_module
from viper_model.videos.cache import FOLDER, cache_folder
from viper_model.videos.dataset import Dataset, FrameSet, load_dataset


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for index in range(4):
        write_mp4(tmp_path / "videos" / "push" / f"{index}.mp4", numbered(20 + index), 25)
    return tmp_path / "videos"


def made(dataset: Dataset) -> dict[str, int]:
    return {video.name: video.frames_file.stat().st_ino for video in dataset.videos}


def test_videos_are_decoded_once_and_again_when_what_made_them_changes(root: Path) -> None:
    first = made(load_dataset(root, 16))
    assert made(load_dataset(root, 16)) == first
    write_mp4(root / "push" / "0.mp4", numbered(30), 25)
    second = load_dataset(root, 16)
    changed = {name for name, inode in made(second).items() if inode != first[name]}
    assert changed == {"push/0.mp4"}
    assert len(second.videos[0].frames) == 30
    (root / "videos.yaml").write_text("crop: {top: 0, left: 0, height: 40, width: 40}")
    third = made(load_dataset(root, 16))
    assert not set(third.values()) & set(first.values())
    assert not set(made(load_dataset(root, 8)).values()) & set(third.values())
    (root / "videos.yaml").unlink()
    assert made(load_dataset(root, 16)) == made(second)


def test_what_the_meta_of_a_lerobot_dataset_says_is_heeded_when_it_changes(tmp_path: Path) -> None:
    write_lerobot_3(tmp_path, [("push", numbered(80))] * 3, 10)
    (tmp_path / "videos.yaml").write_text("rate: 5")
    first = made(load_dataset(tmp_path, 16))
    (rows,) = (tmp_path / "meta").rglob("file-000.parquet")
    table = pyarrow.parquet.read_table(rows).to_pylist()
    table[1]["length"] -= 1
    table[2][f"videos/{CAMERA}/from_timestamp"] -= 0.1
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(table), rows)
    second = made(load_dataset(tmp_path, 16))
    assert [first[name] == second[name] for name in sorted(first)] == [True, False, False]
    info = tmp_path / "meta" / "info.json"
    info.write_text(json.dumps({**json.loads(info.read_text()), "fps": 20}))
    assert {len(video.frames) for video in load_dataset(tmp_path, 16).videos} == {20}


def test_frames_can_not_be_changed(root: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        load_dataset(root, 16).videos[0].frames[0] = 0


def test_a_damaged_or_deleted_cache_is_made_again(root: Path) -> None:
    videos = load_dataset(root, 16).videos
    expected = [video.frames.tobytes() for video in videos]
    os.truncate(videos[0].frames_file, 1000)
    (videos[1].frames_file.parent / "video.json").write_text("{")
    shutil.rmtree(videos[2].frames_file.parent)
    os.truncate(videos[3].frames_file, 0)  # as a machine without power leaves it
    assert [np.load(video.frames_file).tobytes() for video in load_dataset(root, 16).videos] == expected
    shutil.rmtree(root / FOLDER)
    assert [np.load(video.frames_file).tobytes() for video in load_dataset(root, 16).videos] == expected


def test_several_processes_decode_what_one_does(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "push" / "bad.mp4").write_bytes(b"no video")
    alone = load_dataset(root, 16)
    expected = [(video.name, video.frames.tobytes()) for video in alone.videos]
    shutil.rmtree(root / FOLDER)
    monkeypatch.setattr(cache_module, "DECODE_IN_PROCESS_BYTES", 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    together = load_dataset(root, 16)
    assert [(video.name, np.load(video.frames_file).tobytes()) for video in together.videos] == expected
    assert together.skipped == alone.skipped


def test_a_process_that_dies_costs_no_video(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 128, 128, 3), np.uint8)
    for index in range(4):
        write_npz(root / "push" / f"{index}.npz", noise)
    monkeypatch.setattr(cache_module, "DECODE_IN_PROCESS_BYTES", 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    with ThreadPoolExecutor(1) as thread:
        loading = thread.submit(load_dataset, root, 32)
        while not list((root / FOLDER).glob("*.part")):
            assert not loading.done()
            os.sched_yield()
        multiprocessing.active_children()[0].kill()
        dataset = loading.result()
    assert dataset.skipped == {}
    assert len(dataset.videos) == 8


LOAD = """
    import sys
    from pathlib import Path
    from viper_model.videos.dataset import load_dataset
    print(sum(int(video.frames.sum()) for video in load_dataset(Path(sys.argv[1]), 32).videos))
"""


def start(root: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(LOAD), root],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


NO_FILE_ABOVE_10_KB = """
    import resource
    import sys
    from pathlib import Path
    from viper_model.videos.dataset import load_dataset
    from viper_model.errors import ModelError
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    try:
        load_dataset(Path(sys.argv[1]), 32)
    except ModelError as error:
        print(error)
"""


def test_a_disk_without_room_ends_in_one_line_and_leaves_nothing_half_done(root: Path) -> None:
    """A limit on the size of files stands for the full disk, in a process of its own because it holds for all files."""
    said = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(NO_FILE_ABOVE_10_KB), root], capture_output=True, text=True, check=True
    ).stdout
    assert "cannot keep decoded videos" in said
    assert said.count("\n") == 1
    assert [path.name for path in (root / FOLDER).iterdir()] == [".lock"]


def test_two_processes_at_once_and_a_killed_one(root: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 128, 128, 3), np.uint8)
    for index in range(4):
        write_npz(root / "push" / f"{index}.npz", noise + np.uint8(index))
    killed = start(root)
    while not list((root / FOLDER).glob("*.part")):
        assert killed.poll() is None
        os.sched_yield()
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    both = [start(root), start(root)]
    sums = {process.communicate(timeout=120)[0] for process in both}
    assert sums == {f"{sum(int(video.frames.sum()) for video in load_dataset(root, 32).videos)}\n"}
    assert not list((root / FOLDER).glob("*.part"))


def test_a_script_without_a_guard_is_told_and_does_not_wait_for_itself(root: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 128, 128, 3), np.uint8)
    for index in range(4):
        write_npz(root / "push" / f"{index}.npz", noise + np.uint8(index))
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from viper_model.videos.dataset import load_dataset\n"
        f"load_dataset(Path({str(root)!r}), 32)\n"
    )
    told = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert told.returncode == 1
    assert "begin below `if __name__ == '__main__':`" in told.stderr.splitlines()[-1]


def test_where_the_data_cant_be_written_the_users_cache_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / FOLDER).touch()  # No folder can be made of that name.
    assert cache_folder(tmp_path) == tmp_path / "cache" / "viper_ros"


def test_memory_does_not_grow_with_the_videos(tmp_path: Path) -> None:
    for index in range(2):
        write_npz(tmp_path / "push" / f"{index}.npz", np.zeros((6000, 96, 128, 3), np.uint8))  # 221 MB each
    tracemalloc.start()
    dataset = load_dataset(tmp_path, 32)
    frames = FrameSet(dataset.videos)
    rng = np.random.default_rng(0)
    for _ in range(10):
        frames[rng.integers(len(frames), size=64)]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(frames) == 12000
    assert most < 60 * 2**20  # a chunk as read, as an array, and small change


def test_frames_of_several_videos_are_numbered_through(root: Path) -> None:
    videos = load_dataset(root, 16).videos
    frames = FrameSet(videos)
    index = np.random.default_rng(0).permutation(len(frames))
    everything = np.concatenate([video.frames for video in videos])
    assert np.array_equal(frames[index], everything[index])
    assert numbers(frames[np.array([0, 20, 41])]) == [0, 0, 0]  # where videos of 20, 21, … frames begin
