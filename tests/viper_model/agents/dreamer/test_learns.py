"""Does the agent learn to act from pixels? Slow: run by `make test-learning`."""

import numpy as np
import pytest

from viper_model.agents.registry import make_agent
from viper_model.agents.replay import Replay

STEPS, IMAGE_SIZE = 50, 32


class Point:
    """A bright point to be pushed to the centre of a dark frame; the reward, up to 1 a step, is how near it is."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        axis = np.linspace(-1, 1, IMAGE_SIZE)
        self.pixels = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1)

    def reset(self):
        self.position, self.step_number = self.rng.uniform(-1, 1, 2), 0
        return self.time_step()

    def step(self, action):
        self.position = (self.position + 0.15 * action).clip(-1, 1)
        self.step_number += 1
        return self.time_step()

    def time_step(self):
        brightness = np.exp(-((self.pixels - self.position) ** 2).sum(-1) / 0.02)
        return {
            "image": np.repeat((255 * brightness).astype(np.uint8)[..., None], 3, -1),
            "reward": float(np.exp(-(self.position**2).sum() / 0.1)),
            "log_likelihood": 0.0,
            "is_first": self.step_number == 0,
            "is_last": self.step_number == STEPS,
            "is_terminal": False,
        }


def return_of_an_episode(env, act):
    time_step, total = env.reset(), 0.0
    while True:
        action = act(time_step)
        if time_step["is_last"]:
            return total
        time_step = env.step(action)
        total += time_step["reward"]


@pytest.mark.learning
def test_a_point_is_pushed_to_the_centre(tmp_path):
    env, rng = Point(0), np.random.default_rng(0)
    agent = make_agent("dreamer", "tiny", "continuous", 2, IMAGE_SIZE, exploration_weight=0.0, seed=0)
    replay = Replay(tmp_path, 10_000, IMAGE_SIZE, 2)
    policy = agent.policy()

    def acting(sample):
        state = policy.initial(1)

        def act(time_step):
            nonlocal state
            action, state = policy.act(state, time_step["image"][None], np.array([time_step["is_first"]]), sample)
            return action[0]

        return act

    def explore(act):
        def collect(time_step):
            action = act(time_step)
            replay.append("env_0", {**time_step, "stamp": replay.total, "action": action})
            return action

        return_of_an_episode(env, collect)

    for _ in range(10):
        explore(lambda _: rng.uniform(-1, 1, 2).astype(np.float32))
    for _ in range(40):
        for _ in range(12):
            agent.update(replay.sample(16, 16, rng))
        policy.refresh()
        explore(acting(sample=True))

    learned = np.mean([return_of_an_episode(env, acting(sample=False)) for _ in range(10)])
    best = np.mean([return_of_an_episode(env, lambda _: (-env.position / 0.15).clip(-1, 1)) for _ in range(10)])
    idle = np.mean([return_of_an_episode(env, lambda _: np.zeros(2)) for _ in range(10)])
    assert learned > idle + 0.85 * (best - idle)
