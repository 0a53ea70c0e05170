"""The settings of what is simulated, recorded and shown, part of `sections`: a process that reads only these loads no
torch."""

from __future__ import annotations

from sim import SIMS
from viper_lab.parameters import Parameter

SEEDS = 2**31 - 1
"""The largest seed."""

RECORD = (
    Parameter("episodes", 40, "Videos of the expert.", 1, 1_000_000),
    Parameter(
        "background_episodes", 60, "Videos of the background, behaviour that is not the task; 0: none.", 0, 1_000_000
    ),
    Parameter("other_episodes", 10, "Videos of each other behaviour, to judge the reward by.", 1, 1_000_000),
    Parameter("disturbance_steps", 0, "Steps, at most, of a random action before an expert's video.", 0, 1000),
    Parameter(
        "episode_steps", 0, "Steps recorded at most of experts and background; 0: to the episode's end.", 0, 1_000_000
    ),
    Parameter(
        "hold_steps", -1, "Steps recorded after a task is solved, where that earns its only reward; -1: all.", -1, 1e6
    ),
)

SIM_NODE = (
    Parameter(
        "sim",
        "dmc",
        "Simulator that the environment comes from; config/<sim>.yaml has the other settings.",
        choices=tuple(SIMS),
    ),
    Parameter("task", "cartpole_swingup", "Task of the simulator."),
    Parameter("image_size", 64, "Height and width of a frame in pixels.", 16, 1024),
    Parameter(
        "camera", "", "Camera that records the environment, by number or name; empty: the simulator's usual one."
    ),
    Parameter("arm", "", "Arm, where the simulator has several; empty: its usual one."),
    Parameter(
        "options", "", "More options of the simulator, in YAML, such as {life_loss: true}: see its module in sim/."
    ),
    Parameter("action_repeat", 2, "Control steps of the simulator for which an action is held.", 1, 100),
    Parameter("seed", 0, "Seed of everything random in the environment.", 0, SEEDS),
    Parameter(
        "repeat_after",
        1.0,
        "Seconds without an answer after which the last time steps are published again, for a node that came late.",
        0.05,
        60.0,
    ),
)

VIZ_NODE = (
    Parameter("environments", ["env_0"], "Namespaces of the environments that are shown; '' is the node's own."),
    Parameter("file", "", "Recording (.rrd) to write; empty: open a Rerun viewer."),
)
