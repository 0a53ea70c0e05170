"""Atari 2600 games through the Arcade Learning Environment (Bellemare et al. 2013), as the field plays them.

Unless told otherwise as Machado et al. 2018 recommend: sticky actions, an action held for four frames, no random start.
The last two frames are pooled by their maximum, so that sprites that flicker are seen. The score is painted over: an
expert's score is not what a video model should learn (Escontrela et al. 2023, section 4).

The ground-truth reward is the change of the score. `Description.return_range` is from a random player's score to a
human's: where a score lies in it is the human-normalised score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ale_py
import cv2
import numpy as np
from ale_py import ALEInterface, roms
from numpy.typing import NDArray

from sim.env import ActionSpace, Description, Env, SimError, TimeStep

ACTION_REPEAT = 4
FRAMES_A_SECOND = 60
MAX_FRAMES = 108_000
"""Half an hour of play."""


@dataclass(frozen=True)
class Game:
    random_score: float
    human_score: float
    """Both from the table of Wang et al. 2016."""
    score_areas: tuple[tuple[int, int, int, int], ...]
    """Top, left, bottom and right of the digits on the 210 × 160 screen; bottom and right are just outside."""


GAMES = {
    "assault": Game(222.4, 742.0, ((2, 56, 10, 102),)),
    "atlantis": Game(12850.0, 29028.1, ((188, 55, 198, 104),)),
    "boxing": Game(0.1, 12.1, ((5, 32, 12, 54), (5, 96, 12, 118))),
    "breakout": Game(1.7, 30.5, ((5, 36, 15, 80),)),
    "defender": Game(2874.5, 18688.9, ((177, 56, 184, 102),)),
    "freeway": Game(0.0, 29.6, ((5, 40, 13, 56), (5, 104, 13, 120))),
    "kangaroo": Game(52.0, 3035.0, ((183, 97, 190, 128),)),
    "pong": Game(-20.7, 14.6, ((1, 16, 21, 48), (1, 96, 21, 128))),
    "zaxxon": Game(32.5, 9173.3, ((10, 52, 18, 98),)),
}

ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)


def tasks() -> tuple[str, ...]:
    """The games of the paper, and breakout."""
    return tuple(sorted(GAMES))


def make(
    task: str,
    *,
    image_size: tuple[int, int],
    action_repeat: int | None,
    seed: int,
    sticky: float = 0.25,
    noops: int = 0,
    full_actions: bool = False,
    life_loss: bool = False,
    show_score: bool = False,
    max_frames: int = MAX_FRAMES,
) -> Atari:
    """See `sim.make`. Options: `sticky`, the probability with which the console repeats the frame's action before;
    `noops`, episodes begin with up to so many frames of nothing; `full_actions`, all 18 actions and not only those that
    do something in the game; `life_loss`, losing a life ends the episode (the game goes on in the next);
    `show_score`; `max_frames`, an episode's time limit."""
    if not 0 <= sticky < 1:
        raise SimError(f"sticky {sticky}: a probability from 0 to below 1")
    if noops < 0 or max_frames < 1:
        raise SimError(f"noops {noops} and max_frames {max_frames}: no-ops from 0, frames from 1")
    options = {
        "sticky": sticky,
        "noops": noops,
        "full_actions": full_actions,
        "life_loss": life_loss,
        "show_score": show_score,
        "max_frames": max_frames,
    }
    return Atari(task, image_size, action_repeat or ACTION_REPEAT, seed, options)


class Atari(Env):
    """One console with one game."""

    task_rewards = "points"

    def __init__(
        self, task: str, image_size: tuple[int, int], action_repeat: int, seed: int, options: dict[str, Any]
    ) -> None:
        super().__init__()
        self._game = GAMES[task]
        self.action_repeat = action_repeat
        self._options = options
        self.console = ALEInterface()
        """For experts, who may try things on it and put its state back."""
        self.console.setFloat("repeat_action_probability", options["sticky"])
        rom = roms.get_rom_path(task)
        assert rom, f"ale-py brings {task}"
        self._rom = rom
        self._reseed(seed)
        legal = self.console.getLegalActionSet() if options["full_actions"] else self.console.getMinimalActionSet()
        self.actions = tuple(legal)
        """The console's action for each place in a one-hot action."""
        self.description = Description(
            sim="atari",
            task=task,
            action_space=ActionSpace("discrete", len(self.actions)),
            image_size=image_size,
            step_seconds=action_repeat / FRAMES_A_SECOND,
            return_range=(self._game.random_score, self._game.human_score),
            options=options,
        )

    def _reseed(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._frames = 0
        self.console.setInt("random_seed", seed % 2**31)
        self.console.loadROM(self._rom)  # which is when the console takes a seed

    def _reset(self) -> TimeStep:
        if not self._options["life_loss"] or self.console.game_over() or self.console.getEpisodeFrameNumber() == 0:
            self.console.reset_game()
        for _ in range(self._rng.integers(self._options["noops"] + 1)):
            self._act(ale_py.Action.NOOP)
        if self.console.game_over():
            self.console.reset_game()
        self._frames = 0
        self._lives = self.console.lives()
        self._screen = self.console.getScreenRGB()
        return TimeStep(self._image(self._screen), 0.0, is_first=True, is_last=False, is_terminal=False)

    def _step(self, action: NDArray[np.float32]) -> TimeStep:
        reward, before = 0.0, self._screen
        is_terminal = False
        for _ in range(self.action_repeat):
            before = self._screen
            reward += self._act(self.actions[int(action.argmax())])
            self._lives = max(self._lives, self.console.lives())  # games give them too
            lost = self._options["life_loss"] and self.console.lives() < self._lives
            is_terminal = self.console.game_over() or lost
            if is_terminal or self._frames == self._options["max_frames"]:
                break
        is_last = is_terminal or self._frames == self._options["max_frames"]
        return TimeStep(
            self._image(np.maximum(before, self._screen)),
            reward,
            is_first=False,
            is_last=is_last,
            is_terminal=is_terminal,
        )

    def _act(self, action: ale_py.Action) -> float:
        self._frames += 1
        points = float(self.console.act(action))
        self._screen = self.console.getScreenRGB()  # an expert who tries things leaves another one on the console
        return points

    def _image(self, screen: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 [210, 160, 3] → uint8 [height, width, 3], each pixel the mean of the area that it covers."""
        if not self._options["show_score"]:
            screen = screen.copy()
            for top, left, bottom, right in self._game.score_areas:
                screen[top:bottom, left:right] = 0
        height, width = self.description.image_size
        return np.asarray(cv2.resize(screen, (width, height), interpolation=cv2.INTER_AREA), np.uint8)

    def _close(self) -> None:
        del self.console
