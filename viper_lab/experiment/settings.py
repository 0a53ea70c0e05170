"""The parameter files in config/: one a simulator, read alike by `viper` and by `ros2 launch`."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import yaml

from viper_lab.config import config_directory
from viper_lab.errors import UserError
from viper_lab.parameters import Parameter
from viper_model.torch_tools.device import DEVICES
from viper_model.video_model.fit import BACKGROUNDS
from viper_model.video_model.sizes import CODE_MODELS, SIZES
from viper_model.video_model.tokenizers import TOKENIZERS

SECTIONS = ("record", "fit", "sim_node", "reward_node", "policy_node")
OWN = {
    "record": (
        Parameter("episodes", 40, "Videos of the expert.", 1, 1_000_000),
        Parameter("other_episodes", 10, "Videos of each other behaviour, to judge the reward by.", 1, 1_000_000),
        Parameter(
            "hold_steps",
            -1,
            "Steps recorded after a task is solved, where that earns its only reward; -1: all.",
            -1,
            1e6,
        ),
    ),
    "fit": (
        Parameter("size", "tiny", "Named size of the video model.", choices=tuple(SIZES)),
        Parameter("tokenizer", "", "How frames become codes; empty: the size's own.", choices=("", *TOKENIZERS)),
        Parameter("code_model", "videogpt", "Which model of the videos' codes.", choices=tuple(CODE_MODELS)),
        Parameter(
            "background",
            "auto",
            "What the background of a likelihood ratio is learned from: recorded (videos of the behaviour background), "
            "made (experts' videos frozen, reversed, shuffled), auto (recorded where there are such videos), none.",
            choices=BACKGROUNDS,
        ),
        Parameter("seed", 0, "Seed of the training.", 0, 2**31 - 1),
        Parameter("device", "auto", "Where the model is trained.", choices=DEVICES),
    ),
}
"""The sections that are no node's: what videos and the video model are made with where they are missing."""


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
