import errno
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from tests.viper_model.agents.examples import make_step
from viper_model.agents.replay import Replay
from viper_model.errors import ModelError


def open_replay(directory, capacity=1000, chunk_steps=8):
    return Replay(directory, capacity, image_size=16, action_size=2, chunk_steps=chunk_steps)


def fill(replay, values, stream="env_0", episode=5):
    """A step for each value; an episode ends with every `episode`th."""
    for value in values:
        replay.append(stream, make_step(value, is_first=value % episode == 0, is_last=value % episode == episode - 1))


def everything(replay):
    """The values of the steps of the only stream, in order."""
    return replay.sample(1, len(replay), np.random.default_rng(0))["reward"][0].astype(int).tolist()


def test_what_was_stored_comes_back_after_reopening(tmp_path):
    fill(open_replay(tmp_path), range(20))
    replay = open_replay(tmp_path)
    batch = replay.sample(1, 20, np.random.default_rng(0))
    assert batch["reward"][0].tolist() == list(range(20))
    assert batch["log_likelihood"][0].tolist() == [-v for v in range(20)]
    assert batch["image"][0, :, 3, 4, 1].tolist() == list(range(20))
    assert batch["is_first"][0].tolist() == [v % 5 == 0 for v in range(20)]
    assert batch["is_last"][0].tolist() == [v % 5 == 4 for v in range(20)]
    assert {name: array.dtype for name, array in batch.items()} == {
        "image": np.uint8,
        "action": np.float32,
        "stamp": np.int64,
        "reward": np.float32,
        "log_likelihood": np.float32,
        "is_first": bool,
        "is_last": bool,
        "is_terminal": bool,
    }


def test_a_stream_goes_on_after_reopening(tmp_path):
    fill(open_replay(tmp_path), range(10))
    fill(open_replay(tmp_path), range(10, 20))
    replay = open_replay(tmp_path)
    assert everything(replay) == list(range(20))
    assert replay.total == 20


def test_the_newest_step_of_a_stream_is_known_after_reopening(tmp_path):
    replay = open_replay(tmp_path)
    assert replay.newest("env_0") is None
    fill(replay, range(10))
    fill(replay, range(100, 105), stream="env_1")
    for opened in (replay, open_replay(tmp_path)):
        stamp, action = opened.newest("env_0")
        assert stamp == 1009
        assert action.tolist() == [0.5, 0.5]


def test_every_window_is_as_likely_newest_steps_and_episode_ends_included(tmp_path):
    replay = open_replay(tmp_path)
    fill(replay, range(13), "a")
    fill(replay, range(100, 107), "b")
    assert replay.windows(4) == 10 + 4
    starts = replay.sample(7000, 4, np.random.default_rng(0))["reward"]
    assert (np.diff(starts, axis=1) == 1).all()  # consecutive steps of one stream
    found, counts = np.unique(starts[:, 0], return_counts=True)
    assert found.tolist() == [*range(10), *range(100, 104)]
    # 500 of each expected; five standard deviations
    assert abs(counts - 500).max() < 5 * 500**0.5


