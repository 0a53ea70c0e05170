"""`pip install .`: everything that runs without ROS, with the `viper` command. The ROS 2 package is built by colcon."""

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
    packages=[
        *find_packages(include=["sim*", "viper_lab*", "viper_model*", "viper_ros*"]),
        "viper_lab.share.config",
        "viper_lab.share.msg",
    ],
    # Where `viper_lab.config` looks for them.
    package_dir={"viper_lab.share.config": "config", "viper_lab.share.msg": "msg"},
    package_data={
        "viper_lab.evaluation": ["*.jinja"],
        "viper_lab.evaluation.cross_embodiment": ["*.jinja"],
        "viper_lab.results": ["*.jinja"],
        "viper_lab.share.config": ["**/*"],
        "viper_lab.share.msg": ["*.msg"],
    },
    entry_points={"console_scripts": ["viper = viper_ros.cli.main:main"]},
    install_requires=[
        *pinned("python.txt"),
        # labmaze, that dm_control asks for and its suite doesn't use, has no wheel for Python 3.13.
        # robosuite would bring another OpenCV: `sim.make` says how to install it.
        *(f'{line}; python_version < "3.13"' for line in pinned("python-no-deps.txt") if "robosuite" not in line),
    ],
)
