"""The files of arms: config/arms/<name>.yaml."""

from __future__ import annotations

import difflib
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from viper_lab.config import config_directory
from viper_lab.errors import UserError
from viper_lab.parameters import Parameter
from viper_model.yaml_files import YamlError, read_yaml
from viper_ros.arm.description import Arm, Gripper
from viper_ros.arm.motion import Limits
from viper_ros.arm.safety import Deadlines

JOINT_PREFIX = Parameter("joint_prefix", "", "What the driver puts before the names of the arm's joints and frames.")
RENAMED = {"following": "tracking_tolerance", "hand": "tcp"}
"""Keys that files of earlier versions have, and what they are called now."""


def arms() -> tuple[str, ...]:
    """The names of the arms that have a file."""
    return tuple(sorted(path.stem for path in (config_directory() / "arms").glob("*.yaml")))


def load(name: str) -> Arm:
    """An arm by name. Raises UserError where there is none, or its file is not as it should be."""
    if name not in arms():
        near = difflib.get_close_matches(name, arms(), cutoff=0.4) or arms()
        raise UserError(f"no arm '{name}': choose {' or '.join(near)}, or add config/arms/{name}.yaml")
    return read(path_of(name))


def path_of(name: str) -> Path:
    """Where an arm's file is."""
    return config_directory() / "arms" / f"{name}.yaml"


def read(path: Path) -> Arm:
    """The arm that a file describes. Raises UserError, with the file and what is wrong with it."""
    try:
        document = read_yaml(path)
    except (OSError, YamlError) as error:
        raise UserError(f"{path} can't be read: {error}") from error
    try:
        _check_keys(document)
        arm = _arm(path.stem, document)
        _check_limits(arm)
    except KeyError as error:
        raise UserError(f"{path}: {error.args[0]} is missing") from error
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: {error}") from error
    return arm


def _check_keys(document: dict[str, Any]) -> None:
    known = {field.name for field in fields(Arm)} - {"name"}
    for key in document:
        if key in RENAMED:
            raise ValueError(f"'{key}' is called '{RENAMED[key]}' now: rename it")
        if key not in known:
            raise ValueError(f"nothing is called '{key}': it can hold {', '.join(sorted(known))}")


def _arm(name: str, document: dict[str, Any]) -> Arm:
    joints = tuple(document["joints"])
    limits = {
        field.name: _numbers(document["limits"], field.name, (3,) if "workspace" in field.name else (len(joints),))
        for field in fields(Limits)
    }
    gripper = document["gripper"]
    return Arm(
        name=name,
        joints=joints,
        limits=Limits(**limits),
        chain=_numbers(document, "chain", (len(joints), 6)),
        tcp=_numbers(document, "tcp", (6,)),
        base_frame=str(document["base_frame"]),
        home=_numbers(document, "home", (len(joints),)),
        gripper=Gripper(
            tuple(gripper["joints"]), float(_numbers(gripper, "open", ())), float(_numbers(gripper, "closed", ()))
        ),
        linear_speed=_positive(document, "linear_speed"),
        angular_speed=_positive(document, "angular_speed"),
        joint_speed=_positive(document, "joint_speed"),
        control_rate=_positive(document, "control_rate"),
        deadlines=Deadlines(
            **{field.name: _positive(document["deadlines"], field.name) for field in fields(Deadlines)}
        ),
        tracking_tolerance=_positive(document, "tracking_tolerance"),
    )


def _check_limits(arm: Arm) -> None:
    limits = arm.limits
    for key in ("velocity", "acceleration", "jerk"):
        if (getattr(limits, key) <= 0).any():
            raise ValueError(f"limits.{key} must be more than 0")
    if (limits.position_low >= limits.position_high).any() or (limits.workspace_low >= limits.workspace_high).any():
        raise ValueError("every low limit must be less than its high one")
    tcp = arm.kinematics.tcp_positions(arm.home[None])[0]
    inside = (arm.home >= limits.position_low).all() and (arm.home <= limits.position_high).all()
    if not inside or (tcp < limits.workspace_low).any() or (tcp > limits.workspace_high).any():
        raise ValueError(f"home, with the end effector at {np.round(tcp, 3).tolist()} m, is outside the limits")


def _numbers(section: dict[str, Any], key: str, shape: tuple[int, ...]) -> np.ndarray:
    try:
        array = np.array(section[key], np.float64)
    except (TypeError, ValueError):
        array = np.array(np.nan)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"{key} must be finite numbers of shape {list(shape)}, not {section[key]}")
    return array


def _positive(section: dict[str, Any], key: str) -> float:
    number = float(_numbers(section, key, ()))
    if number <= 0:
        raise ValueError(f"{key} must be more than 0, not {number}")
    return number
