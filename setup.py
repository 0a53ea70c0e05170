"""`pip install .`: the video model and the environments, for use without ROS. The ROS 2 package is built by colcon."""

from pathlib import Path

from setuptools import find_packages, setup

requirements = Path(__file__).with_name("requirements")


def pinned(name: str) -> list[str]:
    lines = (requirements / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


setup(
    name="viper_ros",
    version="0.1.0",
    description="Video prediction models as rewards: the video model, its likelihood and the simulated environments",
    license="Apache-2.0",
    python_requires=">=3.10,<3.14",
    packages=find_packages(include=["viper_model*", "sim*"]),
    install_requires=[
        *pinned("python.txt"),
        # labmaze, that dm_control asks for and its suite doesn't use, has no wheel for Python 3.13.
        # robosuite would bring another OpenCV: `sim.make` says how to install it.
        *(f'{line}; python_version < "3.13"' for line in pinned("python-no-deps.txt") if "robosuite" not in line),
    ],
)
