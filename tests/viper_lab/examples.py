"""What tests of runs share."""

from __future__ import annotations

from typing import Any

from sim import ActionSpace, Description
from viper_lab.experiment.provenance import run_config

DESCRIPTION = Description(
    "dmc", "cartpole_swingup", ActionSpace("continuous", 1), (64, 64), 0.04, (0.0, 1000.0), {"camera": 1}
)


def example_config(**policy: Any) -> dict[str, Any]:
    """What made a run of a policy node with these settings."""
    return run_config(
        DESCRIPTION, {"environments": ["env_0"], "seed": 0, "agent": "drqv2", "steps": 1000, **policy}, ""
    )
