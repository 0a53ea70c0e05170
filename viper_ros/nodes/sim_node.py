"""A simulated environment as a ROS 2 node, in lockstep: it moves when the action with its last frame's stamp
arrives."""

from __future__ import annotations

from collections import deque
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.time import Time
from sensor_msgs.msg import Image
from std_msgs.msg import String

import sim
from sim import SimDiedError, SimError, TimeStep
from sim.options import parse_options
from viper_lab.experiment.sim_sections import SIM_NODE
from viper_ros.messages import environment_description as description
from viper_ros.messages import images
from viper_ros.msg import Action, Step
from viper_ros.runtime.node import Health, ViperNode
from viper_ros.runtime.process import run_process
from viper_ros.runtime.qos import LATCHED, RELIABLE, UNDER_WAY
from viper_ros.runtime.stamps import nanoseconds, to_stamp

PARAMETERS = SIM_NODE
MOST_STARTS = 3
"""So often is a simulator started for an episode that dies before it has begun."""


class SimNode(ViperNode):
    """Publishes image_raw, step and (latched) description; subscribes to action."""

    def __init__(self, **options: Any) -> None:
        super().__init__("sim_node", PARAMETERS, **options)

    def configure(self) -> None:
        size = self.value("image_size")
        # An environment's name tells it from others: environments side by side must not record the same episodes.
        self._env = sim.make(
            self.value("sim"),
            self.value("task"),
            image_size=(size, size),
            action_repeat=self.value("action_repeat"),
            seed=self.value("seed"),
            **parse_options(self.value("camera"), self.value("arm"), self.value("options")),
        )
        self._images = self.create_publisher(Image, "image_raw", RELIABLE)
        self._steps = self.create_publisher(Step, "step", RELIABLE)
        self._descriptions = self.create_publisher(String, "description", LATCHED)
        self._recent: deque[tuple[Image, Step]] = deque(maxlen=UNDER_WAY)
        self._stamp = 0
        self._episode = -1
        self._steps_made = 0
        self._error = ""

    def activate(self) -> None:
        self._descriptions.publish(String(data=description.to_json(self._env.description)))
        self.listen(Action, "action", self._on_action, RELIABLE)
        self._repeat_timer = self.every(self.value("repeat_after"), self._repeat)
        self._begin_episode()

    def deactivate(self) -> None:
        self.destroy_timer(self._repeat_timer)

    def cleanup(self) -> None:
        self._env.close()
        for publisher in (self._images, self._steps, self._descriptions):
            self.destroy_publisher(publisher)

    def claims(self) -> dict[str, type]:
        return {"step": Step, "image_raw": Image}

    def health(self) -> Health:
        values = {"steps": getattr(self, "_steps_made", 0), "episode": getattr(self, "_episode", 0)}
        if getattr(self, "_error", ""):
            return Health(self._error, DiagnosticStatus.ERROR, values)
        if getattr(self, "_stamp", 0):
            waited = (self.get_clock().now() - Time.from_msg(to_stamp(self._stamp))).nanoseconds / 1e9
            values["seconds_since_frame"] = round(waited, 3)
            if waited > 5 * self.value("repeat_after"):
                return Health(
                    f"no action for {waited:.0f} s: the environment stands still", DiagnosticStatus.WARN, values
                )
        return Health("running", values=values)

    def _on_action(self, action: Action) -> None:
        # Answers to older frames are repeats of what has already been acted on.
        if nanoseconds(action.header.stamp) != self._stamp:
            return
        self._repeat_timer.reset()
        if self._last.is_last:
            self._begin_episode()
            return
        try:
            time_step = self._env.step(action.values)
        except SimDiedError as error:
            self.get_logger().error(f"{error}: starting it again, with a new episode")
            self._begin_episode()
            return
        except SimError as error:
            # The environment has not moved and waits for a better answer.
            self._error = str(error)
            self.get_logger().error(self._error)
            return
        self._error = ""
        self._steps_made += 1
        self._index += 1
        self._task_return += time_step.task_reward
        self._publish(time_step)

    def _begin_episode(self) -> None:
        self._episode += 1
        self._index = 0
        self._task_return = 0.0
        self._publish(self._reset())

    def _reset(self) -> TimeStep:
        """The first time step of an episode. A simulator that dies on the way is started again, MOST_STARTS times."""
        for _ in range(MOST_STARTS - 1):
            try:
                return self._env.reset()
            except SimDiedError as error:
                self.get_logger().error(f"{error}: starting it again, with a new episode")
        return self._env.reset()

    def _publish(self, time_step: TimeStep) -> None:
        self._last = time_step
        for _, answered in self._recent:
            answered.answered = True
        self._stamp = max(self.get_clock().now().nanoseconds, self._stamp + 1)
        stamp = to_stamp(self._stamp)
        step = Step(
            task=self._env.description.task,
            episode=self._episode,
            index=self._index,
            is_first=time_step.is_first,
            is_last=time_step.is_last,
            is_terminal=time_step.is_terminal,
            task_reward=float(time_step.task_reward),
            normalised_score=self._env.description.normalised_score(self._task_return),
        )
        step.header.stamp = stamp
        image = images.to_message(time_step.image, stamp, "camera_optical_frame")
        step.header.frame_id = image.header.frame_id
        self._recent.append((image, step))
        self._steps.publish(step)
        self._images.publish(image)

    def _repeat(self) -> None:
        for image, step in self._recent:
            self._steps.publish(step)
            self._images.publish(image)


def main() -> int:
    return run_process(SimNode)
