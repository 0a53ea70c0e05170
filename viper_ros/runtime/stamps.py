"""Stamps: what joins a frame, its step, its reward and its action."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from viper_ros.runtime.node import MessageError


def nanoseconds(stamp: Time) -> int:
    """A stamp as one number, to compare and to look up by. Raises MessageError where it is none."""
    if stamp.nanosec >= 1_000_000_000:
        raise MessageError(f"a stamp of {stamp.sec} s and {stamp.nanosec} ns: there are 10⁹ ns in a second")
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def joining_stamp(header: Header) -> int:
    """The stamp by which a message is joined with others of its time step. Raises MessageError where there is none."""
    stamp = nanoseconds(header.stamp)
    if not stamp:
        raise MessageError("no stamp: what belongs to one time step is joined by it")
    return stamp


def to_stamp(nanoseconds: int) -> Time:
    return Time(sec=nanoseconds // 1_000_000_000, nanosec=nanoseconds % 1_000_000_000)
