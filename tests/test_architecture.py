"""Imports point down (see docs/architecture.md): which package may import which."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT

TORCH = {"torch", "torchmetrics", "lightning_fabric"}
ROS = {"rclpy", "messages"}
SIMULATORS = {"mujoco", "dm_control", "ale_py", "robosuite", "rlbench", "pyrep"}
LABS = {"viper_lab.errors", "viper_lab.config", "viper_lab.parameters"}
PURE = {"viper_model.errors", "viper_model.files", "viper_model.metrics", "viper_model.yaml_files"}

MAY_IMPORT: dict[str, set[str]] = {
    "sim": SIMULATORS,
    "viper_model.errors": set(),
    "viper_model.files": {"viper_model.errors"},
    "viper_model.metrics": {"viper_model.errors", "viper_model.files"},
    "viper_model.yaml_files": set(),
    "viper_model.torch_tools": {*PURE, *TORCH},
    "viper_model.videos": PURE,
    "viper_model.reward": {*PURE, *TORCH, "viper_model.torch_tools", "viper_model.videos"},
    "viper_model.video_model": {
        *PURE,
        *TORCH,
        "viper_model.torch_tools",
        "viper_model.videos",
        "viper_model.reward",
    },
    "viper_model.agents": {*PURE, *TORCH, "viper_model.torch_tools"},
    "viper_lab.errors": {"sim", "viper_model.errors"},
    "viper_lab.config": set(),
    "viper_lab.parameters": {"viper_lab.errors"},
    "viper_lab.doctor": {"sim", "viper_lab.config"},
    "viper_lab.lerobot": {*LABS, *TORCH, "viper_model"},
    "viper_lab.experiment": {*LABS, *TORCH, "sim", "viper_model", "viper_lab.results"},
    "viper_lab.results": {*LABS, *TORCH, "sim", "viper_model", "viper_lab.experiment"},
    "viper_lab.evaluation": {*LABS, *TORCH, "sim", "viper_model", "viper_lab.experiment", "viper_lab.results"},
    "viper_ros.arm": {*LABS, "viper_model.yaml_files"},
    "viper_ros.bags": {*LABS, "viper_lab.results", "viper_model"},
    "viper_ros.cli": {"sim", "viper_lab", "viper_model"},
    "viper_ros.messages": {
        *LABS,
        *ROS,
        "sim",
        "viper_model.errors",
        "viper_model.videos",
        "viper_ros.arm",
        "viper_ros.runtime",
    },
    "viper_ros.runtime": {*LABS, *ROS},
    "viper_ros.nodes": {
        *ROS,
        "sim",
        "viper_lab",
        "viper_model",
        "viper_ros.arm",
        "viper_ros.bags",
        "viper_ros.messages",
        "viper_ros.runtime",
    },
    "viper_ros.graph": {*ROS, "viper_lab", "viper_model", "viper_ros.nodes", "viper_ros.runtime"},
    "viper_ros.launching": {*LABS, "launch", "viper_lab", "viper_ros.nodes"},
    "viper_ros.introspection": {
        *LABS,
        *ROS,
        "viper_lab.experiment",
        "viper_ros.launching",
        "viper_ros.nodes",
        "viper_ros.runtime",
    },
}
"""By package or module: what its files may import besides their own package, of the names in GUARDED and ours."""
WHEN_IT_RUNS = {"viper_ros.cli": {"viper_ros.bags", "viper_ros.graph"}}
"""What the functions of a package may import besides: `viper --help` must not need it."""

GUARDED = {*TORCH, *SIMULATORS, *ROS, "launch"}
OURS = ("sim", "viper_lab", "viper_model", "viper_ros")


def room_of(module: str) -> str:
    """The entry of MAY_IMPORT, or GUARDED, that a module belongs to; the module itself where there is none."""
    root = module.partition(".")[0]
    if root.endswith(("_msgs", "_srvs", "_interfaces")) or module.startswith(("viper_ros.action", "viper_ros.msg")):
        return "messages"
    if root == "launch_ros":
        return "launch"
    return max((room for room in MAY_IMPORT if f"{module}.".startswith(f"{room}.")), key=len, default=module)


def imports(tree: ast.AST, inside: bool = False) -> Iterator[tuple[str, bool]]:
    """Every imported module and name as a dotted path, and whether a function imports it when it runs."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "write imports in full"
            yield from ((f"{node.module}.{alias.name}", inside) for alias in node.names)
        else:
            yield from imports(node, inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def forbidden(file: Path) -> set[str]:
    """The imports of a file of ours that MAY_IMPORT and WHEN_IT_RUNS don't allow."""
    own = room_of(module_of(file))
    at_once = MAY_IMPORT[own] | {own} if own in MAY_IMPORT else set()
    found = set()
    for name, inside in imports(ast.parse(file.read_text())):
        target = room_of(name)
        guarded = target in GUARDED or name.partition(".")[0] in GUARDED.union(OURS)
        allowed = at_once | WHEN_IT_RUNS.get(own, set()) if inside else at_once
        if guarded and not any(f"{target}.".startswith(f"{each}.") for each in allowed):
            found.add(name)
    return found


FILES = sorted(file for package in OURS for file in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_imports_only_what_its_package_may(file: Path) -> None:
    assert not forbidden(file)


def test_every_package_has_its_entry() -> None:
    for file in FILES:
        assert room_of(module_of(file)) in MAY_IMPORT or module_of(file) in OURS, file


def test_nothing_unpickles_what_a_user_brings() -> None:
    for file in FILES:
        source = file.read_text()
        names = {name.partition(".")[0] for name, _ in imports(ast.parse(source))}
        assert not names & {"pickle", "cloudpickle", "joblib", "dill"}, file
        for call in ("torch.load(", "allow_pickle=True", "yaml.load(", "eval(compile"):
            assert call not in source, file
