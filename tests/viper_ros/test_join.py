from hypothesis import given
from hypothesis import strategies as st

from viper_ros.join import Joiner

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
def test_halves_that_never_match_take_bounded_room(stamps: list[int]) -> None:
    joiner: Joiner[str, str] = Joiner(capacity=8)
    for stamp in stamps:
        joiner.left(stamp, "left")
    assert len(joiner._left) <= 8
    newest = max(stamps)
    assert joiner.right(newest, "right") == (newest, "left", "right")
