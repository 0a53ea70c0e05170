"""Imports point one way: viper_ros → viper_model, viper_ros → sim (see docs/architecture.md)."""

import ast

import pytest

from tests import ROOT

FORBIDDEN = {
    "viper_model": {"viper_ros", "sim", "rclpy", "mujoco", "dm_control"},
    "sim": {"viper_ros", "viper_model", "rclpy", "torch"},
}


def imported(source: str) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_imports_only_what_it_may(room: str) -> None:
    files = list((ROOT / room).rglob("*.py"))
    assert files
    for file in files:
        assert not imported(file.read_text()) & FORBIDDEN[room], file


def test_nothing_unpickles_what_a_user_brings() -> None:
    for room in ("viper_model", "sim", "viper_ros"):
        for file in (ROOT / room).rglob("*.py"):
            source = file.read_text()
            assert not imported(source) & {"pickle", "cloudpickle", "joblib", "dill"}, file
            for call in ("torch.load(", "allow_pickle=True", "yaml.load(", "eval(compile"):
                assert call not in source, file
