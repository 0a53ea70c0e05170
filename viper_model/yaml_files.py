"""YAML as people write it by hand: what isn't as it was meant is refused, with the line that is wrong."""

from __future__ import annotations

import reprlib
from pathlib import Path
from typing import Any

import yaml


class YamlError(Exception):
    """Why something can't be read as YAML, in a few words of one line."""


def read_yaml(path: Path) -> Any:
    """What `yaml.safe_load` makes of a file. Raises OSError, and YamlError as `parse_yaml` does."""
    return parse_yaml(path.read_bytes())


def parse_yaml(text: str | bytes) -> Any:
    """What `yaml.safe_load` makes of a text, None of an empty one.

    Raises YamlError for bytes that are no UTF-8, for what is no YAML, for a value that is none of its kind (such as the
    date 2026-02-30), for what is nested too deep, and for a key that is in a mapping twice.
    """
    try:
        loader = _Loader(text)
        return loader.get_single_data()
    except yaml.reader.ReaderError as error:
        raise YamlError(f"it is no {error.encoding} text: {error.reason}") from error
    except yaml.MarkedYAMLError as error:
        why = ", ".join(filter(None, (error.context, error.problem)))
        raise YamlError(f"line {error.problem_mark.line + 1}: {why}" if error.problem_mark else why) from error
    except RecursionError as error:
        raise YamlError("it is nested too deep") from error
    except (ValueError, OverflowError) as error:
        raise YamlError(f"a character in it is none: {error}") from error  # As in "\UFFFFFFFF".


class _Loader(yaml.SafeLoader):
    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Refuses a key that is there twice, of which SafeLoader takes the last. It has to be here: mappings that are
        merged by `<<` later may well have the same keys."""
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise _wrong(key, "is there twice")
                seen.add((key.tag, key.value))
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError, LookupError, AttributeError) as error:  # All but YAMLError that it raises.
            kind = node.tag.rpartition(":")[2]
            raise _wrong(node, f"is no {_KINDS.get(kind, kind)}") from error


_KINDS = {"timestamp": "date"}


def _wrong(node: yaml.Node, why: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=f"{reprlib.repr(node.value)} {why}", problem_mark=node.start_mark)
