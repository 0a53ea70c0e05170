"""Which OpenGL library MuJoCo draws with, and how it stays out of PyTorch's way.

MuJoCo and dm_control read `MUJOCO_GL` once, when they are imported, and then load OpenGL. The modules of `sim` that
draw therefore settle both before they import MuJoCo; a process that draws nothing is left as it is.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from ctypes.util import find_library

APT = "apt install libegl1 libegl-mesa0 libgl1-mesa-dri"


def prepare_to_draw() -> None:
    """What modules call before they import MuJoCo."""
    choose_backend()
    load_triton_first()


def choose_backend() -> None:
    """Set `MUJOCO_GL` unless the user has. Neither choice needs a screen.

    `egl` draws on a GPU, or in software where there is none: the same pixels as OSMesa's, and no slower. `osmesa` is
    for machines that have nothing else; Mesa has stopped shipping it.
    """
    if "MUJOCO_GL" not in os.environ:
        os.environ["MUJOCO_GL"] = "osmesa" if find_library("OSMesa") and not find_library("EGL") else "egl"


def load_triton_first() -> None:
    """Load Triton's compiler, where PyTorch came with it, before Mesa.

    Both bring an LLVM. Mesa's drivers put theirs where every library loaded after them finds it, so that Triton, which
    PyTorch imports when an optimiser is made, would run into the wrong one and end the process. In this order each
    finds its own.
    """
    with contextlib.suppress(ImportError):
        importlib.import_module("triton")


def advice() -> str:
    """What to do when OpenGL does not come up, as the end of a sentence."""
    other = "osmesa" if os.environ.get("MUJOCO_GL") == "egl" else "egl"
    return f"MuJoCo can't draw with MUJOCO_GL={os.environ.get('MUJOCO_GL')}: `{APT}`, or try MUJOCO_GL={other}"
