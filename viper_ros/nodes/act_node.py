"""Acts with a trained policy, and learns nothing: what stands beside an arm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import Image

from viper_lab.errors import UserError
from viper_lab.parameters import Parameter
from viper_model.agents.registry import load_agent
from viper_model.torch_tools.device import DEVICES, torch_device
from viper_model.videos.preparation import resize
from viper_ros.messages import images
from viper_ros.msg import Action, Step
from viper_ros.runtime.join import Joiner
from viper_ros.runtime.node import Health, ViperNode
from viper_ros.runtime.process import run_process
from viper_ros.runtime.qos import RELIABLE
from viper_ros.runtime.stamps import joining_stamp, to_stamp

PARAMETERS = (
    Parameter("policy", "", "Directory of the run that trained the policy."),
    Parameter("device", "auto", "Where the policy runs.", choices=DEVICES),
)


class ActNode(ViperNode):
    """Subscribes to image_raw and step; publishes action, the likeliest one."""

    def __init__(self, **options: Any) -> None:
        super().__init__("act_node", PARAMETERS, **options)
        self._answered = 0

    def configure(self) -> None:
        if not self.value("policy"):
            raise UserError("no policy: set the parameter 'policy' to the directory of a run that trained one")
        path = Path(str(self.value("policy"))).expanduser() / "checkpoint.safetensors"
        agent = load_agent(path, torch_device(self.value("device")))
        self._image_size = agent.settings.image_size
        self._policy = agent.policy()
        self._state = self._policy.initial(1)
        self._joiner: Joiner[np.ndarray, Step] = Joiner()
        self._actions = self.create_publisher(Action, "action", RELIABLE)

    def activate(self) -> None:
        # The first act is the slowest; the arm's deadline must not meet it.
        frame = np.zeros((1, self._image_size, self._image_size, 3), np.uint8)
        self._policy.act(self._state, frame, np.array([True]), sample=False)
        self.listen(Step, "step", self._on_step, RELIABLE)
        self.listen(Image, "image_raw", self._on_image, RELIABLE)

    def cleanup(self) -> None:
        self.destroy_publisher(self._actions)
        del self._policy, self._state

    def claims(self) -> dict[str, type]:
        return {"action": Action}

    def health(self) -> Health:
        if not self._answered:
            return Health("waiting for an episode", DiagnosticStatus.OK)
        return Health("acting", values={"answered": self._answered})

    def _on_step(self, step: Step) -> None:
        self._act(self._joiner.right(joining_stamp(step.header), step))

    def _on_image(self, message: Image) -> None:
        image = resize(images.to_rgb(message)[None], self._image_size)[0]
        self._act(self._joiner.left(joining_stamp(message.header), image))

    def _act(self, pair: tuple[int, np.ndarray, Step] | None) -> None:
        if pair is None or pair[2].is_last:
            return
        stamp, image, step = pair
        values, self._state = self._policy.act(self._state, image[None], np.array([step.is_first]), sample=False)
        action = Action(values=values[0])
        action.header.stamp = to_stamp(stamp)
        self._actions.publish(action)
        self._answered += 1


def main() -> int:
    return run_process(ActNode)
