"""YAML: the same as PyYAML's safe_load reads, or one line that says where it is wrong."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from viper_model.yaml_files import YamlError, parse_yaml, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("a: [1, 2.5, yes, null, text]", {"a": [1, 2.5, True, None, "text"]}),
        ("day: 2026-02-28", {"day": datetime.date(2026, 2, 28)}),
        ("1: number\n'1': text", {1: "number", "1": "text"}),
        ("a: {x: 1}\nb: {x: 1}", {"a": {"x": 1}, "b": {"x": 1}}),
        ("&a a: 1\nb: *a", {"a": 1, "b": "a"}),
    ],
)
def test_what_is_yaml_is_read_as_safe_load_does(text: str, value: Any, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(text)
    assert read_yaml(path) == parse_yaml(text) == yaml.safe_load(text) == value


def test_a_key_may_stand_again_beside_what_is_merged_into_its_mapping() -> None:
    """That of `y` is merged before it is made itself."""
    text = "b: &b {k: 1}\nx: {y: &a {<<: *b, k: 2}}\nz: {<<: *a, k: 3}"
    assert parse_yaml(text) == {"b": {"k": 1}, "x": {"y": {"k": 2}}, "z": {"k": 3}}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"a: \xff", "it is no utf-8 text: invalid start byte"),
        (b"a: \x07", "it is no unicode text: special characters are not allowed"),
        (b"a: 1\nb: [1", "line 2: while parsing a flow sequence, expected ',' or ']'"),
        (b"a: !!python/object:os.system x", "line 1: could not determine a constructor"),
        (b"a: 1\n---\nb: 2", "line 2: expected a single document in the stream, but found another document"),
        (b"a: 1\nrate: 2026-13-45", "line 2: '2026-13-45' is no date"),
        (b"2026-02-30: 1", "line 1: '2026-02-30' is no date"),
        (b"a: 0x_", "line 1: '0x_' is no int"),
        (b"a: !!bool maybe", "line 1: 'maybe' is no bool"),
        (b"a: !!int ''", "line 1: '' is no int"),
        (b"a: !!timestamp noon", "line 1: 'noon' is no date"),
        (b'a: "\\UFFFFFFFF"', "a character in it is none"),
        (b"[" * 3000, "it is nested too deep"),
        (b"a: 1\nb: 2\n'a': 3", "line 3: 'a' is there twice"),
        (b"a: [{b: 2, b: 2}]", "line 1: 'b' is there twice"),
    ],
)
def test_what_can_not_be_read_is_told_in_one_line(content: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_bytes(content)
    with pytest.raises(YamlError) as raised:
        read_yaml(path)
    assert str(raised.value).startswith(why)
    assert "\n" not in str(raised.value)


def test_a_long_value_is_told_by_its_ends() -> None:
    with pytest.raises(YamlError) as raised:
        parse_yaml("a: " + "1" * 5000)
    assert len(str(raised.value)) < 60


def test_a_file_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_yaml(tmp_path / "none.yaml")
