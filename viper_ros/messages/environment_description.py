"""What an environment says of itself once, as JSON in a latched std_msgs/String (as robot_description carries URDF)."""

from __future__ import annotations

import dataclasses
import json

from sim import ActionSpace, Description
from viper_ros.runtime.node import MessageError


def to_json(description: Description) -> str:
    return json.dumps(dataclasses.asdict(description))


def from_json(text: str) -> Description:
    """Raises MessageError where the text describes no environment."""
    try:
        fields = json.loads(text)
        fields["action_space"] = ActionSpace(**fields["action_space"])
        fields["image_size"] = tuple(fields["image_size"])
        fields["return_range"] = tuple(fields["return_range"])
        return Description(**fields)
    except (TypeError, KeyError, ValueError, RecursionError) as error:
        raise MessageError(f"no description of an environment: {error}") from error
