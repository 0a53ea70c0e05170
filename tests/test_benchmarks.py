"""Benchmarks are too slow to run here; what they import has moved under them before."""

import importlib
import re

import pytest

from tests import ROOT

FILES = sorted((ROOT / "benchmarks").rglob("*.py"))
MODULES = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in FILES]


@pytest.mark.parametrize("module", MODULES)
def test_every_benchmark_finds_what_it_imports(module: str) -> None:
    importlib.import_module(module)


def test_the_commands_that_made_the_results_are_there() -> None:
    files = [*(ROOT / "benchmarks" / "results").iterdir(), *(ROOT / "docs").glob("*.md")]
    commands = {command for path in files for command in re.findall(r"-m (benchmarks[\w.]*\w)", path.read_text())}
    assert len(commands) > 10
    assert commands - {"benchmarks"} <= set(MODULES)
