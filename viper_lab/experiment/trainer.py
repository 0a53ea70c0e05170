"""Learning from what the graph brings: frames, steps and rewards in, actions out. No rclpy: stamps are numbers."""

from __future__ import annotations

import dataclasses
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sim import Description
from viper_lab.experiment.reward_source import make_reward_source
from viper_lab.experiment.run_directory import RunDirectory
from viper_lab.experiment.schedule import Purpose, Schedule
from viper_model.agents.learner import Learner
from viper_model.agents.registry import make_agent
from viper_model.agents.replay import Replay


@dataclass(frozen=True)
class Settings:
    """What a training run does. `PolicyNode` declares each as a parameter of the same name, with its meaning."""

    reward: str
    """A name in `REWARD_SOURCES`."""
    agent: str
    size: str
    image_size: int
    exploration_weight: float
    steps: int
    prefill: int
    batch_size: int
    batch_length: int
    replay_ratio: float
    replay_capacity: int
    evaluate_every: int
    evaluation_episodes: int
    end_evaluation_episodes: int
    seed: int
    device: str


@dataclass
class ReplayStep:
    """All that belongs to one stamp of one environment."""

    stamp: int
    image: np.ndarray
    """uint8 [image_size, image_size, 3]."""
    is_first: bool
    is_last: bool
    is_terminal: bool
    task_reward: float
    """The simulator's own reward, NaN where nobody knows it."""
    action: np.ndarray | None = None
    reward: float | None = None
    log_likelihood: float = float("nan")


@dataclass
class Episode:
    """What is worth telling of an episode under way."""

    purpose: Purpose
    joined_midway: bool
    """Whether it began before anybody saw it: its return is a part."""
    task_return: float = 0.0
    reward: float = 0.0
    """The sum of what is learned from."""
    time_steps: list[ReplayStep] = field(default_factory=list)


class Environment:
    """One environment's part in training."""

    def __init__(self, name: str, state: Any) -> None:
        self.name = name
        self.state = state
        self.episode: Episode | None = None
        self.current: ReplayStep | None = None
        """The newest time step, while it has no action."""
        self.joined_midway = False
        """Whether the episode to come began before anybody saw it."""
        self.unrewarded: OrderedDict[int, tuple[ReplayStep, Episode]] = OrderedDict()
        """Time steps that have been answered and wait for their rewards, in order."""
        self.answered: tuple[int, np.ndarray] | None = None
        """The last answer, for an environment that missed it."""
        self.stored: tuple[int, np.ndarray] | None = None
        """The last time step that replay had when the run went on, and its answer: the environment may have missed that
        too."""

    def knows(self, stamp: int) -> bool:
        """Has the time step with this stamp been seen, as far back as an environment shows time steps again?"""
        known = [time_step[0] for time_step in (self.answered, self.stored) if time_step]
        return stamp in self.unrewarded or stamp in known or bool(self.current and self.current.stamp == stamp)


