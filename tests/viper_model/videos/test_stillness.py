from __future__ import annotations

import numpy as np

from viper_model.videos.stillness import STAYING_FRAMES, approach, resting_frames, stays


def dot(columns: list[int]) -> np.ndarray:
    """A white column on black, somewhere else in each frame."""
    frames = np.zeros((len(columns), 32, 32, 3), np.uint8)
    for frame, column in zip(frames, columns, strict=True):
        frame[:, column] = 255
    return frames


def test_a_video_stays_where_it_has_come_to_rest() -> None:
    still = stays(dot([*range(20), *[20] * 20]))
    assert still.tolist() == [False] * 20 + [True] * 20


def test_a_pause_that_is_longer_than_the_look_ahead_is_a_stay() -> None:
    still = stays(dot([*range(10), *[10] * 10, *range(10, 20)]))
    assert still[10:16].all()
    assert not still[:10].any()


def test_a_video_rests_from_its_last_motion_on() -> None:
    assert resting_frames(dot([*range(20), *[20] * 13])) == 13
    assert resting_frames(dot([*[0] * 10, *range(20)])) == 0
    assert resting_frames(dot([3] * 12)) == 12


def test_noise_of_a_camera_is_no_motion() -> None:
    noise = np.random.default_rng(0).integers(0, 8, (40, 32, 32, 3), dtype=np.uint8)
    frames = np.where(dot([*range(20), *[20] * 20]) > 0, 255, noise)
    assert stays(frames).tolist() == [False] * 20 + [True] * 20


def test_a_single_picture_stays() -> None:
    assert stays(dot([3] * 12)).all()


def test_an_approach_ends_before_the_rest_and_is_never_too_short() -> None:
    video = dot([*range(20), *[20] * 13])
    moving = list(range(20 - STAYING_FRAMES))
    assert np.array_equal(approach(video, 13, 8), dot(moving))
    assert np.array_equal(approach(video, 13, 24), dot([*[0] * 8, *moving]))
    assert np.array_equal(approach(dot([3] * 12), 12, 5), dot([3] * 5))  # nothing but rest: it has not begun
