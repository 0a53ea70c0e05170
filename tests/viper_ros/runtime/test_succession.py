from hypothesis import given
from hypothesis import strategies as st
from viper_ros.msg import Step

from viper_ros.runtime.join import Joiner
from viper_ros.runtime.succession import Succession


@given(
    heard_before=st.booleans(),
    shown=st.integers(1, 3),
    ends_episode=st.booleans(),
    steps_from=st.integers(0, 5),
    images_from=st.integers(0, 5),
)
def test_nothing_is_missed_that_is_shown_again(
    heard_before: bool, shown: int, ends_episode: bool, steps_from: int, images_from: int
) -> None:
    """Of the first showing each topic is heard from some message on only: found late, or what a queue has kept."""
    succession = Succession()
    joiner: Joiner[str, Step] = Joiner(admits=lambda image, step: succession.takes(step))
    steps = [Step(episode=2, index=index) for index in range(7, 7 + shown)]
    if ends_episode and shown > 1:
        steps[0].is_last = True
        steps[1:] = [Step(episode=3, index=index, is_first=index == 0) for index in range(shown - 1)]
    if heard_before:
        succession.takes(Step(episode=2, index=5))
        assert succession.takes(Step(episode=2, index=6))
    out = []
    for showing in range(3):
        for stamp, step in enumerate(steps):
            step.answered = step is not steps[-1]
            if showing or stamp >= steps_from:
                out.append(joiner.right(stamp, step))
            if showing or stamp >= images_from:
                out.append(joiner.left(stamp, "image"))
    assert [pair[0] for pair in out if pair] == list(range(shown))


def test_what_an_environment_shows_first_needs_no_second_showing() -> None:
    first, later, answered = Step(is_first=True), Step(episode=3, is_first=True), Step(is_first=True, answered=True)
    assert Succession().takes(first)
    assert Succession().takes(answered)
    assert not Succession().takes(later)  # The last steps of the episode before may be shown again.


def test_one_episode_after_the_other_and_an_environment_that_is_started_again_go_through() -> None:
    succession = Succession()
    steps = [Step(is_first=True), Step(index=1, is_last=True), Step(episode=1, is_first=True), Step(is_first=True)]
    assert all(succession.takes(step) for step in steps)


def test_where_nothing_is_shown_again_one_goes_on_with_the_second_step() -> None:
    succession = Succession()
    assert [succession.takes(Step(episode=1, index=index)) for index in (4, 5, 6, 9, 10, 11)] == [
        False, True, True, False, True, True,
    ]  # fmt: skip
