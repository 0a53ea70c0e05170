"""The parameter files in config/: one a simulator, read alike by `viper` and by `ros2 launch`."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import yaml

from viper_lab.config import config_directory
from viper_lab.errors import UserError
from viper_lab.experiment.sections import SECTIONS


def load(sim: str) -> dict[str, dict[str, Any]]:
    """The settings of a simulator, by section. Raises UserError for an unknown simulator and an unreadable file."""
    path = config_directory() / f"{sim}.yaml"
    known = sorted(file.stem for file in path.parent.glob("*.yaml"))
    if sim not in known:
        near = difflib.get_close_matches(sim, known, cutoff=0.4) or known
        raise UserError(f"no simulator '{sim}': did you mean {' or '.join(near)}?")
    return parse(path)


def parse(path: Path) -> dict[str, dict[str, Any]]:
    """A ROS 2 parameter file by section, a node's name without its namespace. Raises UserError."""
    try:
        document = yaml.safe_load(path.read_text())
        sections = {key.rpartition("/")[2]: dict(value["ros__parameters"]) for key, value in document.items()}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, KeyError, AttributeError, ValueError) as error:
        raise UserError(f"{path} is not a ROS 2 parameter file: {error}") from error
    return {section: sections.get(section, {}) for section in SECTIONS}
