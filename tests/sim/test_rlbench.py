"""RLBench's own Python and PyRep's run here wherever they are installed, CoppeliaSim's C library under them only where
it is installed too: otherwise `coppeliasim_stand_in` takes its place."""

import contextlib
import importlib.util
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

import sim
from sim import Env, SimDiedError, SimError
from sim.contract import EnvContract
from sim.experts import make_behaviour
from sim.rlbench import RLBenchEnv, installation

STAND_IN = {"coppeliasim_stand_in.py": "_sim_cffi.py", "coppeliasim_scene.py": "coppeliasim_scene.py"}
"""Files beside this one, and what they are called in pyrep.backend."""
COMPLETE = all(piece.found for piece in installation())


@pytest.fixture(scope="module")
def coppeliasim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """CoppeliaSim, or what stands in for its C library."""
    if COMPLETE:
        yield
        return
    missing = [name for name in ("rlbench", "pyrep", "cffi", "pyquaternion") if not importlib.util.find_spec(name)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    folder = tmp_path_factory.mktemp("coppeliasim")
    pyrep = importlib.util.find_spec("pyrep")
    assert pyrep is not None
    assert pyrep.origin is not None
    package = shutil.copytree(
        Path(pyrep.origin).parent, folder / "pyrep", ignore=shutil.ignore_patterns("_sim_cffi*", "__pycache__")
    )
    for file, name in STAND_IN.items():
        shutil.copy(Path(__file__).with_name(file), package / "backend" / name)
    (folder / "libcoppeliaSim.so").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("COPPELIASIM_ROOT", str(folder))
        patch.setenv("DISPLAY", ":0")  # nothing draws on it
        yield


def make(task: str = "take_lid_off_saucepan", **options: object) -> RLBenchEnv:
    environment = sim.make("rlbench", task, **options)  # type: ignore[arg-type]
    assert isinstance(environment, RLBenchEnv)
    return environment


@pytest.mark.usefixtures("coppeliasim")
class TestRLBench(EnvContract):
    steps_to_compare = 3
    episode_steps = 10

    def make(self, seed: int) -> Env:
        return make(seed=seed, action_repeat=15)


@pytest.mark.usefixtures("coppeliasim")
@pytest.mark.parametrize(("task", "arm"), [("take_lid_off_saucepan", "panda"), ("phone_on_base", "sawyer")])
def test_the_planner_is_followed_to_success(task: str, arm: str) -> None:
    with make(task, arm=arm, seed=3) as environment:
        assert environment.description.task == task
        first = environment.reset()
        expert = make_behaviour("expert", "rlbench", task, seed=0)
        expert.reset(environment)
        still = environment.step(np.array([0, 0, 0, 0, 0, 0, -1], np.float32))
        assert np.array_equal(first.image, still.image), "the plan left the environment elsewhere than at its start"
        time_steps = [still]
        while not time_steps[-1].is_last:
            time_steps.append(environment.step(expert.act(environment)))
        assert sum(time_step.task_reward for time_step in time_steps) == 1


@pytest.mark.usefixtures("coppeliasim")
def test_an_action_moves_and_turns_the_gripper_as_far_as_it_says() -> None:
    with make(seed=1) as environment:
        environment.reset()
        before = environment.pose.position
        environment.step(np.array([1, -0.5, 0, 0, 0, 0, -1], np.float32))
        assert environment.pose.position - before == pytest.approx([0.03, -0.015, 0], abs=2e-3)
        assert environment.pose.is_open
        environment.step(np.array([0, 0, 0, 0, 0, 0, 1], np.float32))
        assert not environment.pose.is_open


@pytest.mark.usefixtures("coppeliasim")
def test_moves_that_the_arm_cannot_make_leave_it_near_where_it_was_and_the_episode_goes_on() -> None:
    with make(seed=1) as environment:
        environment.reset()
        for _ in range(40):
            time_step = environment.step(np.array([0, 0, -1, 0, 0, 0, -1], np.float32))
        assert not time_step.is_last
        assert environment.pose.position[2] > 0.7, "under the table"
        lowest = environment.pose.position[2]
        environment.step(np.array([0, 0, 1, 0, 0, 0, -1], np.float32))
        assert environment.pose.position[2] > lowest + 0.02


@pytest.mark.usefixtures("coppeliasim")
def test_a_simulator_that_dies_is_told_and_started_again_while_others_go_on() -> None:
    with make(seed=1) as environment, make(seed=2) as other:
        environment.reset()
        other.reset()
        stay = np.zeros(7, np.float32)
        [process] = _simulators(environment)
        os.kill(process, signal.SIGKILL)
        with pytest.raises(SimDiedError, match=r"CoppeliaSim has died \(Killed") as death:
            environment.step(stay)
        assert "\n" not in str(death.value)
        with pytest.raises(SimError, match="reset"):
            environment.step(stay)
        other.step(stay)
        assert environment.reset().is_first
        environment.step(stay)


@pytest.mark.usefixtures("coppeliasim")
def test_no_simulator_outlives_its_environment_or_its_environments_process() -> None:
    environment = make(seed=1)
    [closed] = _simulators(environment)
    environment.close()
    assert not Path(f"/proc/{closed}").exists()
    code = "import sys; sys.path[:] = {!r}; import os, sim; w = sim.make('rlbench', 'take_lid_off_saucepan')\n"
    code += "print(w._simulator._process.pid); sys.stdout.flush(); os.kill(os.getpid(), 9)"
    run = subprocess.run([sys.executable, "-c", code.format(sys.path)], capture_output=True, text=True, check=False)
    orphan = int(run.stdout)
    with contextlib.suppress(ProcessLookupError):  # gone already
        ended, _, _ = select.select([os.pidfd_open(orphan)], [], [], 20)
        assert ended, "the simulator goes on without its environment"


@pytest.mark.usefixtures("coppeliasim")
def test_videos_of_the_planner_are_recorded(tmp_path: Path) -> None:
    from sim.record import record

    returns = record("rlbench", "take_lid_off_saucepan", "expert", 2, tmp_path, image_size=(64, 64), action_repeat=1)
    assert returns == [1, 1]
    described = yaml.safe_load((tmp_path / "take_lid_off_saucepan/expert/00000.yaml").read_text())
    assert set(described["versions"]) == {"rlbench", "PyRep"}


@pytest.mark.usefixtures("coppeliasim")
def test_mistakes_are_told() -> None:
    with pytest.raises(SimError, match="take_lid_off_saucepan"):
        make("take_lid_of_saucepan")
    with pytest.raises(SimError, match="sawyer"):
        make(arm="sawer")
    with pytest.raises(SimError, match="overhead"):
        make(camera="top")


@pytest.mark.skipif(COMPLETE, reason="all of RLBench is installed")
@pytest.mark.parametrize("call", [lambda: sim.tasks("rlbench"), lambda: make()])
def test_what_is_missing_is_named_with_its_remedy(call: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COPPELIASIM_ROOT", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SimError, match=r"needs CoppeliaSim 4\.1: .*export COPPELIASIM_ROOT=") as refusal:
        call()  # type: ignore[operator]
    assert "\n" not in str(refusal.value)


def _simulators(environment: RLBenchEnv) -> list[int]:
    assert environment._simulator is not None
    return [environment._simulator._process.pid]
