"""Python code that makes real nodes fit for trials of an arm; each is a `NodeProcess`'s `before`."""

from __future__ import annotations

import numpy as np

DEADLINE = 1.0
"""Seconds: the deadline of everything that arm_node waits for, so that a busy machine adds no faults of its own."""
ACTION = np.array([0.4, 0.0, 0.0, 0.0, 0.4, 0.0, 0.4, 0.0])
"""An action of joint_velocity: three joints at 0.2 rad/s."""
CONSTANT_POLICY = f"""
import numpy as np
from viper_model.agents.snapshot_policy import SnapshotPolicy
act = SnapshotPolicy.act
def constant(self, *arguments, **options):
    values, state = act(self, *arguments, **options)
    return 0 * values + np.array({ACTION.tolist()}, np.float32), state
SnapshotPolicy.act = constant
"""
"""act_node computes its action as ever and then sends ACTION."""


def arm_with(deadline: float, **changes: float) -> str:
    """arm_node's arm has this deadline, in seconds, for everything, and other values of its description, by name."""
    options = "".join(f", {name}={value}" for name, value in changes.items())
    return f"""
import dataclasses
from viper_ros.arm import files as arm
from viper_ros.arm.safety import Deadlines
load = arm.load
deadlines = Deadlines(action={deadline}, frame={deadline}, joint_states={deadline}, dead_man={deadline})
arm.load = lambda name: dataclasses.replace(load(name), deadlines=deadlines{options})
"""
