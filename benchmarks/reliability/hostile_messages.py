"""Messages and requests that nobody should send.

Values are not finite, extreme or negative, stamps of any time, arrays and strings of any length, sizes that contradict
each other, unknown encodings, tasks and parameters; or the bytes of a message are broken.
"""

from __future__ import annotations

import importlib
import re
from array import array
from typing import Any

import numpy as np
from rclpy.serialization import serialize_message

TASK = "cartpole_swingup"
"""The task that the nodes under attack know."""
SIZE = 32
"""Pixels of a side of the images that they expect."""
ARRAY_CODES = dict(
    zip(("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"), "BbHhIiQq", strict=True)
)
"""array's type codes."""
INTEGERS = {
    name: (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if name.startswith("int") else (0, 2**bits - 1)
    for bits in (8, 16, 32, 64)
    for name in (f"int{bits}", f"uint{bits}")
}
FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-300, 1e9, 1e38, float("nan"), float("inf"), float("-inf"))
WORDS = {
    "encoding": (
        "rgb8",
        "bgr8",
        "mono8",
        "mono16",
        "rgba8",
        "32FC1",
        "64FC4",
        "8UC3",
        "8UC99999999",
        "bayer_rggb8",
        "yuv422",
    ),
    "task": (TASK, "deploy", "hopper_hop", "../../etc/passwd"),
    "name": ("use_sim", "model", "publish_map", "repeat_after", "autostart", "dry_run", "latency", "task"),
    "": ("", "a", "x" * 100_000, "ü🤖" * 1000, "\n\r\t\x01", "../../../etc/passwd", "$(reboot)", "%s%n{}", "'; drop"),
}
STOPPING_TRANSITIONS = (2, 4, 5, 6, 7, 8)
"""Ids of the lifecycle transitions that an active node obeys: they stop it, as they should."""


def interface(name: str, kind: str) -> Any:
    """The class of an interface, by its name: std_msgs/Header, std_msgs/msg/Header, or, of a service which an action
    consists of, viper_ros/action/RunEpisode_SendGoal. kind: msg or srv."""
    package, *between, last = name.split("/")
    if "action" in between:
        action, part = last.rsplit("_", 1)
        return getattr(getattr(importlib.import_module(f"{package}.action"), action).Impl, f"{part}Service")
    return getattr(importlib.import_module(f"{package}.{kind}"), last)


def hostile(kind: str, field: str, rng: np.random.Generator) -> Any:
    """A value that nobody should send. kind: the field's type as the message class names it; field: its name."""
    if match := re.fullmatch(r"sequence<(.+?)(?:, \d+)?>", kind):
        return hostile_sequence(match[1], field, rng)
    if match := re.fullmatch(r"(.+)\[(\d+)\]", kind):
        values = [hostile(match[1], field, rng) for _ in range(int(match[2]))]
        dtype = {"double": "float64", "float": "float32"}.get(match[1], match[1])
        return np.array(values, dtype) if match[1] in INTEGERS or match[1] in ("double", "float") else values
    if kind == "boolean":
        return bool(rng.integers(2))
    if kind == "octet":
        return bytes([int(rng.integers(256))])
    if kind in INTEGERS:
        low, high = INTEGERS[kind]
        extremes = (low, high, 0, 1, 2, 63, 65, 999_999_999, -1)
        return min(high, max(low, extremes[rng.integers(len(extremes))]))
    if kind in ("double", "float"):
        value = float(rng.choice(FLOATS)) if rng.random() < 0.7 else float(rng.normal() * 10.0 ** rng.integers(-3, 12))
        return value if kind == "double" else float(np.float32(value))
    if kind.startswith("string") or kind.startswith("wstring"):
        words = WORDS.get(field, WORDS[""]) if rng.random() < 0.6 else WORDS[""]
        return words[rng.integers(len(words))]
    message = interface(kind, "msg")()
    fill(message, rng)
    return message


def hostile_sequence(kind: str, field: str, rng: np.random.Generator) -> Any:
    """The same for a sequence field. kind: the type of its elements."""
    if kind in INTEGERS or kind in ("double", "float"):
        lengths = [0, 1, 2, 6, 7, 8, 100, SIZE * SIZE * 3, 100_000]
        length = int(rng.choice(lengths, p=[0.1, 0.1, 0.1, 0.1, 0.2, 0.1, 0.1, 0.15, 0.05]))
        if kind in ("double", "float"):
            return [hostile(kind, field, rng) for _ in range(min(length, 1000))]
        low, high = INTEGERS[kind]
        return array(ARRAY_CODES[kind], rng.integers(low, high, length, endpoint=True, dtype=np.dtype(kind)).tobytes())
    length = int(rng.choice([0, 1, 2, 7, 50], p=[0.2, 0.3, 0.2, 0.2, 0.1]))
    return [hostile(kind, field, rng) for _ in range(length)]


def fill(message: Any, rng: np.random.Generator, share: float = 1.0) -> None:
    """Replace this share of a message's fields, one at least, by hostile values."""
    fields = list(message.get_fields_and_field_types().items())
    if not fields:
        return
    chosen = [field for field in fields if rng.random() < share] or [fields[rng.integers(len(fields))]]
    for name, kind in chosen:
        nested = getattr(message, name)
        if hasattr(nested, "get_fields_and_field_types"):
            fill(nested, rng, share if rng.random() < 0.7 else 1.0)
        else:
            setattr(message, name, hostile(kind, name, rng))


def break_bytes(message: Any, rng: np.random.Generator) -> bytes:
    """The bytes of a message, cut short or with some of them changed."""
    content = bytearray(serialize_message(message))
    for _ in range(rng.integers(1, 4)):
        place = int(rng.integers(4, len(content))) if len(content) > 4 else 0
        kind = rng.integers(3)
        if kind == 0:
            content = content[: max(4, place)]
        elif kind == 1:
            content[place : place + 4] = b"\xff\xff\xff\xff"
        else:
            content[place : place + 1] = bytes([int(rng.integers(256))])
    return bytes(content)


def make_harmless(request: Any) -> None:
    """Take out of a request what would rightly stop the node or its clock."""
    if hasattr(request, "transition") and request.transition.id in STOPPING_TRANSITIONS:
        request.transition.id = 99
    if hasattr(request, "transition") and request.transition.id == 0:
        request.transition.label = "nonsense"
    for parameter in getattr(request, "parameters", []):
        if getattr(parameter, "name", "") == "use_sim_time":
            parameter.name = "use_sim"
