"""The arguments of the launch files: what changes from run to run. Everything else is in config/.

Without `launch`, so that the reference in docs/ can be made anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from viper_lab.config import config_directory
from viper_ros.arm.actions import ACTION_KINDS
from viper_ros.arm.files import arms


@dataclass(frozen=True)
class Argument:
    """One argument of a launch file. `choices` are the only values allowed."""

    name: str
    description: str
    default: str | None = None
    """None: it has to be given."""
    choices: tuple[str, ...] = ()


SWITCH = ("true", "false")

COMMON = (
    Argument("namespace", "ROS namespace of the nodes, to run several graphs side by side.", ""),
    Argument("params_file", "ROS 2 parameter file (YAML) of your own; what it says counts. Empty: none.", ""),
    Argument("use_sim_time", "Take time from /clock.", "false", SWITCH),
    Argument("log_level", "What nodes log.", "info", ("debug", "info", "warn", "error")),
)

VIZ = (
    Argument(
        "viz", "rerun: show frames, maps, rewards, actions and joints in a Rerun viewer.", "none", ("none", "rerun")
    ),
    Argument("viz_file", "With viz:=rerun, write a recording (.rrd) instead of opening a viewer.", ""),
)

TRAIN = (
    Argument(
        "sim",
        "Simulator; its settings are in config/<sim>.yaml.",
        "dmc",
        tuple(sorted(path.stem for path in config_directory().glob("*.yaml"))),
    ),
    Argument("task", "Task of the simulator; empty: the one in its settings.", ""),
    Argument("arm", "Arm, where the simulator has several; empty: the one in its settings.", ""),
    Argument(
        "reward",
        "viper: the video model's likelihood; task: the simulator's own reward (the Task Oracle).",
        "viper",
        ("viper", "task"),
    ),
    Argument("name", "The run's name; empty: after the task.", ""),
    Argument("steps", "Environment steps to collect; 0: as in the settings.", "0"),
    Argument("environments", "Environments side by side, each a process.", "1"),
    Argument("directory", "Where data/, models/ and runs/ are.", "."),
    *VIZ,
    *COMMON,
)

SCORE = (
    Argument("image", "Topic of the camera, such as /camera/color/image_raw."),
    Argument("model", "Folder of the video model, as `viper fit` leaves it."),
    Argument("task", "What the camera shows; empty: the only task that the model knows.", ""),
    Argument("device", "Where the model runs.", "auto", ("auto", "cpu", "cuda")),
    *VIZ,
    *COMMON,
)

DEPLOY = (
    Argument("arm", "Arm, by its file in config/arms/.", None, arms()),
    Argument("policy", "Directory of the run that trained the policy."),
    Argument("dry_run", "Only show commands.", "true", SWITCH),
    Argument("sim", "Simulate the arm.", "false", SWITCH),
    Argument("task", "What the arm is to do.", "deploy"),
    Argument(
        "action",
        "What the policy's actions ask for; end_effector_position and …_yaw: trained in sim:=robosuite.",
        "end_effector",
        tuple(ACTION_KINDS),
    ),
    Argument("step_seconds", "Time of a step in the environment that trained the policy.", "0.1"),
    Argument(
        "output",
        "trajectory: for a joint_trajectory_controller; twist: for MoveIt Servo.",
        "trajectory",
        ("trajectory", "twist"),
    ),
    Argument("dead_man", "Move only while `true` keeps coming on enable.", "false", SWITCH),
    Argument("image", "Topic of the camera.", "camera/image_raw"),
    Argument("joint_states", "Topic of the arm's joints.", "joint_states"),
    Argument("controller", "Name of the joint_trajectory_controller.", "arm_controller"),
    *VIZ,
    *COMMON,
)

RECORD = (
    Argument("out", "Folder of the new bag."),
    Argument(
        "topics",
        "Topics to record, with spaces between them; names without a leading / lie in the namespace.",
        "image_raw step action reward description joint_states",
    ),
    *COMMON,
)

LAUNCH_FILES = {"train": TRAIN, "score": SCORE, "deploy": DEPLOY, "record": RECORD}
"""By name: launch/<name>.launch.py."""
