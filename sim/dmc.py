"""The DeepMind Control Suite (Tassa et al. 2018), seen through a camera."""

from __future__ import annotations

from sim import opengl

opengl.prepare_to_draw()

import math
from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
from dm_control import suite
from numpy.typing import NDArray

from sim.env import ActionSpace, Description, Env, TimeStep
from sim.rendering import FrameRenderer

ACTION_REPEAT = 2
"""What work on pixels from the suite uses (Hafner et al. 2019), unless told otherwise."""

_SHORT_DOMAINS = {"cup": "ball_in_cup", "pointmass": "point_mass"}
_CAMERAS = {
    "quadruped": 2,
    # lookatcart. The usual one, 0, loses sight of the cart at the rail's ends, and an empty picture is a likely one.
    "cartpole": 1,
}
# Linear-quadratic regulators have neither actuator limits nor an end.
_TASKS = {f"{domain}_{task}": (domain, task) for domain, task in suite.ALL_TASKS if domain != "lqr"}
_TASKS |= {
    f"{short}_{task}": (domain, task)
    for short, long in _SHORT_DOMAINS.items()
    for domain, task in suite.ALL_TASKS
    if domain == long
}


def tasks() -> tuple[str, ...]:
    """`<domain>_<task>` for each task of the suite, with the short names of the literature (`cup_catch`) beside."""
    return tuple(sorted(_TASKS))


def make(
    task: str,
    *,
    image_size: tuple[int, int],
    action_repeat: int | None,
    seed: int,
    camera: int | str | None = None,
    fast_render: bool = True,
) -> DMC:
    """See `sim.make`. Options: `camera`, an index or name, None for the one that the field records the domain with;
    `fast_render`, see `sim.rendering.FrameRenderer`."""
    return DMC(task, image_size, action_repeat or ACTION_REPEAT, seed, camera, fast_render)


class DMC(Env):
    """A task of the suite. An episode is 1000 control steps, each with a reward from 0 to 1."""

    task_rewards = "every_step"

    def __init__(
        self,
        task: str,
        image_size: tuple[int, int],
        action_repeat: int,
        seed: int,
        camera: int | str | None,
        fast_render: bool,
    ) -> None:
        super().__init__()
        domain, task_of_domain = _TASKS[task]
        self._suite_env: Any = suite.load(domain, task_of_domain, task_kwargs={"random": seed})
        self._physics: Any = self._suite_env.physics
        self._action_repeat = action_repeat
        self._actions = self._suite_env.action_spec()
        self._imagined: Any = self._physics.copy(share_model=True)
        if camera is None:
            camera = _CAMERAS.get(domain, 0)
        self._renderer = FrameRenderer(self._physics.model.ptr, image_size, camera, fast=fast_render)
        self.description = Description(
            sim="dmc",
            task=task,
            action_space=ActionSpace("continuous", self._actions.shape[0]),
            image_size=image_size,
            step_seconds=self._suite_env.control_timestep() * action_repeat,
            return_range=(0.0, 1000.0),
            options={"camera": self._renderer.camera, "fast_render": fast_render},
        )

    def rollout_rewards(
        self,
        actions: NDArray[np.float32],
        reward: Callable[[Any], float] | None = None,
        shaping: Callable[[Any], float] | None = None,
        coarseness: int = 1,
    ) -> NDArray[np.float64]:
        """What would follow from this time step: the task's reward after each step, for each sequence of actions.

        `actions`: [samples, horizon, size] in [-1, 1]. Returns float64 [samples, horizon], the reward of the last
        control step in each step (`reward(physics)` in place of the task's own where given), plus `shaping(physics)`
        where given. `coarseness`: how many times as long as the environment's own its physics steps are at most, fewer
        for it. The environment itself doesn't move.
        """
        model, data = self._imagined.model.ptr, self._imagined.data.ptr
        task = self._suite_env.task
        reward = reward or task.get_reward
        physics_steps = self._action_repeat * self._suite_env._n_sub_steps
        coarseness = math.gcd(coarseness, physics_steps)
        now = np.empty(mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_INTEGRATION))
        mujoco.mj_getState(model, self._physics.data.ptr, now, mujoco.mjtState.mjSTATE_INTEGRATION)
        controls = self._to_controls(actions)
        rewards = np.empty(actions.shape[:2])
        timestep = model.opt.timestep
        model.opt.timestep = coarseness * timestep
        for sample, sequence in enumerate(controls):
            mujoco.mj_setState(model, data, now, mujoco.mjtState.mjSTATE_INTEGRATION)
            for step, control in enumerate(sequence):
                task.before_step(control, self._imagined)
                mujoco.mj_step(model, data, physics_steps // coarseness)
                mujoco.mj_step1(model, data)
                rewards[sample, step] = reward(self._imagined)
                if shaping is not None:
                    rewards[sample, step] += shaping(self._imagined)
        model.opt.timestep = timestep
        return rewards

    def _to_controls(self, actions: NDArray[np.float32]) -> NDArray[np.float64]:
        low, high = self._actions.minimum, self._actions.maximum
        controls: NDArray[np.float64] = low + (actions.astype(np.float64) + 1) / 2 * (high - low)
        return controls

    def _reseed(self, seed: int) -> None:
        self._suite_env.task._random = np.random.RandomState(seed)

    def _reset(self) -> TimeStep:
        self._suite_env.reset()
        self._renderer.upload_terrain()
        return TimeStep(self._frame(), 0.0, is_first=True, is_last=False, is_terminal=False)

    def _step(self, action: NDArray[np.float32]) -> TimeStep:
        control = self._to_controls(action)
        reward = 0.0
        for _ in range(self._action_repeat):
            time_step = self._suite_env.step(control)
            reward += time_step.reward
            if time_step.last():
                break
        is_terminal = time_step.last() and time_step.discount == 0
        return TimeStep(self._frame(), reward, is_first=False, is_last=time_step.last(), is_terminal=is_terminal)

    def _frame(self) -> NDArray[np.uint8]:
        return self._renderer.render(self._physics.data.ptr)

    def _close(self) -> None:
        self._renderer.close()
        self._imagined.free()
        self._suite_env.close()
