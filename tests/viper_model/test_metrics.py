"""What a training logs, read back by TensorBoard's own reader."""

import json
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from viper_model.errors import ModelError
from viper_model.metrics import MetricsLog, read_records


def shown(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Step and value of what TensorBoard shows of a folder, by name."""
    events = EventAccumulator(str(folder))
    events.Reload()
    return {name: [(each.step, each.value) for each in events.Scalars(name)] for name in events.Tags()["scalars"]}


def test_tensorboard_shows_what_it_was_given(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "run")
    log.write(20, train_return=1.5, time=3.0)
    log.show(20, {"train_return": 1.5, "updates": 3})
    log.show(40, {"train_return": 2.5})
    assert shown(tmp_path / "run") == {"train_return": [(20, 1.5), (40, 2.5)], "updates": [(20, 3.0)]}
    assert json.loads((tmp_path / "run" / "metrics.jsonl").read_text()) == {
        "step": 20,
        "train_return": 1.5,
        "time": 3.0,
    }


def test_what_is_logged_after_the_checkpoint_is_logged_again_and_shown_once(tmp_path: Path) -> None:
    before = MetricsLog(tmp_path)
    for step in (20, 40, 60):
        before.write(step, loss=-1.0)
        before.show(step, {"loss": -1.0})
    again = MetricsLog(tmp_path, after=20)
    for step in (40, 60):
        again.write(step, loss=1.0)
        again.show(step, {"loss": 1.0})
    assert shown(tmp_path) == {"loss": [(20, -1.0), (40, 1.0), (60, 1.0)]}
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in lines] == [(20, -1.0), (40, 1.0), (60, 1.0)]


@pytest.mark.parametrize("half", ['{"step": 40, "lo', '{"step": 40}'])
def test_a_line_that_a_killed_process_cut_short_is_dropped(half: str, tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 20}\n' + half)
    MetricsLog(tmp_path).write(60)
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 20}\n{"step": 60}\n'
    assert not shown(tmp_path)


def test_a_full_disk_is_told_in_one_line(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path)
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(ModelError, match=r"metrics\.jsonl: the disk is full"):
        log.write(1, loss=0.0)


DAMAGED = [
    b"123",
    b"[]",
    b"{}",
    b'{"step": "x"}',
    b'{"step": 40.5}',
    b'{"step": NaN}',
    b'{"step": 40, "lo',
    b"\xff\x00",
    b"[" * 3000,
    b"",
]


@pytest.mark.parametrize("line", DAMAGED)
def test_a_damaged_line_is_told_by_its_number_and_nothing_is_changed(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    content = b'{"step": 20}\n' + line + b'\n{"step": 60}\n'
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"metrics\.jsonl, line 2, is damaged") as raised:
        MetricsLog(tmp_path, after=20)
    assert "\n" not in str(raised.value)
    with pytest.raises(ModelError, match="line 2"):
        read_records(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("line", DAMAGED)
def test_what_a_line_that_is_being_written_says_is_not_read(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 20, "loss": 0.5}\n' + line)
    assert read_records(path) == [{"step": 20, "loss": 0.5}]


def test_a_log_that_can_not_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(ModelError, match=r"cannot read .*metrics\.jsonl: Is a directory"):
        MetricsLog(tmp_path)
