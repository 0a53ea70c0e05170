"""An arm's episode as the policy is shown it: the topics by which arm_node is like sim_node."""

from __future__ import annotations

from sensor_msgs.msg import Image
from std_msgs.msg import String

from sim import ActionSpace, Description
from viper_ros.messages import environment_description
from viper_ros.msg import Step
from viper_ros.runtime.node import ViperNode
from viper_ros.runtime.qos import LATCHED, RELIABLE
from viper_ros.runtime.stamps import to_stamp


class ArmEpisode:
    """Publishes a node's image_raw, step and (latched) description: the camera's frames as time steps of episodes."""

    def __init__(self, node: ViperNode, *, task: str, arm: str, action_size: int, step_seconds: float) -> None:
        self._node = node
        self._task, self._arm = task, arm
        self._action_size, self._step_seconds = action_size, step_seconds
        self._images = node.create_publisher(Image, "image_raw", RELIABLE)
        self._steps = node.create_publisher(Step, "step", RELIABLE)
        self._descriptions = node.create_publisher(String, "description", LATCHED)
        self.number = -1
        """Of the episode that runs, or ran last; -1 before the first."""
        self._index = 0
        """Of the next time step; 0 between episodes."""
        self._stamp = 0
        """Nanoseconds; that of the last time step. Stamps only grow, also where a clock is set back."""
        self._image: Image | None = None
        """The camera's newest frame."""
        self._described_size: tuple[int, int] | None = None
        """Height and width of the frames that the description tells of."""

    def close(self) -> None:
        for publisher in (self._images, self._steps, self._descriptions):
            self._node.destroy_publisher(publisher)

    @property
    def has_policy(self) -> bool:
        """Whether somebody listens to the time steps."""
        return bool(self._steps.get_subscription_count())

    def frame(self, image: Image) -> None:
        """A frame of the camera, for the next time step. Where its size is new the environment is described."""
        self._image = image
        size = (image.height, image.width)
        if self._described_size != size:
            self._described_size = size
            space = ActionSpace("continuous", self._action_size)
            told = Description("arm", self._task, space, size, self._step_seconds, (0.0, 1.0), {"arm": self._arm})
            self._descriptions.publish(String(data=environment_description.to_json(told)))

    def begin(self) -> None:
        """Another episode: the next time step is its first."""
        self.number += 1
        self._index = 0

    def end(self) -> None:
        """Tell the policy that the episode is over, where it runs."""
        if self._index:
            self.show(is_last=True)

    def show(self, *, is_last: bool) -> int | None:
        """Publish a time step with the newest frame; returns its stamp, None where no frame has come yet."""
        image = self._image
        if image is None:
            return None
        self._stamp = max(self._node.get_clock().now().nanoseconds, self._stamp + 1)
        step = Step(
            task=self._task,
            episode=self.number,
            index=self._index,
            is_first=self._index == 0,
            is_last=is_last,
            task_reward=float("nan"),
            normalised_score=float("nan"),
        )
        step.header.stamp = to_stamp(self._stamp)
        step.header.frame_id = image.header.frame_id
        image.header.stamp = step.header.stamp
        self._index = 0 if is_last else self._index + 1
        self._steps.publish(step)
        self._images.publish(image)
        return self._stamp
