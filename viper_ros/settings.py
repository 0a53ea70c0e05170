"""The parameter files in config/: one a simulator, read alike by `viper` and by `ros2 launch`."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import yaml

from viper_ros.node import NodeError

SECTIONS = ("record", "fit", "sim_node", "reward_node", "policy_node")


def config_directory() -> Path:
    """Where config/ is: in the source tree, or in the installed package's share."""
    beside = Path(__file__).resolve().parent.parent / "config"
    if beside.is_dir():
        return beside
    from ament_index_python.packages import get_package_share_directory

    return Path(get_package_share_directory("viper_ros")) / "config"


def load(sim: str) -> dict[str, dict[str, Any]]:
    """The settings of a simulator, by section. Raises NodeError for an unknown simulator and an unreadable file."""
    path = config_directory() / f"{sim}.yaml"
    known = sorted(file.stem for file in path.parent.glob("*.yaml"))
    if sim not in known:
        near = difflib.get_close_matches(sim, known, cutoff=0.4) or known
        raise NodeError(f"no simulator '{sim}': did you mean {' or '.join(near)}?")
    return parse(path)


def parse(path: Path) -> dict[str, dict[str, Any]]:
    """A ROS 2 parameter file by section, a node's name without its namespace. Raises NodeError."""
    try:
        document = yaml.safe_load(path.read_text())
        sections = {key.rpartition("/")[2]: dict(value["ros__parameters"]) for key, value in document.items()}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, KeyError, AttributeError, ValueError) as error:
        raise NodeError(f"{path} is not a ROS 2 parameter file: {error}") from error
    return {section: sections.get(section, {}) for section in SECTIONS}
