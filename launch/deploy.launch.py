"""A trained policy on an arm. Unless told otherwise its commands are only shown (dry_run:=true).

With sim:=true the arm is simulated, behind the same topics.
"""

from __future__ import annotations

from pathlib import Path

from launch.actions import OpaqueFunction

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from viper_lab.errors import UserError
from viper_ros.launching.actions import chosen, declared, node, together, viz


def graph(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    values = chosen(context, "deploy")
    names = ("arm", "task", "action", "output", "dry_run", "dead_man", "step_seconds", "joint_prefix")
    parameters: dict[str, object] = {name: values[name] for name in names}
    sides = {"camera/image_raw": values["image"], "joint_states": values["joint_states"]}
    for argument, name in (("controller", "arm_controller"), ("gripper", "gripper_controller")):
        commands, sent = f"{name}/joint_trajectory", f"{values[argument]}/joint_trajectory"
        sides |= {commands: sent, f"{commands}/would_send": f"{sent}/would_send"}
    if values["sim"] and values["output"] == "twist":
        raise UserError("output:=twist is for MoveIt Servo, which the simulated arm has not: choose output:=trajectory")
    policy = str(Path(values["policy"]).expanduser().resolve())
    nodes = [node("arm_node", parameters, values, sides), node("act_node", {"policy": policy}, values)]
    if values["sim"]:
        nodes.append(
            node("simulated_arm_node", {name: values[name] for name in ("arm", "joint_prefix")}, values, sides)
        )
    return [*together(nodes), *viz(values, [""], sides)]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*declared("deploy"), OpaqueFunction(function=graph)])
