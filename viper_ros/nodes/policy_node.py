"""Acts on what cameras see and learns from the rewards that follow."""

from __future__ import annotations

import dataclasses
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import Image
from std_msgs.msg import String

from sim import Description
from viper_lab.errors import UserError
from viper_lab.experiment.expert_videos import ExpertVideos, load_expert_videos
from viper_lab.experiment.provenance import run_config
from viper_lab.experiment.reward_source import reward_source
from viper_lab.experiment.run_directory import RunDirectory
from viper_lab.experiment.sections import POLICY_NODE
from viper_lab.experiment.trainer import ReplayStep, Settings, Trainer
from viper_model.agents.registry import check_agent
from viper_model.torch_tools.device import torch_device
from viper_model.videos.preparation import resize
from viper_ros.messages import environment_description as description
from viper_ros.messages import images
from viper_ros.msg import Action, Reward, Step
from viper_ros.runtime.join import Joiner
from viper_ros.runtime.node import Health, MessageError, ViperNode
from viper_ros.runtime.process import run_process
from viper_ros.runtime.qos import LATCHED, RELIABLE
from viper_ros.runtime.stamps import joining_stamp, nanoseconds, to_stamp

RETRY_SECONDS = 0.002

PARAMETERS = POLICY_NODE


class PolicyNode(ViperNode):
    """Subscribes to <environment>/image_raw, step, reward and description; publishes <environment>/action.

    Completes `done` when the schedule is: all steps collected and learned from, the last evaluation made.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("policy_node", PARAMETERS, **options)
        check_agent(*(self.value(name) for name in ("agent", "size", "image_size")))
        self.trainer: Trainer | None = None
        """From the time step when all environments have said what they are."""

    def configure(self) -> None:
        if not self.value("run"):
            raise UserError("no run: set the parameter 'run' to the directory where it is to live")
        self._device = torch_device(self.value("device"))
        self._environments = list(self.value("environments"))
        self._directory = Path(str(self.value("run"))).expanduser()
        self._descriptions: dict[str, Description] = {}
        self._joiners: dict[str, Joiner[np.ndarray, Step]] = {name: Joiner() for name in self._environments}
        self._actions = {name: self.create_publisher(Action, f"{name}/action", RELIABLE) for name in self._environments}

    def activate(self) -> None:
        self._save_timer = self.every(self.value("save_every"), self._save)
        # Runs only while the learner is behind what was collected.
        self._retry_timer = self.every(RETRY_SECONDS, self._send_answers)
        self._retry_timer.cancel()
        if self.trainer:
            self.trainer.learner.start()
        listeners = (
            (String, "description", self._on_description, LATCHED),
            (Step, "step", self._on_step, RELIABLE),
            (Image, "image_raw", self._on_image, RELIABLE),
            (Reward, "reward", self._on_reward, RELIABLE),
        )
        for name in self._environments:
            for kind, topic, callback, qos in listeners:
                self.listen(kind, f"{name}/{topic}", partial(callback, name), qos)

    def deactivate(self) -> None:
        self.destroy_timer(self._save_timer)
        self.destroy_timer(self._retry_timer)
        if self.trainer:
            self.trainer.learner.pause()

    def cleanup(self) -> None:
        for publisher in self._actions.values():
            self.destroy_publisher(publisher)
        if self.trainer:
            self.trainer.close()
            self._tell_end(self.trainer)
            self.trainer = None

    def claims(self) -> dict[str, type]:
        return {f"{name}/action": Action for name in self._environments}

    def health(self) -> Health:
        trainer = self.trainer
        if trainer is None:
            missing = [name for name in getattr(self, "_environments", []) if name not in self._descriptions]
            return Health(f"waiting for the description of {', '.join(missing)}", DiagnosticStatus.WARN)
        values = {
            "steps": trainer.collected,
            "updates": trainer.agent.updates,
            "last_evaluation_return": trainer.last_evaluation,
            "time_steps_without_reward": trainer.lost,
        }
        waiting = trainer.waiting_for_rewards()
        if waiting:
            return Health(f"waiting for the rewards of {', '.join(waiting)}", DiagnosticStatus.WARN, values)
        return Health("training", values=values)

    def _on_description(self, name: str, message: String) -> None:
        if self.trainer:
            return  # An environment that came back: the run goes on with what it began with.
        self._descriptions[name] = description.from_json(message.data)
        if len(self._descriptions) == len(self._environments):
            self.trainer = self._make_trainer()

    def _make_trainer(self) -> Trainer:
        descriptions = list(self._descriptions.values())
        if any(each.action_space != descriptions[0].action_space for each in descriptions):
            raise UserError("the environments have different actions: one policy needs them alike")
        values = {field.name: self.value(field.name) for field in dataclasses.fields(Settings)}
        values["device"] = self._device
        of_node = {each.name: self.value(each.name) for each in PARAMETERS if each.name != "experiment"}
        videos = self._expert_videos(descriptions[0])
        compared = videos.document() if videos else None
        run = RunDirectory(self._directory, run_config(descriptions[0], of_node, self.value("experiment"), compared))
        frames = videos.frames if videos else ()
        trainer = Trainer(Settings(**values), run, descriptions[0], self._environments, frames)
        trainer.learner.start()
        for line in trainer.replay.skipped:
            self.get_logger().warning(line)
        word = "goes on" if trainer.collected or trainer.agent.updates else "begins"
        self.get_logger().info(f"run {self._directory} {word} at step {trainer.collected} of {values['steps']}")
        return trainer

    def _expert_videos(self, environment: Description) -> ExpertVideos | None:
        """Those that the reward compares with; None where it doesn't."""
        source = reward_source(self.value("reward"))
        if source.compares_with == "nothing":
            return None
        if not self.value("videos"):
            raise UserError(f"reward {source.name}: set the parameter 'videos' to a folder of expert videos")
        root = Path(str(self.value("videos"))).expanduser()
        return load_expert_videos(root, environment, source.compares_with == "all_tasks", self.value("image_size"))

    def _tell_end(self, trainer: Trainer) -> None:
        if trainer.done:
            self.get_logger().info(f"run {self._directory} is done, after {trainer.collected} steps")
        else:
            self.get_logger().info(
                f"run {self._directory} has stopped at step {trainer.collected} of {trainer.settings.steps}: "
                "the same command goes on with it"
            )

    def _on_image(self, name: str, message: Image) -> None:
        if self.trainer is None:
            return  # The environment will publish it again.
        image = resize(images.to_rgb(message)[None], self.value("image_size"))[0]
        self._observe(name, self._joiners[name].left(joining_stamp(message.header), image))

    def _on_step(self, name: str, step: Step) -> None:
        if step.answered or self.trainer is None:
            return
        if self.trainer.reward_source.needs_task_reward and not isfinite(step.task_reward):
            raise MessageError(f"a task reward of {step.task_reward}, where that is what is learned from")
        stamp = joining_stamp(step.header)
        answer = self.trainer.last_answer(name, stamp)
        if answer is not None:
            self._send(name, stamp, answer)
        else:
            self._observe(name, self._joiners[name].right(stamp, step))

    def _on_reward(self, name: str, reward: Reward) -> None:
        if not (isfinite(reward.reward) and isfinite(reward.log_likelihood)):
            raise MessageError(f"a reward of {reward.reward}, ln p {reward.log_likelihood}: not finite")
        if self.trainer:
            self.trainer.reward(name, nanoseconds(reward.header.stamp), reward.reward, reward.log_likelihood)
            self._send_answers()

    def _observe(self, name: str, pair: tuple[int, np.ndarray, Step] | None) -> None:
        if self.trainer is None:
            return
        if pair is not None:
            stamp, image, step = pair
            self.trainer.observe(
                name, ReplayStep(stamp, image, step.is_first, step.is_last, step.is_terminal, step.task_reward)
            )
        self._send_answers()  # also to what is shown again: it may have had to wait when it was first seen

    def _send_answers(self) -> None:
        if self.trainer is None:
            return
        for name, stamp, action in self.trainer.answers():
            self._send(name, stamp, action)
        if not self.trainer.learner.behind():
            self._retry_timer.cancel()
        elif self._retry_timer.is_canceled():
            self._retry_timer.reset()
        if self.trainer.done:
            self.finish(0)

    def _send(self, name: str, stamp: int, values: np.ndarray) -> None:
        action = Action(values=values)
        action.header.stamp = to_stamp(stamp)
        self._actions[name].publish(action)

    def _save(self) -> None:
        if self.trainer:
            self.trainer.save()


def main() -> int:
    return run_process(PolicyNode)
