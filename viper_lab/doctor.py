"""What is installed, what is missing, what to do about it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from sim import SIMS, rlbench
from sim.opengl import APT
from viper_lab.config import FROM_PIP

WITHOUT_ROS = "videos, models, scores and reports do without"


@dataclass(frozen=True)
class Finding:
    what: str
    found: str
    """What is there; empty where it is missing."""
    remedy: str
    """What to do where it is missing."""
    required: bool = True

    @property
    def missing(self) -> bool:
        return not self.found


def examine() -> list[Finding]:
    """Look at this machine. Takes a few seconds: it draws a frame."""
    return [
        Finding(
            "Python", platform.python_version() if sys.version_info >= (3, 10) else "", "install Python 3.10 to 3.13"
        ),
        Finding(
            "ROS 2 (rclpy)",
            _ros(),
            f"run `make setup`, or source a ROS 2 Jazzy or Kilted installation; {WITHOUT_ROS}",
            required=not FROM_PIP,
        ),
        Finding(
            "viper_ros messages",
            _messages(),
            f"run `make setup`, or `colcon build` and source install/setup.bash; {WITHOUT_ROS}",
            required=not FROM_PIP,
        ),
        _ros2_launch(),
        Finding("torch", _torch(), "pip install -r requirements/python.txt"),
        Finding("GPU", _gpu(), "none found: everything runs on the CPU, at small sizes", required=False),
        Finding(
            "MuJoCo and dm_control", _simulators(), "pip install -r requirements/python.txt, then python-no-deps.txt"
        ),
        Finding(
            "robosuite (arms)", _version("robosuite"), f"pip install --no-deps {SIMS['robosuite']}", required=False
        ),
        Finding("ale-py (Atari)", _version("ale-py"), f"pip install --no-deps {SIMS['atari']}", required=False),
        *(
            Finding(f"{piece.name} (RLBench)", piece.found, piece.remedy, required=False)
            for piece in rlbench.installation()
        ),
        Finding("rendering", _rendering(), f"sudo {APT}"),
        Finding("videos (H.264)", _h264(), "pip install -r requirements/python.txt"),
        Finding("disk", _disk(), "make room: videos, models and replay take about 1 GB", required=False),
        Finding("CPU", f"{os.cpu_count()} cores", ""),
    ]


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _found(look: Callable[[], str]) -> str:
    try:
        return look()
    except (ImportError, OSError, RuntimeError, ValueError):  # PyAV's for an unknown codec is a ValueError
        return ""


def _ros() -> str:
    def look() -> str:
        identifier = import_module("rclpy.utilities").get_rmw_implementation_identifier()
        return f"{identifier}, {os.environ.get('ROS_DISTRO', 'from PyPI')}"

    return _found(look)


def _ros2_launch() -> Finding:
    """Of launch files, which run in the Python that `ros2` names, whatever environment is activated."""
    found, remedy = _version("launch_ros"), "apt install ros-$ROS_DISTRO-ros2launch; `viper train` works without"
    ros2 = shutil.which("ros2")
    if found and ros2:
        python = Path(ros2).read_text(errors="replace").partition("\n")[0].removeprefix("#!").split()
        look = "import importlib.util as u, sys; sys.exit(not u.find_spec('torch'))"
        named = any("python" in part for part in python)  # else it is a wrapper's, which says nothing
        if named and subprocess.run([*python, "-c", look], capture_output=True, check=False).returncode:
            here = sysconfig.get_path("purelib")
            found, remedy = "", f"`ros2` runs in {python[0]}, which has no torch: export PYTHONPATH={here}:$PYTHONPATH"
    return Finding("ros2 launch", found, remedy, required=False)


def _messages() -> str:
    return _found(lambda: str(Path(import_module("viper_ros.msg").__file__ or "").parent))


def _torch() -> str:
    return _found(lambda: str(import_module("torch").__version__))


def _gpu() -> str:
    def look() -> str:
        cuda = import_module("torch").cuda
        return str(cuda.get_device_name()) if cuda.is_available() else ""

    return _found(look)


def _simulators() -> str:
    versions = [_version("mujoco"), _version("dm_control")]
    return ", ".join(versions) if all(versions) else ""


def _rendering() -> str:
    # In a process of its own: a broken graphics driver kills the process that asks.
    draw = "import os, sim; sim.make('dmc', 'cartpole_balance').reset(); print(os.environ['MUJOCO_GL'])"
    try:
        result = subprocess.run([sys.executable, "-c", draw], capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""


def _h264() -> str:
    def look() -> str:
        av = import_module("av")
        av.CodecContext.create("libx264", "w")
        return f"PyAV {av.__version__}"

    return _found(look)


def _disk() -> str:
    free = shutil.disk_usage(".").free / 1e9
    return f"{free:.0f} GB free" if free > 1 else ""
