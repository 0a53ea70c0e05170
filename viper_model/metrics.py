"""What a training logs: metrics.jsonl for programs, and TensorBoard's event files beside it for people."""

from __future__ import annotations

import json
import math
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from viper_model.errors import ModelError
from viper_model.files import replace_file, saving

METRICS = "metrics.jsonl"


def read_records(path: Path) -> list[dict[str, Any]]:
    """What a metrics.jsonl holds, a record a line, each with its `step`.

    The half line that a process which is writing, or was killed, leaves at the end is left out. Raises OSError, and
    ModelError with the number of any other line that is no record: without it, means would be of fewer episodes.
    """
    return [record for _, record in _lines(path.read_bytes(), path)]


class MetricsLog:
    """Appends to a folder's metrics.jsonl and to an event file of its own, where `tensorboard --logdir` finds it.

    The half line that a killed process may have left is dropped. `write` and `show` raise ModelError.
    """

    def __init__(self, folder: Path, after: int | None = None) -> None:
        """after: what was logged of later steps is dropped, for it will be logged again.

        Raises ModelError where the folder has a metrics.jsonl that can't be read, see `read_records`.
        """
        self._path = folder / METRICS
        self._events = folder / f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"
        self._after = after
        _keep(self._path, math.inf if after is None else after)

    def write(self, step: int, **values: Any) -> None:
        """Append a line to metrics.jsonl."""
        with self._appending(self._path, "a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")

    def show(self, step: int, scalars: Mapping[str, float]) -> None:
        """Show these in TensorBoard, by their names."""
        if not self._events.exists():
            self._record(file_version="brain.Event:2")
            if self._after is not None:
                self._record(step=self._after + 1, session_log=SessionLog(status=SessionLog.START))
        values = [Summary.Value(tag=name, simple_value=value) for name, value in scalars.items()]
        self._record(step=step, summary=Summary(value=values))

    def _record(self, **fields: Any) -> None:
        with self._appending(self._events, "ab") as file:
            RecordWriter(file).write(Event(wall_time=time.time(), **fields).SerializeToString())

    @staticmethod
    @contextmanager
    def _appending(path: Path, mode: str) -> Iterator[IO[Any]]:
        with saving(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, mode) as file:
                yield file


def _keep(path: Path, last: float) -> None:
    """Drop the lines of steps after `last`, and one that is cut short."""
    if not path.exists():
        return
    try:
        before = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    kept = [line for line, record in _lines(before, path) if line.endswith(b"\n") and record["step"] <= last]
    if (content := b"".join(kept)) != before:
        replace_file(path, content)


def _lines(content: bytes, path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    for number, line in enumerate(content.splitlines(keepends=True), 1):
        if record := _record(line):
            yield line, record
        elif line.endswith(b"\n"):
            raise ModelError(f"{path}, line {number}, is damaged: mend it, or remove it and its numbers are lost")


def _record(line: bytes) -> dict[str, Any]:
    """Empty where the line is no record."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) and type(record.get("step")) is int else {}
