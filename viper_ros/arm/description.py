"""What an arm is: one dataclass, read from one YAML file in config/arms/."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import yaml
from scipy.spatial.transform import Rotation

from viper_lab.config import config_directory
from viper_lab.errors import UserError
from viper_ros.arm.kinematics import Kinematics, damped_least_squares
from viper_ros.arm.motion import Limits
from viper_ros.arm.safety import Deadlines

ActionKind = Literal["end_effector", "end_effector_position", "end_effector_position_yaw", "joint_velocity"]
"""What an action's values are, before the last one, which is the gripper's (-1 open, 1 closed): the hand's velocity
along and about x, y, z; along them, the hand keeping home's orientation; along them and about z, the hand keeping
home's tilt; the joints' velocities. The second and third are those of the environments of `sim:=robosuite`."""
ACTION_KINDS: tuple[ActionKind, ...] = get_args(ActionKind)
HAND_AXES = 6
_HAND_VALUES = {"end_effector": 6, "end_effector_position": 3, "end_effector_position_yaw": 4}
UPRIGHTING_GAIN = 4.0
"""1/s: the share of a turn away from the orientation that is kept that is wanted back as angular velocity."""
HOMING_GAIN = 2.0
"""1/s: the share of the way home that is wanted as velocity."""
HOMING_SPEED = 0.15
"""m/s of a hand on its way home."""
STRAIGHT_FROM = 0.25
"""m from home from which on the hand goes straight; nearer, joints go more and more each on its own way."""


@dataclass(frozen=True)
class Gripper:
    joints: tuple[str, ...]
    open: float
    """Position of each finger's joint in m."""
    closed: float


@dataclass(frozen=True)
class Arm:
    name: str
    joints: tuple[str, ...]
    limits: Limits
    chain: np.ndarray
    """float64 [joints, 6], as `Kinematics` takes it."""
    hand: np.ndarray
    """float64 [6]."""
    base_frame: str
    home: np.ndarray
    """float64 [joints], rad."""
    gripper: Gripper
    linear_speed: float
    """m/s that an action of 1 asks for; `angular_speed` and `joint_speed` in rad/s."""
    angular_speed: float
    joint_speed: float
    control_rate: float
    """Hz."""
    deadlines: Deadlines
    following: float
    """rad by which a joint may lag behind its command."""

    @cached_property
    def kinematics(self) -> Kinematics:
        return Kinematics(self.chain, self.hand)

    def action_size(self, kind: ActionKind) -> int:
        """Values in an action: the motion's, then the gripper's."""
        return _HAND_VALUES.get(kind, len(self.joints)) + 1

    def twist(self, kind: ActionKind, action: np.ndarray, position: np.ndarray) -> np.ndarray:
        """The hand's velocity [6] in m/s and rad/s, in the base's frame, that an action of the hand asks for at joint
        positions [joints]."""
        if kind == "end_effector":
            return action[:HAND_AXES] * np.repeat([self.linear_speed, self.angular_speed], 3)
        hand, home = (
            Rotation.from_matrix(self.kinematics.poses(at[None])[0, -1, :3, :3]) for at in (position, self.home)
        )
        turn = UPRIGHTING_GAIN * (home * hand.inv()).as_rotvec()
        if kind == "end_effector_position_yaw":
            # The shortest turn that brings the hand's z axis back to home's has no part about the vertical.
            turn = UPRIGHTING_GAIN * _turn_between(hand.apply([0, 0, 1]), home.apply([0, 0, 1]))
            turn[2] += self.angular_speed * action[3]
        return np.concatenate([action[:3] * self.linear_speed, turn])

    def wanted(self, kind: ActionKind, action: np.ndarray, position: np.ndarray) -> np.ndarray:
        """The joint velocities in rad/s that an action (in [-1, 1]) asks for at joint positions [joints]."""
        if kind == "joint_velocity":
            return action[:-1] * self.joint_speed
        return self.kinematics.joint_velocities(position, self.twist(kind, action, position))

    def homeward(self, position: np.ndarray) -> np.ndarray:
        """Joint velocities [joints] in rad/s that bring the arm home, no faster than `joint_speed`.

        Each joint goes its own way, as far as that lets the hand go straight home while it is far from there: towards a
        point in a box, a straight line leads out of no side of it.
        """
        velocity = self._no_faster(HOMING_GAIN * (self.home - position))
        hand, home = self.kinematics.hand(np.stack([position, self.home]))
        away = float(np.linalg.norm(home - hand))
        straight = (home - hand) * min(HOMING_GAIN, HOMING_SPEED / max(away, 1e-9))
        jacobian = self.kinematics.jacobian(position)[:3]
        pull = damped_least_squares(jacobian, straight - jacobian @ velocity)
        return self._no_faster(velocity + min(1.0, away / STRAIGHT_FROM) * pull)

    def _no_faster(self, velocity: np.ndarray) -> np.ndarray:
        return velocity * min(1.0, self.joint_speed / max(np.abs(velocity).max(), 1e-9))

    def from_home(self, position: np.ndarray) -> float:
        """rad between home and the joint that is furthest from it."""
        return float(np.abs(position - self.home).max())

    def is_home(self, position: np.ndarray) -> bool:
        return self.from_home(position) < 0.01

    def fingers(self, action: np.ndarray) -> list[float]:
        """Positions in m of the gripper's joints that an action asks for."""
        return [self.gripper.closed if action[-1] > 0 else self.gripper.open] * len(self.gripper.joints)


