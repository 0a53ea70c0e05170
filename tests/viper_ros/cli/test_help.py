"""What `viper COMMAND --help` tells."""

import sys

import pytest

from viper_ros.cli.main import MODULES, main


@pytest.mark.parametrize("name", [name for names in MODULES.values() for name in names])
def test_every_option_has_help(name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "argv", ["viper", name, "--help"])
    assert main() == 0
    options = [line for line in capfd.readouterr().out.splitlines() if line.startswith("│") and " --" in line]
    assert options
    assert all(len(line.strip("│ ").split("  ")) > 1 for line in options)
