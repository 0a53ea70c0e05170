"""Videos and models are made by one process at a time."""

import io
import threading
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from viper_lab.errors import UserError
from viper_lab.experiment.plan import Plan, make_plan
from viper_lab.experiment.preparation import _one_at_a_time, _refuse_other_videos


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


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("sim_node.action_repeat=4", ""),
        ("sim_node.action_repeat=1", "action_repeat 4, not 1"),
        ("sim_node.image_size=84", r"image_size \(64, 64\), not \(84, 84\)"),
        ("sim_node.camera=0", ""),
        ("sim_node.camera=1", "camera 0, not 1"),
        ("sim_node.options={fast_render: false}", "fast_render True, not False"),
    ],
)
def test_a_model_of_videos_that_show_the_task_otherwise_is_refused(setting: str, words: str, tmp_path: Path) -> None:
    plan = make_plan("dmc", task="cartpole_balance", directory=tmp_path, assignments=[setting])
    _refuse_other_videos(plan)  # the videos may be gone
    episode = {
        "sim": "dmc",
        "task": "cartpole_balance",
        "behaviour": "expert",
        "image_size": [64, 64],
        "action_repeat": 4,
        "options": {"camera": 0, "fast_render": True},
        "seed": 1,
        "task_return": 900.0,
        "versions": {},
    }
    folder = tmp_path / "data" / "dmc" / "cartpole_balance" / "expert"
    folder.mkdir(parents=True)
    (folder / "00000.yaml").write_text(yaml.safe_dump(episode))
    if not words:
        _refuse_other_videos(plan)
        return
    with pytest.raises(UserError, match=words) as raised:
        _refuse_other_videos(plan)
    assert "\n" not in str(raised.value)
