"""A trained policy on an arm. Unless told otherwise its commands are only shown (dry_run:=true).

With sim:=true the arm is simulated, behind the same topics.
"""

from __future__ import annotations

from pathlib import Path

from launch.actions import DeclareLaunchArgument, OpaqueFunction

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from viper_ros import arm
from viper_ros.launching import COMMON, chosen, node, together

ARGUMENTS = [
    DeclareLaunchArgument("arm", description="Arm, by its file in config/arms/.", choices=list(arm.arms())),
    DeclareLaunchArgument("policy", description="Directory of the run that trained the policy."),
    DeclareLaunchArgument(
        "dry_run", default_value="true", description="Only show commands.", choices=["true", "false"]
    ),
    DeclareLaunchArgument("sim", default_value="false", description="Simulate the arm.", choices=["true", "false"]),
    DeclareLaunchArgument("task", default_value="deploy", description="What the arm is to do."),
    DeclareLaunchArgument(
        "action",
        default_value="end_effector",
        description="What the policy's actions ask for; end_effector_position and …_yaw: trained in sim:=robosuite.",
        choices=list(arm.ACTION_KINDS),
    ),
    DeclareLaunchArgument(
        "step_seconds", default_value="0.1", description="Time of a step in the world that trained the policy."
    ),
    DeclareLaunchArgument(
        "output",
        default_value="trajectory",
        description="trajectory: for a joint_trajectory_controller; twist: for MoveIt Servo.",
        choices=["trajectory", "twist"],
    ),
    DeclareLaunchArgument(
        "dead_man",
        default_value="false",
        description="Move only while `true` keeps coming on enable.",
        choices=["true", "false"],
    ),
    DeclareLaunchArgument("image", default_value="camera/image_raw", description="Topic of the camera."),
    DeclareLaunchArgument("joint_states", default_value="joint_states", description="Topic of the arm's joints."),
    DeclareLaunchArgument(
        "controller", default_value="arm_controller", description="Name of the joint_trajectory_controller."
    ),
    *COMMON,
]


def graph(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    values = chosen(context, ARGUMENTS)
    parameters: dict[str, object] = {name: values[name] for name in ("arm", "task", "action", "output")}
    parameters |= {name: values[name] == "true" for name in ("dry_run", "dead_man")}
    parameters["step_seconds"] = float(values["step_seconds"])
    commands = "arm_controller/joint_trajectory"
    sent = f"{values['controller']}/joint_trajectory"
    sides = {
        "camera/image_raw": values["image"],
        "joint_states": values["joint_states"],
        commands: sent,
        f"{commands}/would_send": f"{sent}/would_send",
    }
    policy = str(Path(values["policy"]).expanduser().resolve())
    nodes = [node("arm_node", parameters, values, sides), node("act_node", {"policy": policy}, values)]
    if values["sim"] == "true":
        nodes.append(node("simulated_arm_node", {"arm": values["arm"]}, values, sides))
    return together(nodes)


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=graph)])
