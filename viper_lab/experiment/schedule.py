"""When a policy collects, when it is evaluated, and when it is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Purpose = Literal["train", "evaluate", "pass", "wait", "done"]
"""Of an episode, `pass` being to get it over with, unlearned and uncounted; or that there is none now, or any more."""


@dataclass
class Schedule:
    """Decides what each episode is for: a round of evaluation before training, one every `every` steps, one at the end.

    Rounds are numbered by the collected steps at which they fall due.
    """

    steps: int
    """Environment steps to collect."""
    every: int
    episodes: int
    """Evaluation episodes in a round; the first and the last round have `end_episodes`."""
    end_episodes: int
    evaluated: int = -1
    """The last round that is complete."""
    round: int | None = None
    """The round that is under way."""
    _given: int = 0
    _ended: int = 0

    def next_episode(self, collected: int) -> Purpose:
        """What the next episode is for, after `collected` steps. `wait`: ask again when an evaluation episode ended."""
        if self.done:
            return "done"
        if self.round is None and self._due(collected) > self.evaluated:
            self.round = self._due(collected)
        if self.round is None:
            return "train"
        if self._given == self._round_size:
            return "wait"
        self._given += 1
        return "evaluate"

    def evaluate_again(self) -> None:
        """An evaluation episode was cut: another takes its place."""
        self._given -= 1

    def end_evaluation(self) -> bool:
        """An evaluation episode has ended. True where that completes its round."""
        self._ended += 1
        if self.round is None or self._ended < self._round_size:
            return False
        self.evaluated = self.round
        self.round, self._given, self._ended = None, 0, 0
        return True

    @property
    def done(self) -> bool:
        return self.evaluated >= self.steps

    def _due(self, collected: int) -> int:
        return self.steps if collected >= self.steps else collected // self.every * self.every

    @property
    def _round_size(self) -> int:
        return self.end_episodes if self.round in (0, self.steps) else self.episodes
