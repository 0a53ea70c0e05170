"""Planning on the console itself: whatever a game is, its own rules say what pays.

At each step, plays that hold random actions for a while are tried from the console's state, the best one's first action
is taken, and the rest of it is tried again in the next step. The console is tried with the same sticky actions as it is
played with, so a play that hangs on a single frame is not trusted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ale_py import Action, ALEInterface
from numpy.typing import NDArray

from sim.atari import Atari
from sim.env import Env, SimError
from sim.experts.behaviours import Behaviour

_DISCOUNT = 0.97
"""A step: points that come sooner are surer."""


@dataclass(frozen=True)
class GameSettings:
    samples: int = 20
    """Plays tried at a step, the last one's rest among them."""
    horizon: int = 20
    """Steps."""
    hold: int = 6
    """Steps for which an action is held at most."""
    life: float = 0.0
    """Points that a life is worth."""
    shaping: Callable[[NDArray[np.uint8]], float] | None = None
    """Memory -> points for being where a play ends, in planning only."""


def _height_of_kangaroo(ram: NDArray[np.uint8]) -> float:
    return -2.0 * float(ram[16])


_SETTINGS = {
    "assault": GameSettings(life=100),
    "atlantis": GameSettings(horizon=30),
    "boxing": GameSettings(horizon=12),
    "breakout": GameSettings(horizon=30, hold=8, life=5),
    "defender": GameSettings(life=500),
    "kangaroo": GameSettings(horizon=30, hold=10, life=200, shaping=_height_of_kangaroo),
    "pong": GameSettings(horizon=30),
    "zaxxon": GameSettings(horizon=30, life=300),
}


def make_expert(task: str, seed: int) -> Behaviour:
    return RoadCrosser() if task == "freeway" else GamePlanner(_SETTINGS[task], seed)


class RoadCrosser:
    """Freeway: up the road; where a car would come in between, whatever of waiting and stepping back gets further."""

    _WAIT, _UP, _DOWN = Action.NOOP, Action.UP, Action.DOWN
    _PLAYS = (
        (_UP,) * 6,
        (_WAIT,) + (_UP,) * 5,
        (_DOWN,) + (_UP,) * 5,
        (_WAIT,) * 2 + (_UP,) * 4,
        (_DOWN,) * 2 + (_UP,) * 4,
    )
    """Tried in this order. Longer ones cross less often: with sticky actions, cars that far off are met by chance."""
    _ENOUGH = 16
    """Pixels up the road in a play. Unhindered, its 24 frames bring as many."""
    _HEIGHT = 14
    """Of the console's memory, the byte that has the chicken's height on the screen."""

    def reset(self, env: Env) -> None:
        if not isinstance(env, Atari):
            raise SimError(f"this expert can't look ahead in {env.description.sim}: choose another behaviour")

    def act(self, env: Env) -> NDArray[np.float32]:
        """The next action, one-hot float32 [size]. The console's state is put back."""
        assert isinstance(env, Atari)
        now = env.console.cloneState()
        best, furthest = self._PLAYS[0], -math.inf
        for play in self._PLAYS:
            way = self._way(env, play)
            env.console.restoreState(now)
            if way > furthest:
                best, furthest = play, way
            if way >= self._ENOUGH:
                break
        action = np.zeros(len(env.actions), np.float32)
        action[env.actions.index(best[0])] = 1
        return action

    def _way(self, env: Atari, play: tuple[Action, ...]) -> float:
        """Pixels that a play brings the chicken up the road, infinite where it gets across. The console moves."""
        begin = int(env.console.getRAM()[self._HEIGHT])
        for action in play:
            for _ in range(env.action_repeat):
                if env.console.act(action) > 0:
                    return math.inf
        return int(env.console.getRAM()[self._HEIGHT]) - begin


class GamePlanner:
    """A behaviour that tries plays on the console and puts its state back."""

    def __init__(self, settings: GameSettings, seed: int) -> None:
        self._settings = settings
        self._rng = np.random.default_rng(seed)

    def reset(self, env: Env) -> None:
        if not isinstance(env, Atari):
            raise SimError(f"this planner can't look ahead in {env.description.sim}: choose another behaviour")
        self._plan = self._random_play(len(env.actions))

    def act(self, env: Env) -> NDArray[np.float32]:
        """The next action, one-hot float32 [size]. The console's state is put back."""
        assert isinstance(env, Atari)
        size = len(env.actions)
        plays = [self._plan, *(self._variation(size) for _ in range(self._settings.samples - 1))]
        now = env.console.cloneState()
        worth = []
        for play in plays:
            worth.append(self._worth(env, play))
            env.console.restoreState(now)
        best = plays[int(np.argmax(worth))]
        self._plan = np.append(best[1:], self._rng.integers(size))
        action = np.zeros(size, np.float32)
        action[best[0]] = 1
        return action

    def _worth(self, env: Atari, play: NDArray[np.int64]) -> float:
        """The discounted points of a play from the console's state, which moves."""
        console: ALEInterface = env.console
        lives, points, discount = console.lives(), 0.0, 1.0
        for choice in play:
            for _ in range(env.action_repeat):
                points += discount * console.act(env.actions[choice])
            if console.game_over():
                break
            discount *= _DISCOUNT
        points -= self._settings.life * (lives - console.lives())
        if self._settings.shaping is not None:
            points += self._settings.shaping(console.getRAM())
        return points

    def _variation(self, size: int) -> NDArray[np.int64]:
        """A random play, or the plan up to a random step and then a random play."""
        play = self._random_play(size)
        kept = int(self._rng.integers(self._settings.horizon)) if self._rng.random() < 0.5 else 0
        play[:kept] = self._plan[:kept]
        return play

    def _random_play(self, size: int) -> NDArray[np.int64]:
        """Actions held for 1 to `hold` steps each, int64 [horizon]."""
        settings = self._settings
        holds = self._rng.integers(1, settings.hold + 1, settings.horizon)
        return np.repeat(self._rng.integers(size, size=settings.horizon), holds)[: settings.horizon]
