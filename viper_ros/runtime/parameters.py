"""`viper_lab.parameters` as ROS parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter as RclpyParameter

from viper_lab.errors import UserError
from viper_lab.parameters import Parameter, unknown


def descriptor(parameter: Parameter) -> ParameterDescriptor:
    described = ParameterDescriptor(
        name=parameter.name, description=parameter.description, read_only=parameter.read_only
    )
    if parameter.choices:
        described.additional_constraints = "one of: " + ", ".join(map(str, parameter.choices))
    low, high = parameter.low, parameter.high
    if low is not None and high is not None:
        if isinstance(parameter.default, int):
            described.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=0)]
        else:
            described.floating_point_range = [FloatingPointRange(from_value=low, to_value=high, step=0.0)]
    return described


def declare(node: Node, parameters: Sequence[Parameter]) -> None:
    """Declare `parameters` on `node`.

    Raises UserError where a value is given from outside (a parameter file, an override) for none of them, and where one
    is out of range, not among the choices or of another type. rclpy checks types and ranges; choices are checked here,
    now and on every later set.
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
        try:
            node.declare_parameter(parameter.name, parameter.default, descriptor(parameter))
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            raise UserError(str(error)) from error
    # rclpy passes over what nobody declared; a misspelt setting should not go unnoticed.
    for name in node._parameter_overrides:
        if not node.has_parameter(name) and not name.startswith("qos_overrides"):
            raise unknown(node.get_name(), name, parameters)


def overrides(parameters: Sequence[Parameter], values: Mapping[str, Any]) -> list[RclpyParameter]:
    """Values for a node's `parameter_overrides`. A whole number does for a float, which rclpy alone refuses."""
    floats = {parameter.name for parameter in parameters if isinstance(parameter.default, float)}
    return [
        RclpyParameter(name, value=float(value) if name in floats and isinstance(value, int) else value)
        for name, value in values.items()
    ]
