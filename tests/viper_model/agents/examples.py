"""Agents, batches and steps to test with."""

import numpy as np

from viper_model.agents import registry


def make_agent(exploration_weight=0.0, seed=0, action_kind="continuous", image_size=16, **options):
    return registry.make_agent(
        "dreamer", "tiny", action_kind, 2, image_size, exploration_weight=exploration_weight, seed=seed, **options
    )


def make_batch(seed=0, batch=4, time=6, image_size=16, action_kind="continuous"):
    rng = np.random.default_rng(seed)
    action = rng.uniform(-1, 1, (batch, time, 2))
    if action_kind == "discrete":
        action = np.eye(2)[rng.integers(2, size=(batch, time))]
    return {
        "image": rng.integers(0, 256, (batch, time, image_size, image_size, 3), dtype=np.uint8),
        "action": action.astype(np.float32),
        "reward": rng.normal(size=(batch, time)).astype(np.float32),
        "is_first": rng.random((batch, time)) < 0.2,
        "is_last": np.zeros((batch, time), bool),
        "is_terminal": np.zeros((batch, time), bool),
    }


def make_step(value=0, image_size=16, **changed):
    """A step that can be told from others by `value`."""
    step = {
        "stamp": 1000 + value,
        "image": np.full((image_size, image_size, 3), value % 256, np.uint8),
        "action": np.full(2, 0.5, np.float32),
        "reward": np.float32(value),
        "log_likelihood": np.float32(-value),
        "is_first": False,
        "is_last": False,
        "is_terminal": False,
    }
    return step | changed
