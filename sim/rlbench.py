"""RLBench (James et al. 2020) itself, in CoppeliaSim, in a process of its own (`sim.rlbench_process`).

An action is how the gripper moves, in [-1, 1]: x, y and z (±1 is ±3 cm, in the world frame), a turn (a rotation
vector in the world frame, ±1 is ±0.2 rad along each), and the gripper, which opens below 0 and closes above.
Inverse kinematics finds the joints; a move that it can't make is made half as far, a quarter, and then not at all.

The ground-truth reward is 1 for the time step in which RLBench's conditions are first met and 0 for all others; the
episode goes on to its time limit, as in `sim.robosuite`.

CoppeliaSim may die. Then the step raises SimDiedError, and the next `reset` starts it again.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib.metadata
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.env import ActionSpace, Description, Env, SimDiedError, SimError, TimeStep

ARMS = ("panda", "jaco", "mico", "sawyer", "ur5")
CAMERAS = ("front", "left_shoulder", "right_shoulder", "overhead", "wrist")
STEP_METRES = 0.03
STEP_RADIANS = 0.2
_EPISODE_STEPS = 150
_STEP_SECONDS = 0.1
"""About: a move takes as many of the simulator's steps of 0.05 s as it needs."""
_START_SECONDS, _ANSWER_SECONDS = 180.0, 600.0
"""How long CoppeliaSim may take to start, and to answer: placing a task and planning a demonstration take minutes at
worst. After that it counts as dead."""


@dataclass(frozen=True)
class Piece:
    """A part of what RLBench needs."""

    name: str
    found: str
    """Where or which it is; empty where it is missing."""
    remedy: str


def installation() -> list[Piece]:
    """What RLBench needs on this machine, in the order in which to install it. Imports nothing of it."""
    root = Path(os.environ.get("COPPELIASIM_ROOT", ""))
    library = root / "libcoppeliaSim.so"
    screen = os.environ.get("DISPLAY", "") or shutil.which("Xvfb") or ""
    return [
        Piece(
            "CoppeliaSim 4.1",
            str(root) if os.environ.get("COPPELIASIM_ROOT") and library.exists() else "",
            "unpack CoppeliaSim Edu 4.1 from https://downloads.coppeliarobotics.com/V4_1_0 and "
            "`export COPPELIASIM_ROOT=<its folder>`",
        ),
        Piece("a screen (Xvfb)", screen, "`sudo apt install xvfb`"),
        Piece("PyRep", _version("PyRep", "pyrep"), "`pip install git+https://github.com/stepjam/PyRep.git`"),
        Piece("RLBench", _version("rlbench", "rlbench"), "`pip install git+https://github.com/stepjam/RLBench.git`"),
    ]


def tasks() -> tuple[str, ...]:
    """The installed RLBench's tasks. Raises SimError where it is not installed."""
    package = importlib.util.find_spec("rlbench")
    if package is None or package.origin is None:
        _refuse_incomplete()
        raise SimError("rlbench is not the RLBench package: " + installation()[-1].remedy)
    return tuple(sorted(path.stem for path in (Path(package.origin).parent / "tasks").glob("[!_]*.py")))


def make(
    task: str,
    *,
    image_size: tuple[int, int],
    action_repeat: int | None,
    seed: int,
    arm: str = "panda",
    camera: int | str = "front",
    fast_render: bool = True,
) -> RLBenchEnv:
    """See `sim.make`. Options: `arm`, one of `ARMS`; `camera`, one of `CAMERAS` or its number; `fast_render`, without
    shadows."""
    if arm not in ARMS:
        near = difflib.get_close_matches(arm, ARMS, n=1, cutoff=0.4) or ARMS
        raise SimError(f"no arm {arm!r}: did you mean {' or '.join(near)}?")
    if isinstance(camera, int) and 0 <= camera < len(CAMERAS):
        camera = CAMERAS[camera]
    if camera not in CAMERAS:
        raise SimError(f"no camera {camera!r}: choose {', '.join(CAMERAS)}")
    _refuse_incomplete()
    return RLBenchEnv(task, image_size, action_repeat or 1, seed, arm, str(camera), fast_render)


def _refuse_incomplete() -> None:
    for piece in installation():
        if not piece.found:
            raise SimError(f"sim rlbench needs {piece.name}: {piece.remedy}; `viper doctor` says what else is missing")


