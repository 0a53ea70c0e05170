"""A run's directory: who may write to it, what it was started with, and what happened so far."""

from __future__ import annotations

import fcntl
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from viper_lab.errors import UserError
from viper_model.files import replace_file


class Run:
    """Owns a run's directory from construction to `close`: config.yaml, metrics.jsonl, episodes/.

    `identity` is what makes the run what it is (the task, the model, …). Raises UserError where another process owns
    the directory, where it was started with another identity, and where it can't be written.
    """

    def __init__(self, directory: Path, identity: Mapping[str, Any]) -> None:
        self.directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = open(directory / ".lock", "w")  # noqa: SIM115
        except OSError as error:
            raise UserError(f"can't write to {directory}: {error.strerror}; choose another directory") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(f"{directory} is in use by another run: stop that one or choose another name:=") from error
        self._check_identity(dict(identity))
        self._metrics = directory / "metrics.jsonl"
        self._mend_metrics()

    def log(self, step: int, **values: Any) -> None:
        """Append a line to metrics.jsonl: `step` environment steps were collected when `values` were so."""
        try:
            with open(self._metrics, "a") as file:
                file.write(json.dumps({"step": step, **values}) + "\n")
        except OSError as error:
            raise UserError(f"can't write {self._metrics}: {error.strerror}; make room and start again") from error

    def save_episode(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep an episode as episodes/<name>.npz."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        replace_file(self.directory / "episodes" / f"{name}.npz", buffer.getvalue())

    def close(self) -> None:
        self._lock.close()

    def _check_identity(self, identity: dict[str, Any]) -> None:
        path = self.directory / "config.yaml"
        if not path.exists():
            replace_file(path, yaml.safe_dump(identity, sort_keys=False).encode())
            return
        try:
            before = yaml.safe_load(path.read_text())
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UserError(
                f"{path} can't be read: {error}; choose another name:= or remove {self.directory}"
            ) from error
        if isinstance(before, dict):
            before = {"agent": "dreamer", **before}  # what runs were before there was a choice
        for key, value in identity.items():
            if not isinstance(before, dict) or before.get(key) != value:
                was = before.get(key) if isinstance(before, dict) else None
                raise UserError(
                    f"{self.directory} was started with {key} {was!r}, not {value!r}: "
                    f"choose another name:= or remove the directory"
                )

    def _mend_metrics(self) -> None:
        """Drop the half line that a killed process may have left."""
        if self._metrics.exists():
            content = self._metrics.read_bytes()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                os.truncate(self._metrics, whole)


def read_metrics(directory: Path) -> list[dict[str, Any]]:
    """The records of a run's metrics.jsonl, in order. Raises UserError where there are none."""
    path = directory / "metrics.jsonl"
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise UserError(f"no run in {directory}: {path.name} is missing") from error
    records = []
    for line in lines:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue  # The half line of a process that is writing or was killed.
    if not records:
        raise UserError(f"nothing has happened yet in {directory}")
    return records
