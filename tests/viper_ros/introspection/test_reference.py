"""What is written of the nodes is what the running nodes say of themselves."""

import ast
from collections.abc import Mapping
from importlib import import_module

import pytest
from rclpy.lifecycle import LifecycleNode

from tests import ROOT
from viper_ros.introspection.interfaces import Interfaces, inspect
from viper_ros.introspection.reference import reference
from viper_ros.introspection.sros2_policy import policy

EXECUTABLES = (ROOT / "CMakeLists.txt").read_text().partition("foreach(node ")[2].partition(")")[0].split()


@pytest.fixture(scope="module")
def found() -> Mapping[str, Interfaces]:
    return inspect()


def test_the_reference_is_what_the_code_says(found: Mapping[str, Interfaces]) -> None:
    assert (ROOT / "docs" / "reference.md").read_text() == reference(found), "make docs"


def test_the_security_policy_allows_what_the_nodes_do(found: Mapping[str, Interfaces]) -> None:
    assert (ROOT / "config" / "sros2" / "policy.xml").read_text() == policy(found), "make docs"


@pytest.mark.parametrize("executable", EXECUTABLES)
def test_nobody_on_the_network_can_set_a_path(executable: str) -> None:
    for each in import_module(f"viper_ros.nodes.{executable}").PARAMETERS:
        assert each.read_only or isinstance(each.default, bool | int | float), each.name


def test_every_executable_is_in_the_reference(found: Mapping[str, Interfaces]) -> None:
    assert set(EXECUTABLES) == set(found)


@pytest.mark.usefixtures("ros")
def test_no_node_takes_a_name_that_rclpys_own_node_uses() -> None:
    """A list of timers called _timers would end the timers of rclpy's Node that were in its list of that name."""
    node = LifecycleNode("bare")
    taken = set(vars(node))
    node.destroy_node()
    for file in (ROOT / "viper_ros").glob("*_node.py"):
        for each in ast.walk(ast.parse(file.read_text())):
            if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store):
                assert not (ast.unparse(each.value) == "self" and each.attr in taken), f"{file.name}: {each.attr}"