class Trainer:
    """Acts in environments and learns from them, as the schedule says.

    For each environment: `observe` each time step, `reward` it when its reward is known, and send what `answers` gives.
    Rewards may come a little late: the action for a frame is chosen while the reward of the frame before is under
    way, never more, so that nothing piles up where no rewards come.
    """

    def __init__(
        self,
        settings: Settings,
        run: RunDirectory,
        description: Description,
        environments: list[str],
        expert_videos: Sequence[np.ndarray] = (),
    ) -> None:
        """Goes on from the checkpoint and the replay in the run's directory, where there are any.

        expert_videos: uint8 [time, image_size, image_size, 3] each, where the reward compares with any.
        """
        self.settings, self.run, self._description = settings, run, description
        self.reward_source = make_reward_source(
            settings.reward, expert_videos, settings.size, settings.image_size, settings.seed, settings.device
        )
        self._checkpoint = run.directory / "checkpoint.safetensors"
        self.agent = make_agent(
            settings.agent,
            settings.size,
            description.action_space.kind,
            description.action_space.size,
            settings.image_size,
            exploration_weight=settings.exploration_weight,
            seed=settings.seed,
            device=settings.device,
            batch_size=settings.batch_size,
            batch_length=settings.batch_length,
        )
        self.replay = Replay(
            run.directory / "replay", settings.replay_capacity, settings.image_size, description.action_space.size
        )
        self.learner = Learner(
            self.agent,
            self.replay,
            settings.replay_ratio,
            settings.prefill,
            settings.seed,
            self.reward_source.learned,
        )
        self.schedule = Schedule(
            settings.steps, settings.evaluate_every, settings.evaluation_episodes, settings.end_evaluation_episodes
        )
        if self._checkpoint.exists():
            self.schedule.evaluated = self.learner.load(self._checkpoint)["evaluated"]
        self.learner.catch_up()
        self.policy = self.agent.policy()
        self._policy_updates = self.agent.updates
        self._environments = {name: Environment(name, self.policy.initial(1)) for name in environments}
        for environment in self._environments.values():
            environment.stored = self.replay.newest(environment.name)
        self._random = np.random.default_rng([settings.seed, self.collected])
        self.lost = 0
        """Time steps that were answered and never rewarded."""
        self.last_evaluation: float | None = None
        """The mean ground-truth return of the last round of evaluation."""
        self._evaluated: list[tuple[float, float]] = []
        """The ground-truth returns and rewards of the round of evaluation that is under way."""

    @property
    def collected(self) -> int:
        """Environment steps in replay, ever."""
        return self.replay.total

    @property
    def done(self) -> bool:
        return self.schedule.done

    def observe(self, name: str, time_step: ReplayStep) -> None:
        """A new time step of environment `name`. One that has been seen before changes nothing."""
        environment = self._environments[name]
        if environment.knows(time_step.stamp):
            return
        if environment.episode is None and not time_step.is_first:
            # The run went on in the middle of an episode: to the agent, one begins here.
            time_step = dataclasses.replace(time_step, is_first=True)
            environment.joined_midway = True
        elif environment.episode and time_step.is_first:
            # The environment began anew in the middle of one: no return tells what that was worth.
            if environment.episode.purpose == "evaluate":
                self.schedule.evaluate_again()
            environment.episode = None
        time_step.reward = self.reward_source.of_time_step(name, time_step)
        environment.current = time_step

    def last_answer(self, name: str, stamp: int) -> np.ndarray | None:
        """The action that answered `stamp`, if that was the last one to be answered."""
        environment = self._environments[name]
        for answered in (environment.answered, environment.stored):
            if answered and answered[0] == stamp:
                return answered[1]
        return None

    def reward(self, name: str, stamp: int, reward: float, log_likelihood: float) -> None:
        """The reward for the time step with this stamp."""
        environment = self._environments[name]
        time_step, _ = environment.unrewarded.get(stamp, (environment.current, None))
        if time_step and time_step.stamp == stamp:
            time_step.log_likelihood = log_likelihood
            scored = self.reward_source.of_score(reward)
            if scored is not None:
                if time_step.reward is not None:
                    self._give_up_before(environment, time_step)
                time_step.reward = scored
            self._store(environment)

    def answers(self) -> list[tuple[str, int, np.ndarray]]:
        """The actions that can be chosen now: name, stamp and action [size] of each environment that can move on."""
        return [answer for environment in self._environments.values() if (answer := self._answer(environment))]

    def news(self) -> str:
        """What is going on, in a few words."""
        if self.schedule.round is not None:
            return f"evaluating at step {self.schedule.round}"
        if self.last_evaluation is not None:
            return f"last evaluation: ground-truth return {self.last_evaluation:.4g}"
        return ""

    def waiting_for_rewards(self) -> list[str]:
        """The environments that stand still because rewards are missing."""
        return [e.name for e in self._environments.values() if e.current and len(e.unrewarded) > 1]

    def close(self) -> None:
        """Stop learning, save, and let go of the run. Raises ModelError where it can't be saved."""
        self.learner.stop()
        try:
            self.save()
        finally:
            self.run.close()

    def save(self) -> None:
        """Make all that was learned and collected so far survive. Raises ModelError where it can't be written."""
        self.replay.flush()
        self.learner.save(self._checkpoint, evaluated=self.schedule.evaluated)

    def _answer(self, environment: Environment) -> tuple[str, int, np.ndarray] | None:
        time_step = environment.current
        if time_step is None or len(environment.unrewarded) > 1:
            return None
        if environment.episode is None:
            purpose = self.schedule.next_episode(self.collected)
            if purpose in ("wait", "done"):
                return None
            if purpose == "evaluate" and environment.joined_midway:
                self.schedule.evaluate_again()
                purpose = "pass"
            environment.episode, environment.joined_midway = Episode(purpose, environment.joined_midway), False
            environment.state = self.policy.initial(1)
        episode = environment.episode
        collecting = episode.purpose == "train"
        if collecting and self.learner.behind():
            return None
        time_step.action = self._act(environment, time_step, collecting)
        environment.answered = (time_step.stamp, time_step.action)
        environment.unrewarded[time_step.stamp] = (time_step, episode)
        environment.current = None
        if time_step.is_last:
            environment.episode = None
        self._store(environment)
        return environment.name, time_step.stamp, time_step.action

    def _act(self, environment: Environment, time_step: ReplayStep, collecting: bool) -> np.ndarray:
        if time_step.is_last:
            return np.zeros(
                self._description.action_space.size, np.float32
            )  # Its answer only asks for the next episode.
        if collecting and self.collected < self.settings.prefill:
            return self._description.action_space.sample(self._random)
        if self._policy_updates != self.agent.updates:
            self._policy_updates = self.agent.updates
            self.policy.refresh()
        action, environment.state = self.policy.act(
            environment.state, time_step.image[None], np.array([time_step.is_first]), sample=collecting
        )
        return action[0]

    def _give_up_before(self, environment: Environment, time_step: ReplayStep) -> None:
        """The reward of `time_step` came again, as the environment shows its last time steps again, in order.

        So what was answered before and has no reward even now never gets one.
        """
        for stamp, (earlier, _) in list(environment.unrewarded.items()):
            if earlier is time_step:
                return
            if earlier.reward is None:
                del environment.unrewarded[stamp]
                self.lost += 1
                time_step.is_first = True  # To the agent: what led here is unknown.

    def _store(self, environment: Environment) -> None:
        """Move on what is complete, in order."""
        while environment.unrewarded:
            time_step, episode = next(iter(environment.unrewarded.values()))
            if time_step.reward is None:
                return
            environment.unrewarded.popitem(last=False)
            episode.task_return += time_step.task_reward
            if not time_step.is_first:
                episode.reward += time_step.reward
            if episode.purpose == "train":
                self._collect(environment.name, time_step)
            else:
                episode.time_steps.append(time_step)
            if time_step.is_last:
                self._end(episode)

    def _collect(self, name: str, time_step: ReplayStep) -> None:
        self.replay.append(
            name,
            {
                "stamp": time_step.stamp,
                "image": time_step.image,
                "action": time_step.action,
                "reward": np.float32(time_step.reward),
                "log_likelihood": np.float32(time_step.log_likelihood),
                "is_first": time_step.is_first,
                "is_last": time_step.is_last,
                "is_terminal": time_step.is_terminal,
            },
        )
        self.learner.collected(1)

    def _end(self, episode: Episode) -> None:
        if episode.purpose == "pass" or episode.joined_midway:
            return
        if episode.purpose == "train":
            values = {
                "train_return": episode.task_return,
                "train_reward": episode.reward,
                "updates": self.agent.updates,
                **self.learner.metrics,
            }
            self.run.log(self.collected, time=time.time(), **values)
            self.run.show(self.collected, **values)
            return
        number = self.schedule.round
        self._evaluated.append((episode.task_return, episode.reward))
        if self.schedule.end_evaluation():
            # At once: what is left of a round that was cut short, and is gone through again, would count twice.
            for index, (task_return, reward) in enumerate(self._evaluated):
                self.run.log(
                    self.collected, round=number, episode=index, evaluation_return=task_return, evaluation_reward=reward
                )
            self.last_evaluation = float(np.mean([task_return for task_return, _ in self._evaluated]))
            self._evaluated = []
            self.run.show(self.collected, evaluation_return=self.last_evaluation)
            time_steps = episode.time_steps
            self.run.save_episode(
                f"evaluation_{number:08d}",
                {
                    "image": np.stack([m.image for m in time_steps]),
                    "action": np.stack([m.action for m in time_steps if m.action is not None]),
                    "task_reward": np.array([m.task_reward for m in time_steps]),
                    "reward": np.array([m.reward for m in time_steps], np.float32),
                    "log_likelihood": np.array([m.log_likelihood for m in time_steps], np.float32),
                },
            )
