"""Which OpenGL library MuJoCo draws with.

MuJoCo and dm_control read `MUJOCO_GL` once, when they are imported. `import sim` therefore settles it here, before any
simulator is imported.
"""

from __future__ import annotations

import os
from pathlib import Path

APT = "apt install libosmesa6 libegl1 libegl-mesa0 libgl1-mesa-dri"


def choose_backend() -> None:
    """Set `MUJOCO_GL` unless the user has: `egl` on a machine with a GPU, else `osmesa` (software, needs no screen)."""
    has_gpu = Path("/dev/nvidia0").exists() or Path("/dev/dri").exists()
    os.environ.setdefault("MUJOCO_GL", "egl" if has_gpu else "osmesa")


def advice() -> str:
    """What to do when OpenGL does not come up, as the end of a sentence."""
    other = "osmesa" if os.environ.get("MUJOCO_GL") == "egl" else "egl"
    return f"MuJoCo can't draw with MUJOCO_GL={os.environ.get('MUJOCO_GL')}: `{APT}`, or try MUJOCO_GL={other}"
