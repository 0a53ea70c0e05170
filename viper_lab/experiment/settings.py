"""The parameter files in config/: one a simulator, read alike by `viper` and by `ros2 launch`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from viper_lab.config import config_directory
from viper_lab.errors import UserError, did_you_mean
from viper_lab.experiment.sections import SECTIONS
from viper_model.yaml_files import YamlError, read_yaml

OF_EVERY_NODE = ("use_sim_time", "autostart")
"""Parameters of nodes that are no settings of an experiment."""


def load(sim: str) -> dict[str, dict[str, Any]]:
    """The settings of a simulator, by section. Raises UserError for an unknown simulator and an unreadable file."""
    path = config_directory() / f"{sim}.yaml"
    known = sorted(file.stem for file in path.parent.glob("*.yaml"))
    if sim not in known:
        raise UserError(f"no simulator '{sim}': {did_you_mean(sim, known)}")
    return parse(path)


def parse(path: Path) -> dict[str, dict[str, Any]]:
    """A ROS 2 parameter file by section, a node's name without its namespace. Raises UserError."""
    sections = {key.rpartition("/")[2]: values for key, values in _parameters(path).items()}
    return {section: sections.get(section, {}) for section in SECTIONS}


def of_graph(path: Path, nodes: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
    """What a user's ROS 2 parameter file says of a graph, by section; OF_EVERY_NODE may be among it.

    nodes: by section, the full names of the nodes that have its settings. As in ROS, `*` stands for one name and `**`
    for any number of them. What is said of other nodes is passed over.
    Raises UserError where the file can't be read, where a section's name is in another namespace than its nodes, and
    where something is said of some of a section's nodes only.
    """
    said: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for key, values in _parameters(path).items():
        pattern = re.compile(_regular_expression(key))
        for section, names in nodes.items():
            count = sum(bool(pattern.fullmatch(name)) for name in names)
            if count == len(names):
                said[section] |= values
            elif count or key.rpartition("/")[2] == section:
                raise UserError(f"{path}: {key} is not {' and '.join(names)}: write /**/{section}")
        if key.rpartition("/")[2] in SECTIONS.keys() - nodes.keys():
            said[key.rpartition("/")[2]] |= values
    return said


def _parameters(path: Path) -> dict[str, dict[str, Any]]:
    """A ROS 2 parameter file's parameters by node, as written there. Raises UserError."""
    try:
        document = read_yaml(path)
        return {str(key): dict(value["ros__parameters"]) for key, value in document.items()}
    except (OSError, YamlError, TypeError, KeyError, AttributeError, ValueError) as error:
        raise UserError(f"{path} is not a ROS 2 parameter file: {error}") from error


def _regular_expression(key: str) -> str:
    """For the full names of nodes that a key of a ROS 2 parameter file stands for."""
    forms = {"**": r"(/\w+)*", "*": r"/\w+"}
    return "".join(forms.get(token, f"/{re.escape(token)}") for token in key.strip("/").split("/"))
