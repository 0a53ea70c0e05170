"""Which pictures of a camera are used, and as which video, whatever its driver and its clock do."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from viper_model.videos.bags.camera_time import Shot, camera_time

SECOND = 10**9


def shots(stamps: list[int], pictures: list[int] | None = None) -> list[Shot]:
    """Received ten a second; all pictures different unless given."""
    return [
        Shot(stamp, 10**18 + index * SECOND // 10, index if pictures is None else pictures[index])
        for index, stamp in enumerate(stamps)
    ]


@pytest.mark.parametrize("offset", [0, 3_000_001])
@pytest.mark.parametrize("begin", [0, 2 * SECOND])
def test_a_clock_that_is_set_back_begins_another_video(offset: int, begin: int) -> None:
    run = [begin + index * SECOND // 10 for index in range(60)]
    again = [stamp + offset for stamp in run]
    time = camera_time(shots(run + again))
    assert time.videos == (0,) * 60 + (1,) * 60
    assert time.distrust == ""
    assert time.seconds == tuple(stamp / 1e9 for stamp in run + again)


@pytest.mark.parametrize(
    ("stamps", "said"),
    [
        ([0] * 50, "stamps nothing"),
        ([0 if index % 5 == 0 else 10**18 + index * SECOND // 10 for index in range(50)], "without a stamp"),
        ([0 if index == 49 else 10**18 + index * SECOND // 10 for index in range(50)], "without a stamp"),
        ([10**18 + index // 10 * SECOND for index in range(50)], "whole seconds"),
        ([10**18 + index // 2 * SECOND // 5 + 1 for index in range(50)], "stamps different pictures alike"),
        ([10**18 + 1] * 50, "stamps different pictures alike"),
    ],
)
def test_stamps_that_tell_nothing_give_way_to_the_time_of_arrival(stamps: list[int], said: str) -> None:
    given_shots = shots(stamps)
    time = camera_time(given_shots)
    assert said in time.distrust
    assert time.videos == (0,) * 50
    assert time.seconds == tuple(shot.received / 1e9 for shot in given_shots)


def test_a_still_picture_that_is_never_stamped_or_in_whole_seconds_is_a_video_all_the_same() -> None:
    for stamps in ([0] * 50, [10**18 + index // 10 * SECOND for index in range(50)]):
        assert camera_time(shots(stamps, [7] * 50)).videos == (0,) * 50


def test_a_clock_that_is_set_back_by_less_than_a_second_begins_another_video_too() -> None:
    run = [SECOND + index * SECOND // 10 for index in range(8)]
    time = camera_time(shots(run * 3))
    assert time.videos == (0,) * 8 + (1,) * 8 + (2,) * 8
    assert (time.again, time.late) == (0, 0)


def test_a_picture_that_was_published_again_counts_once_and_one_that_came_late_is_told() -> None:
    stamps = [1, 3, 3, 1, 4, 6, 5, 7]
    time = camera_time(shots(stamps, pictures=stamps))
    assert time.videos == (0, 0, None, None, 0, 0, None, 0)
    assert (time.again, time.late) == (2, 1)


def test_a_late_picture_that_comes_twice_or_after_another_begins_no_video() -> None:
    tenths = [0, 4, 1, 1, 5, 3, 6]
    time = camera_time(shots([SECOND + each * SECOND // 10 for each in tenths], pictures=tenths))
    assert time.videos == (0, 0, None, None, 0, None, 0)
    assert (time.again, time.late) == (0, 3)


def test_what_an_earlier_video_showed_at_the_same_time_is_not_there_already() -> None:
    """A picture that stands still, of a simulator that is reset twice: once by more than a second, once by less."""
    tenths = [*range(10, 31), 10, 12, 14, 16, 11, 13, 15]
    time = camera_time(shots([each * SECOND // 10 for each in tenths], pictures=[7] * len(tenths)))
    assert time.videos == (0,) * 21 + (1,) * 4 + (2,) * 3
    assert (time.again, time.late) == (0, 0)


def test_a_clock_that_is_set_back_by_a_second_begins_another_video_at_once() -> None:
    assert camera_time(shots([SECOND, 2 * SECOND, SECOND])).videos == (0, 0, 1)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 4 * SECOND), st.integers(0, 3)), min_size=1, max_size=40))
def test_every_picture_is_used_or_counted(seen: list[tuple[int, int]]) -> None:
    time = camera_time(shots([stamp for stamp, _ in seen], [picture for _, picture in seen]))
    kept = [(video, second) for video, second in zip(time.videos, time.seconds, strict=True) if video is not None]
    assert len(kept) + time.again + time.late == len(seen)
    assert {video for video, _ in kept} == set(range(1 + kept[-1][0]))
    if not time.distrust:
        for (video, second), (after, later) in pairwise(kept):
            assert (video, second) < (after, later)
