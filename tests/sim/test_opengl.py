"""`MUJOCO_GL` is read when a simulator is first imported, so each of these is a process of its own."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

import sim


def run(code: str, **environment: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if name not in ("MUJOCO_GL", "PYOPENGL_PLATFORM")}
    root = {"PYTHONPATH": str(Path(sim.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=inherited | root | environment, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


HIDE_LIBRARIES = """
import ctypes
load = ctypes.CDLL.__init__
def load_others(self, name, *arguments, **options):
    if any(library in str(name) for library in ("OSMesa", "EGL", "libGL")):
        raise OSError(f"{name}: cannot open shared object file")
    load(self, name, *arguments, **options)
ctypes.CDLL.__init__ = load_others
"""

TRY = """
import sim
try:
    sim.make('dmc', 'cartpole_balance')
except sim.SimError as error:
    print('told:', error)
"""


def test_the_users_choice_of_library_stands() -> None:
    code = "import os, sim.rendering; print(os.environ['MUJOCO_GL'])"
    assert run(code, MUJOCO_GL="glfw").strip() == "glfw"
    assert run(code).strip() in ("egl", "osmesa")


def test_a_process_that_draws_nothing_is_left_as_it_is() -> None:
    code = "import os; before = dict(os.environ); import sim; print(dict(os.environ) == before)"
    assert run(code).strip() == "True"


def test_a_missing_opengl_library_is_told() -> None:
    for backend in ("osmesa", "egl"):
        told = run(HIDE_LIBRARIES + TRY, MUJOCO_GL=backend)
        assert "told: " in told, told
        assert "apt install libegl1" in told


def test_an_unknown_opengl_library_is_told() -> None:
    assert "told: MuJoCo can't draw with MUJOCO_GL=direct3d" in run(TRY, MUJOCO_GL="direct3d")


def test_a_missing_simulator_is_told() -> None:
    told = run("import sys; sys.modules['dm_control'] = None" + TRY)
    assert "told: dmc needs the Python package dm_control: `pip install --no-deps mujoco" in told, told


def test_the_contract_loads_no_simulator_and_no_test_runner() -> None:
    code = "import sys, sim.contract, sim.record; print({'mujoco', 'dm_control', 'pytest', 'torch'} & set(sys.modules))"
    assert run(code).strip() == "set()"


def test_a_environment_that_nobody_closes_ends_quietly() -> None:
    # Finalizers that a library made before MuJoCo came up are all run after MuJoCo has let go of its drivers.
    code = "import weakref; weakref.finalize(weakref.WeakSet(), int); import sim\n"
    code += "environment = sim.make('dmc', 'cartpole_balance', image_size=(16, 16)); environment.reset()"
    assert run(code) == ""


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="this PyTorch came without Triton")
def test_pytorchs_compiler_can_be_loaded_after_a_environment_has_drawn() -> None:
    code = "import sim; sim.make('dmc', 'cartpole_balance', image_size=(16, 16)).reset()\n"
    code += "import torch; torch.optim.Adam([torch.zeros(1)]); import triton; print('both')"
    assert run(code) == "both\n"
