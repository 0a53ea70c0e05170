"""A simulator's own options, as settings give them."""

from __future__ import annotations

from typing import Any

import yaml

from sim.env import SimError


def parse_options(camera: str, arm: str, more: str) -> dict[str, Any]:
    """Options for `sim.make`: a camera by number or name, an arm, and any in YAML. What is empty is the usual one.

    Raises SimError where `more` is no mapping in YAML.
    """
    try:
        options = yaml.safe_load(more) or {}
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: a date that is none, as 2026-02-30.
        options = more
    if not isinstance(options, dict) or not all(isinstance(name, str) for name in options):
        raise SimError(f"options '{more}': write them in YAML, as in {{life_loss: true}}")
    if camera:
        options["camera"] = int(camera) if camera.isdigit() else camera
    if arm:
        options["arm"] = arm
    return options
