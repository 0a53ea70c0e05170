"""Where the package's data are: config/ and msg/."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
FROM_PIP = (PACKAGE / "share").is_dir()
"""Was this package installed by `pip install .`, which puts its data into viper_lab/share/?"""


def config_directory() -> Path:
    """Where config/ is."""
    return _share() / "config"


def message_directory() -> Path:
    """Where msg/, the definitions of our messages, is."""
    return _share() / "msg"


def _share() -> Path:
    """What holds the data: pip's package, the source tree, or the share of the ROS package."""
    if FROM_PIP:
        return PACKAGE / "share"
    if (PACKAGE.parent / "package.xml").is_file():
        return PACKAGE.parent
    from ament_index_python.packages import get_package_share_directory

    return Path(get_package_share_directory("viper_ros"))
