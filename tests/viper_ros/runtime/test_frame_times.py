"""A camera's frames are placed in time by its stamps where they can be believed, else by their arrival."""

from itertools import pairwise

import numpy as np
import pytest

from viper_ros.runtime.frame_times import FrameTimes

SECOND = 10**9
TENTH = SECOND // 10
EPOCH = 1_700_000_000 * SECOND


def placed(stamps: list[int], pictures: list[int] | None = None) -> tuple[FrameTimes, list[tuple[int, bool] | None]]:
    """What becomes of frames with these stamps that come at 10 Hz from EPOCH on, each with a picture of its own."""
    times, told = FrameTimes(), []
    for index, stamp in enumerate(stamps):
        picture = np.array([pictures[index] if pictures else index], np.uint8)
        time = times.take(stamp, EPOCH + index * TENTH, picture)
        told.append(time and (time.nanoseconds, time.begins))
    return times, told


def arrivals(count: int, first: int = 0) -> list[tuple[int, bool]]:
    """Of frames that count from when they come; the first of them begins a video."""
    return [(EPOCH + index * TENTH, index == first) for index in range(first, count)]


@pytest.mark.parametrize("start", [EPOCH, 0], ids=["of today", "of a simulator"])
def test_stamps_that_grow_count(start: int) -> None:
    stamps = [start + index * SECOND // 7 for index in range(20)]
    times, told = placed(stamps)
    assert told == [(stamp, index == 0) for index, stamp in enumerate(stamps)]
    assert (times.distrust, times.late, times.again) == ("", 0, 0)


@pytest.mark.parametrize(
    ("stamps", "distrust", "first"),
    [
        ([0] * 30, "stamps nothing", 1),
        ([EPOCH + index // 10 * SECOND for index in range(30)], "stamps whole seconds", 1),
        ([EPOCH + index // 2 * TENTH + 7 for index in range(30)], "stamps different frames alike", 1),
        ([EPOCH + index * TENTH if index % 5 else 0 for index in range(30)], "leaves some frames without a stamp", 1),
    ],
    ids=["nothing", "whole seconds", "twice", "sometimes"],
)
def test_where_stamps_say_nothing_every_frame_counts_from_when_it_comes(
    stamps: list[int], distrust: str, first: int
) -> None:
    times, told = placed(stamps)
    assert times.distrust == distrust
    assert told[first:] == arrivals(30, first)
    assert (times.late, times.again) == (0, 0)


def test_a_frame_that_comes_again_is_left_out_and_counted() -> None:
    stamps = [EPOCH + index // 2 * TENTH + 7 for index in range(20)]
    times, told = placed(stamps, pictures=[index // 2 for index in range(20)])
    assert [time is None for time in told] == [False, True] * 10
    assert (times.distrust, times.late, times.again) == ("", 0, 10)


def test_a_frame_that_comes_late_is_left_out_and_counted() -> None:
    times, told = placed([EPOCH, EPOCH + 2 * TENTH, EPOCH + TENTH, EPOCH + 3 * TENTH])
    assert told == [(EPOCH, True), (EPOCH + 2 * TENTH, False), None, (EPOCH + 3 * TENTH, False)]
    assert times.late == 1


def test_a_late_frame_that_comes_twice_or_after_another_begins_no_video() -> None:
    times, told = placed([EPOCH + tenths * TENTH for tenths in (0, 4, 1, 1, 5, 3, 6)])
    assert [index for index, time in enumerate(told) if time is None] == [2, 3, 5]
    assert [index for index, time in enumerate(told) if time and time[1]] == [0]
    assert (times.late, times.again) == (3, 0)


def test_a_clock_that_is_set_back_by_a_second_begins_another_video_at_once() -> None:
    times, told = placed([EPOCH, EPOCH + SECOND, EPOCH])
    assert told == [(EPOCH, True), (EPOCH + SECOND, False), (EPOCH, True)]
    assert times.late == 0


@pytest.mark.parametrize("back", [60 * SECOND, 3 * SECOND, 5 * TENTH], ids=["a minute", "seconds", "half a second"])
def test_a_clock_that_is_set_back_begins_another_video(back: int) -> None:
    forth = [100 * SECOND + index * TENTH for index in range(8)]
    again = [stamp + 8 * TENTH - back for stamp in forth]
    times, told = placed(forth + again)
    assert [index for index, time in enumerate(told) if time and time[1]] == [0, 9 if back < SECOND else 8]
    assert times.late == (1 if back < SECOND else 0)
    assert sum(time is None for time in told) == times.late
    assert times.distrust == ""


def test_arrivals_grow_also_where_the_machines_clock_is_set_back_a_little() -> None:
    times = FrameTimes()
    clock = [EPOCH, EPOCH + TENTH, EPOCH, EPOCH + TENTH, EPOCH + 2 * TENTH]
    taken = [times.take(0, now, np.array([index], np.uint8)) for index, now in enumerate(clock)]
    assert all(time is not None for time in taken)
    assert all(before.nanoseconds < after.nanoseconds for before, after in pairwise(taken[1:]))