def _version(distribution: str, package: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        found = importlib.util.find_spec(package)
        return str(found.origin) if found else ""


@dataclass(frozen=True)
class Pose:
    """Of the gripper."""

    position: NDArray[np.float64]
    """float64 [3], m."""
    rotation: NDArray[np.float64]
    """float64 [4], a quaternion, x y z w."""
    is_open: bool


class RLBenchEnv(Env):
    """One arm at one task. `plan` and `pose` are for the expert."""

    task_rewards = "once"

    pose: Pose
    """Where the gripper is."""

    def __init__(
        self,
        task: str,
        image_size: tuple[int, int],
        action_repeat: int,
        seed: int,
        arm: str,
        camera: str,
        fast_render: bool,
    ) -> None:
        super().__init__()
        self._action_repeat = action_repeat
        self._settings = {
            "task": task,
            "arm": arm,
            "camera": camera,
            "image_size": image_size,
            "fast_render": fast_render,
        }
        self._seed = seed
        self.description = Description(
            sim="rlbench",
            task=task,
            action_space=ActionSpace("continuous", 7),
            image_size=image_size,
            step_seconds=_STEP_SECONDS * action_repeat,
            return_range=(0.0, 1.0),
            options={"arm": arm, "camera": camera, "fast_render": fast_render},
        )
        self._simulator: _Simulator | None = _Simulator(self._settings, seed)

    def plan(self) -> list[Pose]:
        """How RLBench's own planner would do the task from the episode's start; empty where it finds no way.

        The environment is at its start again after it. Raises SimError unless the episode has just begun.
        """
        self._refuse_if_closed()
        if not self._running or self._steps or self._simulator is None:
            raise SimError("RLBench plans from an episode's first time step: record with disturbance_steps 0")
        poses: list[Pose] = self._ask("plan")
        return poses

    def _reseed(self, seed: int) -> None:
        self._close()
        self._seed, self._simulator = seed, None
        self._simulator = _Simulator(self._settings, seed)

    def _reset(self) -> TimeStep:
        self._steps, self._solved = 0, False
        if self._simulator is None:
            # Another seed, for the same would lead to the same death.
            self._seed += 1
            self._simulator = _Simulator(self._settings, self._seed % 2**32)
        image, self.pose = self._ask("reset")
        return TimeStep(image, 0.0, is_first=True, is_last=False, is_terminal=False)

    def _step(self, action: NDArray[np.float32]) -> TimeStep:
        reward = 0.0
        for _ in range(self._action_repeat):
            image, self.pose, solved = self._ask("step", action)
            self._steps += 1
            if solved and not self._solved:
                self._solved = True
                reward = 1.0
            if self._steps == _EPISODE_STEPS:
                break
        return TimeStep(image, reward, is_first=False, is_last=self._steps == _EPISODE_STEPS, is_terminal=False)

    def _ask(self, request: str, *arguments: Any) -> Any:
        if self._simulator is None:
            raise SimError("CoppeliaSim is gone: call reset() to start it again")
        try:
            return self._simulator.ask(request, *arguments)
        except SimDiedError:
            self._simulator.close()
            self._simulator = None
            raise

    def _close(self) -> None:
        if self._simulator is not None:
            self._simulator.close()


class _Simulator:
    """The process with CoppeliaSim in it, and what comes with it, such as a screen."""

    def __init__(self, settings: dict[str, Any], seed: int) -> None:
        ours, theirs = socket.socketpair()
        self._log = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        root = os.environ["COPPELIASIM_ROOT"]
        libraries = [root, *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sim.rlbench_process", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                # A session of its own: Ctrl-C is for us to answer, and all that it starts can be stopped together.
                start_new_session=True,
                env=os.environ
                | {
                    "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
                    "LD_LIBRARY_PATH": os.pathsep.join(libraries),
                    "QT_QPA_PLATFORM_PLUGIN_PATH": root,
                },
            )
        self._connection: Connection = Connection(ours.detach())
        try:
            self.ask("start", settings, seed, seconds=_START_SECONDS)
        except SimError:
            self.close()
            raise

    def ask(self, request: str, *arguments: Any, seconds: float = _ANSWER_SECONDS) -> Any:
        """What the process answers. Raises SimError as it does, and SimDiedError where it doesn't."""
        try:
            self._connection.send((request, arguments))
            if not self._connection.poll(seconds):
                raise SimDiedError(f"CoppeliaSim has not answered for {seconds:.0f} s: it counts as dead")
            kind, answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise SimDiedError(f"CoppeliaSim has died ({self._last_words()})") from error
        if kind == "error":
            raise SimError(answer)
        return answer

    def _last_words(self) -> str:
        self._process.wait()
        self._log.seek(0)
        lines = [line.strip() for line in self._log if line.strip()]
        status = self._process.returncode
        how = signal.strsignal(-status) if status < 0 else f"exit status {status}"
        return f"{how}: {lines[-1]}" if lines else str(how)

    def close(self) -> None:
        self._connection.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()