def arms() -> tuple[str, ...]:
    """The names of the arms that have a file."""
    return tuple(sorted(path.stem for path in (config_directory() / "arms").glob("*.yaml")))


def load(name: str) -> Arm:
    """An arm by name. Raises UserError where there is none, or its file is not as it should be."""
    if name not in arms():
        near = difflib.get_close_matches(name, arms(), cutoff=0.4) or arms()
        raise UserError(f"no arm '{name}': choose {' or '.join(near)}, or add config/arms/{name}.yaml")
    return parse(config_directory() / "arms" / f"{name}.yaml")


def parse(path: Path) -> Arm:
    """Raises UserError, with the file and what is wrong with it."""
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path} can't be read: {error}") from error
    try:
        return _arm(path.stem, document)
    except KeyError as error:
        raise UserError(f"{path}: {error.args[0]} is missing") from error
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: {error}") from error


def _arm(name: str, document: dict[str, Any]) -> Arm:
    known = {field.name for field in fields(Arm)} - {"name"}
    for key in document:
        if key not in known:
            raise ValueError(f"nothing is called '{key}': it can hold {', '.join(sorted(known))}")
    joints = tuple(document["joints"])
    arm = Arm(
        name=name,
        joints=joints,
        limits=Limits(
            **{
                field.name: _numbers(
                    document["limits"], field.name, (3,) if "workspace" in field.name else (len(joints),)
                )
                for field in fields(Limits)
            }
        ),
        chain=_numbers(document, "chain", (len(joints), HAND_AXES)),
        hand=_numbers(document, "hand", (HAND_AXES,)),
        base_frame=str(document["base_frame"]),
        home=_numbers(document, "home", (len(joints),)),
        gripper=Gripper(
            tuple(document["gripper"]["joints"]),
            float(_numbers(document["gripper"], "open", ())),
            float(_numbers(document["gripper"], "closed", ())),
        ),
        deadlines=Deadlines(
            **{field.name: _positive(document["deadlines"], field.name) for field in fields(Deadlines)}
        ),
        **{
            key: _positive(document, key)
            for key in ("linear_speed", "angular_speed", "joint_speed", "control_rate", "following")
        },
    )
    limits = arm.limits
    for key in ("velocity", "acceleration", "jerk"):
        if (getattr(limits, key) <= 0).any():
            raise ValueError(f"limits.{key} must be more than 0")
    if (limits.position_low >= limits.position_high).any() or (limits.workspace_low >= limits.workspace_high).any():
        raise ValueError("every low limit must be less than its high one")
    hand = arm.kinematics.hand(arm.home[None])[0]
    inside = (arm.home >= limits.position_low).all() and (arm.home <= limits.position_high).all()
    if not inside or (hand < limits.workspace_low).any() or (hand > limits.workspace_high).any():
        raise ValueError(f"home, with the hand at {np.round(hand, 3).tolist()} m, is outside the limits")
    return arm


def _turn_between(axis: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """The shortest turn from one unit vector [3] to another, as a rotation vector [3] in rad."""
    cross = np.cross(axis, goal)
    sine = float(np.linalg.norm(cross))
    return cross * (np.arctan2(sine, axis @ goal) / sine) if sine > 1e-9 else np.zeros(3)


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
