"""The end effector's controller: robosuite's operational space control (Khatib 1987), told absolute poses."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

ARMS = {"panda": "Panda", "sawyer": "Sawyer"}
"""The arms by robosuite's names."""

_STIFFNESS = 600
"""Proportional gain in 1/s²."""

PHYSICS_SECONDS = 0.002
"""robosuite's."""
CONTROL_SECONDS = 0.1
_GOALS = 2
"""Goals that the controller is given in a control step, and gripper commands: robosuite's usual 20 a second."""
_HOLD = 5
"""Physics steps for which torques are held. Running the controller is what takes most of the time of a step."""

DOWN = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
"""The gripper's orientation when it points down and opens along the y axis of the world frame."""


def controller_config() -> dict[str, Any]:
    """What robosuite makes an arm's controller from."""
    part = {
        "type": "OSC_POSE",
        "input_type": "absolute",
        "input_ref_frame": "world",
        "input_max": 1,
        "input_min": -1,
        "output_max": 1,
        "output_min": -1,
        "kp": _STIFFNESS,
        "damping_ratio": 1,
        "impedance_mode": "fixed",
        "kp_limits": [0, 1000],
        "damping_ratio_limits": [0, 10],
        "position_limits": None,
        "orientation_limits": None,
        "uncouple_pos_ori": False,
        "interpolation": None,
        "ramp_ratio": 0.2,
        "gripper": {"type": "GRIP"},
    }
    return {"type": "BASIC", "body_parts": {"right": part}}


def free_first_joint(mjcf: ET.Element) -> None:
    """Keep the Sawyer's first link from rubbing on its foot.

    The two overlap in robosuite's model, and MuJoCo leaves only contacts between links out that both can move: the
    friction would take all of the first joint's torque.
    """
    names = {body.get("name") for body in mjcf.iter("body")}
    foot, first = "robot0_right_arm_base_link", "robot0_right_l0"
    if foot in names:
        contact = mjcf.find("contact")
        if contact is None:
            contact = ET.SubElement(mjcf, "contact")
        ET.SubElement(contact, "exclude", body1=foot, body2=first)


def run(
    env: Any,
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    yaw_start: float,
    yaw_end: float,
    gripper: float,
) -> None:
    """One control step of a robosuite environment: the goal moves from one pose to another.

    Positions [3] in metres, yaws in radians from `DOWN`; `gripper` opens below 0, closes above, holds at 0.
    """
    simulation, robot = env.sim, env.robots[0]
    for part in range(1, _GOALS + 1):
        share = part / _GOALS
        yaw = yaw_start + share * (yaw_end - yaw_start)
        orientation = Rotation.from_matrix(Rotation.from_euler("z", yaw).as_matrix() @ DOWN)
        goal = np.concatenate([start + share * (end - start), orientation.as_rotvec(), [gripper]])
        for index in range(round(CONTROL_SECONDS / PHYSICS_SECONDS / _GOALS)):
            simulation.step1()
            if index % _HOLD == 0:
                robot.control(goal, policy_step=index == 0)
            simulation.step2()
    simulation.forward()
