"""Where the files in config/ are."""

from __future__ import annotations

from pathlib import Path


def config_directory() -> Path:
    """Where config/ is: in the source tree, or in the installed package's share."""
    beside = Path(__file__).resolve().parent.parent / "config"
    if beside.is_dir():
        return beside
    from ament_index_python.packages import get_package_share_directory

    return Path(get_package_share_directory("viper_ros")) / "config"
