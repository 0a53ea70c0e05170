"""config/sros2/policy.xml: what each node may say, hear and serve under SROS2, from the nodes themselves.

`python -m viper_ros.introspection.sros2_policy env_0 env_1` prints the policy for a graph of two environments.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from viper_ros.introspection.interfaces import ENVIRONMENT, Interfaces, inspect
from viper_ros.nodes import record_node

CAMERA = "camera"
"""The environment of score.launch.py."""
ROOT = ("/clock", "/diagnostics", "/parameter_events", "/rosout")
"""What lies at the root by convention, whatever the namespace."""
OPERATOR = "operator"
STOPS = ("e_stop", "enable")
"""Topics by which an operator stops an arm."""


def policy(found: Mapping[str, Interfaces], environments: Sequence[str] = (ENVIRONMENT,)) -> str:
    """The policy for the graphs that the launch files start, in XML: an enclave a node, and one for an operator.

    found: what the nodes say of themselves, see `inspect`.
    """
    document = Element("policy", version="0.2.0")
    enclaves = SubElement(document, "enclaves")
    for executable, node in found.items():
        profiles = _enclave(enclaves, executable)
        heard = [*node.subscribes, *node.claims]
        if executable == "sim_node":
            for environment in environments:
                _rules(profiles, f"/{environment}", node.name, node.publishes, heard, node.serves)
            continue
        if executable == "record_node":  # It hears what it is told to.
            (topics,) = (each.default for each in record_node.PARAMETERS if each.name == "topics")
            heard += [f"/{place}{topic}" for place in ("", f"{ENVIRONMENT}/") for topic in topics]
        seen = [*environments, CAMERA]
        profile = _rules(profiles, "/", node.name, _in_each(node.publishes, seen), _in_each(heard, seen), node.serves)
        _names(profile, "actions", "action", "execute", node.actions)
    _operator(_enclave(enclaves, OPERATOR), found, environments)
    ElementTree.indent(document)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(document, encoding="unicode")}\n'


def _enclave(enclaves: Element, name: str) -> Element:
    return SubElement(SubElement(enclaves, "enclave", path=f"/viper_ros/{name}"), "profiles")


def _operator(profiles: Element, found: Mapping[str, Interfaces], environments: Sequence[str]) -> None:
    """May call every node's services and actions, stop an arm, and read what nodes report."""
    services = {
        service.replace("~/", f"/{place}{node.name}/")
        for executable, node in found.items()
        for service in node.serves
        for place in ([f"{each}/" for each in environments] if executable == "sim_node" else [""])
    }
    profile = _rules(profiles, "/", OPERATOR, [f"/{topic}" for topic in STOPS], ["/diagnostics", "/rosout"], [])
    _names(profile, "services", "service", "request", services)
    _names(profile, "actions", "action", "call", {action for node in found.values() for action in node.actions})


def _in_each(topics: Iterable[str], environments: Sequence[str]) -> list[str]:
    return [
        topic.replace(f"/{ENVIRONMENT}/", f"/{environment}/")
        for topic in topics
        for environment in (environments if topic.startswith(f"/{ENVIRONMENT}/") else environments[:1])
    ]


def _rules(
    profiles: Element,
    inside: str,
    node: str,
    publishes: Iterable[str],
    subscribes: Iterable[str],
    serves: Iterable[str],
) -> Element:
    """A node's profile; names at the root are relative to the namespace `inside`, but for those in ROOT."""
    profile = SubElement(profiles, "profile", ns=inside, node=node)
    _names(profile, "topics", "topic", "publish", publishes)
    _names(profile, "topics", "topic", "subscribe", [*subscribes, "/clock", "/parameter_events"])
    _names(profile, "services", "service", "reply", serves)
    return profile


def _names(profile: Element, group: str, kind: str, way: str, names: Iterable[str]) -> None:
    names = sorted({name if name in ROOT else name.removeprefix("/") for name in names})
    if names:
        rules = SubElement(profile, group, {way: "ALLOW"})
        for name in names:
            SubElement(rules, kind).text = name


if __name__ == "__main__":
    print(policy(inspect(), sys.argv[1:] or [ENVIRONMENT]), end="")
