"""Whether the nodes still do their work after benchmarks.reliability.fuzz's attack."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from rclpy.client import Client
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
from viper_ros.msg import Action, Reward, Step

from benchmarks.reliability.hostile_messages import SIZE, TASK
from benchmarks.reliability.victims import Attacker, Victim, valid_message
from viper_ros.arm import files as arm
from viper_ros.messages import images
from viper_ros.runtime.qos import RELIABLE
from viper_ros.runtime.stamps import nanoseconds, to_stamp

RNG = np.random.default_rng(0)
SECONDS = 30.0
"""How long a node may take to show that it works."""


def find_broken(attacker: Attacker, victims: list[Victim]) -> list[str]:
    """The names of the nodes that run and do not do their work."""
    trials: dict[str, Callable[[Attacker], bool]] = {
        "/environment": environment_answers,
        "/scorer": partial(is_scored, environment="/scorer/env_0"),
        "/viewer": partial(is_scored, environment="/viewer/env_0", by_arrival=True),
        "/learner": partial(is_acted_on, environment="/learner/env_0"),
        "/actor": partial(is_acted_on, environment="/actor"),
        "/arm": arm_starts,
        "/simulated": simulated_arm_moves,
    }
    running = [victim for victim in victims if victim.process.running]
    return [victim.process.name for victim in running if not trials[victim.namespace](attacker)]


def environment_answers(attacker: Attacker) -> bool:
    """The environment shows a time step, and after an action the next."""
    steps = attacker.hear(Step, "/environment/step")
    actions = attacker.create_publisher(Action, "/environment/action", RELIABLE)
    if not attacker.spin_until(lambda: bool(steps), SECONDS):
        return False
    newest = max(nanoseconds(step.header.stamp) for step in steps)

    def answer() -> None:
        action = Action(values=[0.5])
        action.header.stamp = to_stamp(newest)
        actions.publish(action)

    return attacker.spin_until(lambda: any(nanoseconds(step.header.stamp) > newest for step in steps), SECONDS, answer)


def make_show(attacker: Attacker, environment: str) -> Callable[[], int]:
    """A function that publishes a time step with its frame and returns their stamp, in nanoseconds."""
    frames = attacker.create_publisher(Image, f"{environment}/image_raw", RELIABLE)
    steps = attacker.create_publisher(Step, f"{environment}/step", RELIABLE)
    picture = RNG.integers(0, 256, (SIZE, SIZE, 3), np.uint8)

    def show() -> int:
        stamp = attacker.get_clock().now().nanoseconds
        step = Step(task=TASK, is_first=True)
        step.header.stamp = to_stamp(stamp)
        steps.publish(step)
        frames.publish(images.to_message(picture, step.header.stamp, "camera"))
        return stamp

    return show


def is_scored(attacker: Attacker, environment: str, by_arrival: bool = False) -> bool:
    """The reward node answers a frame with a finite reward: at its stamp or, of a camera alone whose stamps it has
    ceased to trust, at its arrival.
    """
    rewards, show = attacker.hear(Reward, f"{environment}/reward"), make_show(attacker, environment)
    shown: list[int] = []

    def answers(reward: Reward) -> bool:
        stamp = nanoseconds(reward.header.stamp)
        return bool(np.isfinite(reward.reward)) and (
            stamp in shown or (by_arrival and stamp >= min(shown, default=stamp + 1))
        )

    return attacker.spin_until(
        lambda: any(map(answers, rewards)),
        SECONDS,
        lambda: shown.append(show()),
    )


def is_acted_on(attacker: Attacker, environment: str) -> bool:
    """As an environment in lockstep, show a time step and its reward again and again until an action answers it."""
    actions, show = attacker.hear(Action, f"{environment}/action"), make_show(attacker, environment)
    shown: list[int] = []
    rewards = attacker.create_publisher(Reward, f"{environment}/reward", RELIABLE)

    def show_and_reward() -> None:
        shown.append(show())
        for _ in range(2):
            attacker.spin(0.05)
            reward = Reward(reward=1.0, log_likelihood=-5.0)
            reward.header.stamp = to_stamp(shown[-1])
            rewards.publish(reward)

    return attacker.spin_until(
        lambda: any(nanoseconds(a.header.stamp) in shown for a in actions), SECONDS, show_and_reward
    )


def arm_starts(attacker: Attacker) -> bool:
    """With frames and joint states coming, and its fault cleared, arm_node starts an episode again."""
    clear: Client = attacker.create_client(Trigger, "/arm/clear_fault")
    start: Client = attacker.create_client(Trigger, "/arm/start_episode")
    joints = attacker.create_publisher(JointState, "/arm/joint_states", RELIABLE)
    frames = attacker.create_publisher(Image, "/arm/camera/image_raw", RELIABLE)
    button = attacker.create_publisher(Bool, "/arm/e_stop", RELIABLE)
    steps = attacker.hear(Step, "/arm/step")

    def supply() -> None:
        button.publish(Bool(data=False))
        for _ in range(10):
            stamp = attacker.get_clock().now().to_msg()
            joints.publish(valid_message("/arm/joint_states", JointState, stamp, RNG))
            frames.publish(images.to_message(np.zeros((SIZE, SIZE, 3), np.uint8), stamp, "camera"))
            attacker.spin(0.02)
        clear.call_async(Trigger.Request())
        start.call_async(Trigger.Request())

    return attacker.spin_until(lambda: bool(steps), SECONDS, supply)


def simulated_arm_moves(attacker: Attacker) -> bool:
    """The simulated arm follows a trajectory to its end."""
    states = attacker.hear(JointState, "/simulated/joint_states")
    commands = attacker.create_publisher(JointTrajectory, "/simulated/arm_controller/joint_trajectory", RELIABLE)
    target = arm.load("panda").home + 0.1
    command = JointTrajectory(joint_names=list(arm.load("panda").joints))
    command.points = [JointTrajectoryPoint(positions=target.tolist())]
    command.points[0].time_from_start.sec = 1
    return attacker.spin_until(
        lambda: bool(states) and np.abs(np.array(states[-1].position) - target).max() < 0.05,
        SECONDS,
        lambda: commands.publish(command),
    )
