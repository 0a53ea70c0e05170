from pathlib import Path

import pytest
import yaml

from viper_lab.config import config_directory
from viper_lab.errors import UserError
from viper_ros.arm import files

PANDA = yaml.safe_load((config_directory() / "arms" / "panda.yaml").read_text())


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"joints": ["a", "b"]}, "position_low"),
        ({"home": [0.0] * 7}, "home"),
        ({"home": [0.0] * 6 + [float("nan")]}, "home"),
        ({"control_rate": 0}, "control_rate"),
        ({"linear_sped": 0.1}, "linear_sped"),
        ({"following": 0.2}, "tracking_tolerance"),
        ({"hand": [0.0] * 6}, "'tcp'"),
        ({"limits": {**PANDA["limits"], "velocity": [0.0] * 7}}, "limits.velocity"),
        ({"limits": {**PANDA["limits"], "position_low": [3.0] * 7}}, "low limit"),
        ({"limits": {}}, "position_low"),
        ({"gripper": 3}, "panda.yaml"),
        ({"chain": "none"}, "chain"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(change: dict[str, object], word: str, tmp_path: Path) -> None:
    path = tmp_path / "panda.yaml"
    path.write_text(yaml.safe_dump({**PANDA, **change}))
    with pytest.raises(UserError, match=word) as error:
        files.read(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text", ["", "- 1", "a: [", "\x00", "home: 2026-02-30", yaml.safe_dump(PANDA) + "tracking_tolerance: 1"]
)
def test_a_file_that_is_none_is_told_in_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "arm.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"arm\.yaml"):
        files.read(path)


def test_an_arm_that_is_not_known_gets_a_suggestion() -> None:
    with pytest.raises(UserError, match="sawyer"):
        files.load("sawer")
