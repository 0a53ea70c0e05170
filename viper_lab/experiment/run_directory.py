"""A run's directory: who may write to it, what it was started with, and what happened so far."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from viper_lab.errors import UserError
from viper_lab.experiment.provenance import difference
from viper_lab.results.run_files import CONFIG, EPISODES, read_config
from viper_model.files import locked, replace_file
from viper_model.metrics import MetricsLog


class RunDirectory:
    """Owns a run's directory from construction to `close`: config.yaml, metrics.jsonl and TensorBoard's
    event files, episodes/.

    `config` is all that made the run, see `provenance.run_config`. Raises UserError where another process owns the
    directory, where it was started with another value of one of the keys in `provenance.IDENTITY`, and where it can't
    be written; ModelError where its metrics.jsonl is damaged.
    """

    def __init__(self, directory: Path, config: Mapping[str, Any]) -> None:
        self.directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"can't write to {directory}: {error.strerror}; choose another directory") from error
        with ExitStack() as lock:
            lock.enter_context(locked(directory / ".lock", self._refuse))
            self._begin_or_go_on(dict(config))
            self._lock = lock.pop_all()
        self._metrics = MetricsLog(directory)

    def log(self, step: int, **values: Any) -> None:
        """Append a line to metrics.jsonl: `step` environment steps were collected when `values` were so."""
        self._metrics.write(step, **values)

    def show(self, step: int, **scalars: float) -> None:
        """Show these in TensorBoard."""
        self._metrics.show(step, scalars)

    def save_episode(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep an episode as episodes/<name>.npz."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        replace_file(self.directory / EPISODES / f"{name}.npz", buffer.getvalue())

    def close(self) -> None:
        self._lock.close()

    def _refuse(self) -> None:
        raise UserError(f"{self.directory} is in use by another run: stop that one or choose another name:=")

    def _begin_or_go_on(self, config: dict[str, Any]) -> None:
        path = self.directory / CONFIG
        if path.exists():
            try:
                before = read_config(self.directory)
            except UserError as error:
                raise UserError(f"{error}; or choose another name:= or remove {self.directory}") from error
            if what := difference(before, config):
                raise UserError(
                    f"{self.directory} was started with {what}: choose another name:= or remove the directory"
                )
        replace_file(path, yaml.safe_dump(config, sort_keys=False).encode())
