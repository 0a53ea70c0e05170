"""Videos and models are made by one process at a time."""

import io
import threading
from pathlib import Path

from rich.console import Console

from viper_lab.experiment.plan import Plan, make_plan
from viper_lab.experiment.preparation import _one_at_a_time


def test_two_that_prepare_the_same_task_do_so_one_after_the_other(tmp_path: Path) -> None:
    events: list[str] = []
    first_has_begun, second_waits = threading.Event(), threading.Event()

    @_one_at_a_time
    def make(plan: Plan, console: Console) -> None:
        events.append("begin")
        first_has_begun.set()
        second_waits.wait(30)
        events.append("end")

    class Waiting(io.StringIO):
        def write(self, text: str) -> int:
            if "another process prepares cartpole_balance" in text:
                second_waits.set()
            return super().write(text)

    plan = make_plan("dmc", task="cartpole_balance", directory=tmp_path)
    first = threading.Thread(target=make, args=(plan, Console(file=io.StringIO())))
    first.start()
    first_has_begun.wait(30)
    second = threading.Thread(target=make, args=(plan, Console(file=Waiting())))
    second.start()
    first.join(60)
    second.join(60)
    assert second_waits.is_set(), "nobody was told why nothing happens"
    assert events == ["begin", "end", "begin", "end"]


def test_two_that_prepare_other_tasks_do_not_wait(tmp_path: Path) -> None:
    both = threading.Barrier(2, timeout=30)

    @_one_at_a_time
    def make(plan: Plan, console: Console) -> None:
        both.wait()

    plans = [make_plan("dmc", task=task, directory=tmp_path) for task in ("cartpole_balance", "pendulum_swingup")]
    threads = [threading.Thread(target=make, args=(plan, Console(file=io.StringIO()))) for plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not both.broken
