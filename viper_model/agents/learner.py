"""Training beside acting: a thread that updates the agent at a set ratio to what is collected."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from viper_model.agents.base import Agent, LearnedReward
from viper_model.agents.replay import Replay
from viper_model.errors import ModelError
from viper_model.torch_tools.checkpoint import read_tensors, write_tensors

SLACK_UPDATES = 3
"""Acting goes on while fewer updates than these are owed, so that neither waits for each of the other's steps."""
REWARD = "reward."
"""What the names of a learned reward's tensors begin with in a checkpoint."""


class Learner:
    """Runs updates in its own thread, so many that `replay_ratio` steps are replayed for each step collected.

    Each step collected adds to a credit that each update spends; the caller that waits while `behind` keeps the ratio.
    An error in the thread stops it, and is raised in the caller by the next call of any method but `stop`.
    """

    def __init__(
        self,
        agent: Agent,
        replay: Replay,
        replay_ratio: float,
        prefill_steps: int,
        seed: int,
        reward: LearnedReward | None = None,
    ) -> None:
        """prefill_steps: so many are collected before learning begins; they earn no credit. reward: learns from each
        batch, and rewards it anew, before the agent learns from it; None where the rewards in the replay count. The
        thread begins with `start`.
        """
        self.agent, self.replay, self.reward = agent, replay, reward
        unrewarded = agent.batch.steps - agent.batch.rewarded_steps
        self._context = max(0, reward.context - unrewarded) if reward else 0
        """Steps to sample before those that the agent learns from."""
        self._replay_ratio, self._prefill_steps = replay_ratio, prefill_steps
        self._rng = np.random.default_rng(seed)
        self._collected = 0
        self._credit = 0.0  # in replayed steps
        self._metrics: dict[str, float] = {}
        self._error: BaseException | None = None
        self._running = False
        self._stopping = False
        self._changed = threading.Condition()  # guards everything above that changes
        self._update_lock = threading.Lock()  # held during an update: who has it sees the agent between updates
        self._thread: threading.Thread | None = None

    @property
    def metrics(self) -> dict[str, float]:
        """Of the last update; empty before the first."""
        with self._changed:
            self._raise_error()
            return dict(self._metrics)

    def start(self) -> None:
        """Begin, or go on after `pause`."""
        with self._changed:
            self._raise_error()
            self._running = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="learner", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def pause(self) -> None:
        """Hold still, once the update under way has ended, until `start`. Credit goes on adding up."""
        with self._changed:
            self._raise_error()
            self._running = False
        with self._update_lock:
            pass

    def stop(self) -> None:
        """End the thread, once the update under way has ended. Stopping twice is harmless."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def collected(self, steps: int) -> None:
        """So many steps more are in the replay."""
        with self._changed:
            self._raise_error()
            self._collected += steps
            if self._collected > self._prefill_steps:
                self._credit += self._replay_ratio * min(steps, self._collected - self._prefill_steps)
                self._changed.notify_all()

    def catch_up(self) -> None:
        """Count the steps that the replay holds and this learner doesn't know of: those written after the last `save`,
        where a run was killed."""
        self.collected(max(0, self.replay.total - self._collected))

    def behind(self) -> bool:
        """Are so many updates owed that acting should wait? False while paused: waiting would not help."""
        with self._changed:
            self._raise_error()
            return self._running and self._owed(SLACK_UPDATES)

    def update(self) -> None:
        """One update now, in the calling thread: for callers that keep learning and acting in step without `start`."""
        shape = self.agent.batch
        batch = self.replay.sample(shape.sequences, self._context + shape.steps, self._rng)
        metrics: dict[str, float] = {}
        if self.reward:
            rewards, metrics = self.reward.relabel(batch, shape.rewarded_steps)
            batch["reward"][:, -shape.rewarded_steps :] = rewards
            batch = {name: value[:, self._context :] for name, value in batch.items()}
        metrics |= self.agent.update(batch)
        with self._changed:
            self._metrics = metrics
            self._credit -= shape.learned_steps

    def save(self, path: Path, **more: Any) -> None:
        """Save all that training needs to go on exactly, as one file: weights, optimizers, random state, credit.

        `more` is kept beside it, as JSON. Waits for the update under way. Raises ModelError where the file cannot be
        written.
        """
        with self._update_lock, self._changed:
            self._raise_error()
            tensors, agent = self.agent.state()
            document = {
                "agent": agent,
                "collected": self._collected,
                "credit": self._credit,
                "random": self._rng.bit_generator.state,
                "more": more,
            }
            if self.reward:
                reward_tensors, document["reward"] = self.reward.state()
                tensors |= {REWARD + name: tensor for name, tensor in reward_tensors.items()}
            tensors = {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
        write_tensors(path, tensors, document)

    def load(self, path: Path) -> dict[str, Any]:
        """Go on from where `save` was; returns its `more`.

        Raises ModelError where there is no such file or it is another agent's.
        """
        tensors, document = read_tensors(path)
        if "agent" not in document:
            raise ModelError(f"{path} holds no agent")
        with self._update_lock, self._changed:
            self._raise_error()
            self.agent.restore(tensors, document["agent"], path)
            if self.reward:
                if "reward" not in document:
                    raise ModelError(f"{path} holds no learned reward")
                of_reward = {k.removeprefix(REWARD): v for k, v in tensors.items() if k.startswith(REWARD)}
                self.reward.restore(of_reward, document["reward"], path)
            self._collected, self._credit = document["collected"], document["credit"]
            self._rng.bit_generator.state = document["random"]
            self._changed.notify_all()
        more: dict[str, Any] = document["more"]
        return more

    def _owed(self, updates: int = 1) -> bool:
        shape = self.agent.batch
        if self._credit < updates * shape.learned_steps:
            return False
        # Fewer windows than sequences would be the same few over and over.
        return self.replay.windows(self._context + shape.steps) >= shape.sequences

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while self._update_when_owed():
                pass
        except BaseException as error:  # the caller is told, whatever it is
            with self._changed:
                self._error = error

    def _update_when_owed(self) -> bool:
        """One update, as soon as it is owed. Returns False when stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or (self._running and self._owed()))
            if self._stopping:
                return False
        with self._update_lock:
            with self._changed:
                if not self._running:  # paused in between
                    return True
            self.update()
        return True
