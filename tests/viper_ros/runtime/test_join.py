from hypothesis import given
from hypothesis import strategies as st

from viper_ros.runtime.join import SET_BACK, Joiner

arrivals = st.lists(st.tuples(st.booleans(), st.integers(0, 12)), max_size=60)


def pairs(joiner: Joiner, events: list[tuple[bool, int]]) -> list[tuple[int, object, object]]:
    results = [joiner.left(s, f"l{s}") if left else joiner.right(s, f"r{s}") for left, s in events]
    return [pair for pair in results if pair]


@given(arrivals)
def test_pairs_come_once_in_order_and_match(events: list[tuple[bool, int]]) -> None:
    out = pairs(Joiner(), events)
    stamps = [stamp for stamp, _, _ in out]
    assert stamps == sorted(set(stamps))
    assert all((left, right) == (f"l{stamp}", f"r{stamp}") for stamp, left, right in out)


@given(st.permutations([(left, stamp) for stamp in range(4) for left in (True, False)]))
def test_the_newest_stamp_always_comes_out(events: list[tuple[bool, int]]) -> None:
    assert pairs(Joiner(), events)[-1][0] == 3


@given(st.lists(st.integers(0, 10_000), min_size=100, max_size=300))
def test_halves_that_never_match_take_bounded_room_and_the_last_to_come_has_one(stamps: list[int]) -> None:
    joiner: Joiner[str, str] = Joiner(capacity=8)
    for stamp in stamps:
        joiner.left(stamp, "left")
    assert len(joiner._left) <= 8
    assert joiner.right(stamps[-1], "right") == (stamps[-1], "left", "right")


@given(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=40), st.booleans())
def test_after_stamps_from_a_clock_that_was_wrong_pairs_still_come(seconds: list[int], paired: bool) -> None:
    joiner: Joiner[str, str] = Joiner()
    for second in seconds:
        joiner.left(second * 10**9 + 1, "left")
        if paired:
            joiner.right(second * 10**9 + 1, "right")
    now = 1_800_000_000 * 10**9
    events = [(left, now + i * SET_BACK // 10) for i in range(20) for left in (True, False)]
    # The first may be a straggler of a clock that was wrong by less than SET_BACK.
    assert len(pairs(joiner, events)) >= 20 - 10
    again = pairs(joiner, events[-4:])
    assert not again


def test_a_pair_that_is_not_admitted_is_as_if_it_had_never_come() -> None:
    joiner: Joiner[str, str] = Joiner(admits=lambda left, right: left != "l5")
    events = [(True, 3), (True, 5), (False, 5), (False, 3), (True, 6), (False, 6)]
    assert [stamp for stamp, _, _ in pairs(joiner, events)] == [3, 6]