def test_the_oldest_is_dropped_with_its_files(tmp_path):
    replay = open_replay(tmp_path, capacity=40)
    fill(replay, range(200))
    assert 40 <= len(replay) <= 40 + 8
    assert everything(replay) == list(range(200 - len(replay), 200))
    assert replay.total == 200
    assert len(list(tmp_path.iterdir())) == -(-len(replay) // 8)
    assert everything(open_replay(tmp_path, capacity=40)) == everything(replay)


def test_a_stream_that_stands_still_keeps_no_others_from_being_dropped(tmp_path):
    replay = open_replay(tmp_path, capacity=40)
    fill(replay, range(1), stream="env_1")
    fill(replay, range(200))
    assert len(replay) <= 40 + 8


def test_a_smaller_capacity_drops_on_opening(tmp_path):
    fill(open_replay(tmp_path), range(80))
    assert everything(open_replay(tmp_path, capacity=16)) == list(range(64, 80))
    assert len(list(tmp_path.iterdir())) == 2


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.viper_model.agents.examples import make_step
from viper_model.agents.replay import Replay
replay = Replay(Path({directory!r}), 100000, 16, 2, chunk_steps=8)
value = 0
while True:
    replay.append("env_0", make_step(value))
    value += 1
    if value % 100 == 0:
        print(value, flush=True)
"""


def test_a_kill_loses_at_most_the_unfinished_chunk(tmp_path):
    program = KILLED.format(root=os.getcwd(), directory=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    for _ in range(3):
        stored = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.wait()
    replay = open_replay(tmp_path, capacity=100_000)
    assert not replay.skipped
    assert len(replay) > stored - 8
    # a reward is the step's number: nothing is missing, doubled or out of order
    assert everything(replay) == list(range(len(replay)))


def test_a_broken_chunk_is_named_and_skipped_and_what_follows_begins_anew(tmp_path):
    fill(open_replay(tmp_path), range(40), episode=100)
    files = sorted(tmp_path.iterdir())
    files[1].write_bytes(files[1].read_bytes()[:1000])
    replay = open_replay(tmp_path)
    assert everything(replay) == [*range(8), *range(16, 40)]
    firsts = replay.sample(1, 32, np.random.default_rng(0))["is_first"][0]
    assert np.flatnonzero(firsts).tolist() == [0, 8]
    assert len(replay.skipped) == 1
    assert str(files[1]) in replay.skipped[0]


def test_foreign_files_are_named_and_skipped_and_left_alone(tmp_path):
    fill(open_replay(tmp_path), range(8))
    np.savez(tmp_path / "00000007.npz", image=np.zeros(3))
    np.savez(tmp_path / "holiday.npz", image=np.zeros(3))
    np.save((tmp_path / "00000008.npz").open("wb"), np.array([{"code": 1}]), allow_pickle=True)
    (tmp_path / "00000009.npz").write_text("not an archive")
    fill(Replay(tmp_path / "other", 100, 32, 2), [])
    replay = open_replay(tmp_path)
    assert everything(replay) == list(range(8))
    assert len(replay.skipped) == 4
    fill(replay, range(8, 20))
    assert (tmp_path / "00000009.npz").read_text() == "not an archive"


def test_experience_of_another_image_size_is_skipped(tmp_path):
    fill(open_replay(tmp_path), range(8))
    replay = Replay(tmp_path, 1000, image_size=32, action_size=2)
    assert len(replay) == 0
    assert "image" in replay.skipped[0]


def test_the_first_step_after_reopening_has_no_past(tmp_path):
    fill(open_replay(tmp_path), range(8), episode=100)
    replay = open_replay(tmp_path)
    replay.append("env_0", make_step(8))
    assert replay.sample(1, 9, np.random.default_rng(0))["is_first"][0].tolist() == [True] + [False] * 7 + [True]


def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path, monkeypatch):
    replay = open_replay(tmp_path)
    fill(replay, range(7), episode=100)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ModelError, match="disk is full"):
        fill(replay, [7], episode=100)
    fill(replay, range(8, 15), episode=100)
    monkeypatch.undo()
    fill(replay, [15], episode=100)
    assert everything(replay) == list(range(16))
    assert everything(open_replay(tmp_path)) == list(range(16))


@pytest.mark.parametrize(
    "changed",
    [
        {"image": np.zeros((8, 8, 3), np.uint8)},
        {"image": np.zeros((16, 16, 3), np.float32)},
        {"action": np.zeros(3, np.float32)},
        {"action": np.array([0, np.nan], np.float32)},
        {"reward": np.inf},
    ],
)
def test_steps_that_cannot_be_learned_from_are_refused(tmp_path, changed):
    replay = open_replay(tmp_path)
    with pytest.raises(ModelError, match=next(iter(changed))):
        replay.append("env_0", make_step(1, **changed))
    assert len(replay) == 0


def test_sampling_before_there_is_enough_is_refused(tmp_path):
    replay = open_replay(tmp_path)
    fill(replay, range(3))
    with pytest.raises(ModelError, match="collect more"):
        replay.sample(1, 4, np.random.default_rng(0))


def test_several_threads_may_append_and_sample(tmp_path):
    replay = open_replay(tmp_path, capacity=100)
    fill(replay, range(10), "0")
    threads = [threading.Thread(target=fill, args=(replay, range(10, 300), str(i))) for i in range(3)]
    for thread in threads:
        thread.start()
    rng = np.random.default_rng(0)
    while any(thread.is_alive() for thread in threads):
        values = replay.sample(8, 5, rng)["reward"]
        assert (np.diff(values, axis=1) == 1).all()
    assert replay.total == 10 + 3 * 290
