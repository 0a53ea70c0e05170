"""Reading videos takes no seconds of loading what only learning needs, and preparing frames no decoders."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("viper_model.videos.dataset", {"torch", "sklearn", "scipy"}),
        ("viper_model.videos.preparation", {"torch", "av", "pyarrow", "rosbags"}),
        ("viper_model.videos.settings", {"torch", "av", "pyarrow", "rosbags"}),
        ("viper_ros.nodes.act_node", {"av", "pyarrow", "sklearn"}),
        ("viper_ros.graph", {"sklearn", "scipy.stats"}),
        ("viper_ros.nodes.sim_node, viper_ros.nodes.viz_node, viper_ros.nodes.record_node", {"torch", "av"}),
        ("viper_ros.nodes.arm_node, viper_ros.nodes.simulated_arm_node", {"torch", "av"}),
    ],
)
def test_what_is_not_needed_is_not_imported(module: str, without: set[str]) -> None:
    look = f"import sys, {module}; print(*{without} & sys.modules.keys())"
    result = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=200, check=True)
    assert result.stdout.split() == []
