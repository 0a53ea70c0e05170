from viper_lab.experiment.schedule import Schedule


def run_episode(schedule: Schedule, collected: int, length: int = 30) -> tuple[str, int]:
    purpose = schedule.next_episode(collected)
    if purpose == "evaluate":
        schedule.end_evaluation()
    return purpose, collected + (length if purpose == "train" else 0)


def test_evaluates_before_training_at_intervals_and_at_the_end() -> None:
    schedule = Schedule(steps=100, every=50, episodes=2, end_episodes=3)
    collected, purposes = 0, []
    while not schedule.done:
        purpose, collected = run_episode(schedule, collected)
        purposes.append(purpose[0])
    #        before     to 60   at 50   to 120  at the end
    assert "".join(purposes) == "eee" + "tt" + "ee" + "tt" + "eee"


def test_environments_wait_for_the_last_episode_of_a_round() -> None:
    schedule = Schedule(steps=10, every=10, episodes=1, end_episodes=2)
    assert [schedule.next_episode(0) for _ in range(3)] == ["evaluate", "evaluate", "wait"]
    assert not schedule.end_evaluation()
    assert schedule.next_episode(0) == "wait"
    assert schedule.end_evaluation()
    assert schedule.next_episode(0) == "train"


def test_another_episode_takes_the_place_of_one_that_was_cut() -> None:
    schedule = Schedule(steps=10, every=10, episodes=1, end_episodes=2)
    assert [schedule.next_episode(0) for _ in range(3)] == ["evaluate", "evaluate", "wait"]
    schedule.evaluate_again()
    assert [schedule.next_episode(0) for _ in range(2)] == ["evaluate", "wait"]
    assert not schedule.end_evaluation()
    assert schedule.end_evaluation()


def test_goes_on_after_the_last_complete_round() -> None:
    schedule = Schedule(steps=100, every=50, episodes=2, end_episodes=3, evaluated=0)
    assert schedule.next_episode(20) == "train"
    assert Schedule(steps=100, every=50, episodes=2, end_episodes=3, evaluated=100).next_episode(100) == "done"
