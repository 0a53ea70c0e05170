"""ROS parameters, declared in one line each: name, default, description, and what values make sense."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter as RclpyParameter


@dataclass(frozen=True)
class Parameter:
    """One parameter of a node. `low` and `high` are inclusive; `choices` are the only values allowed."""

    name: str
    default: Any
    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] | tuple[int, ...] = ()
    read_only: bool = True

    def descriptor(self) -> ParameterDescriptor:
        descriptor = ParameterDescriptor(name=self.name, description=self.description, read_only=self.read_only)
        if self.choices:
            descriptor.additional_constraints = "one of: " + ", ".join(map(str, self.choices))
        if self.low is not None and self.high is not None:
            if isinstance(self.default, int):
                descriptor.integer_range = [IntegerRange(from_value=int(self.low), to_value=int(self.high), step=0)]
            else:
                descriptor.floating_point_range = [
                    FloatingPointRange(from_value=self.low, to_value=self.high, step=0.0)
                ]
        return descriptor


class UnknownParameterError(Exception):
    """A parameter was set that the node doesn't have."""


def declare(node: Node, parameters: Sequence[Parameter]) -> None:
    """Declare `parameters` on `node`.

    Raises UnknownParameterError where a value is given from outside (a parameter file, an override) for none of them,
    and rclpy's InvalidParameterValueException or InvalidParameterTypeException where one is out of range, not among the
    choices or of another type. rclpy checks types and ranges; choices are checked here, now and on every later set.
    """
    choices = {parameter.name: parameter.choices for parameter in parameters if parameter.choices}

    def check_choices(values: list[RclpyParameter]) -> SetParametersResult:
        for value in values:
            allowed = choices.get(value.name)
            if allowed and value.value not in allowed:
                reason = f"{value.name} is '{value.value}', but must be one of: {', '.join(map(str, allowed))}"
                return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(check_choices)
    for parameter in parameters:
        node.declare_parameter(parameter.name, parameter.default, parameter.descriptor())
    # rclpy passes over what nobody declared; a misspelt setting should not go unnoticed.
    for name in node._parameter_overrides:
        if not node.has_parameter(name) and not name.startswith("qos_overrides"):
            near = difflib.get_close_matches(name, [p.name for p in parameters], cutoff=0.4)
            advice = f": did you mean {' or '.join(near)}?" if near else ""
            raise UnknownParameterError(f"{node.get_name()} has no parameter '{name}'{advice}")


def overrides(parameters: Sequence[Parameter], values: Mapping[str, Any]) -> list[RclpyParameter]:
    """Values for a node's `parameter_overrides`. A whole number does for a float, which rclpy alone refuses."""
    floats = {parameter.name for parameter in parameters if isinstance(parameter.default, float)}
    return [
        RclpyParameter(name, value=float(value) if name in floats and isinstance(value, int) else value)
        for name, value in values.items()
    ]
