"""Jobs side by side, in real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import ROOT
from tests.viper_lab.evaluation.children import children, is_alive
from viper_lab.evaluation.jobs import MOST_STARTS, Crew, Job
from viper_lab.evaluation.processes import LocalProcesses

COUNTING = (sys.executable, str(Path(__file__).with_name("counting.py")))


def job(folder: Path, name: str, *arguments: object, needs: tuple[str, ...] = ()) -> Job:
    return Job(name, tuple(map(str, arguments)), folder / "logs" / f"{name}.txt", frozenset(needs))


def counting(folder: Path, name: str, number: int, seconds: float = 0.0, needs: tuple[str, ...] = ()) -> Job:
    return job(folder, name, folder / name, number, seconds, needs=needs)


class Watch:
    """Runs a crew, and looks at it meanwhile."""

    def __init__(self, jobs: list[Job], workers: int, look: Callable[["Watch"], None] = lambda watch: None) -> None:
        self.told: list[str] = []
        self.most = 0
        self.crew = Crew(jobs, LocalProcesses(COUNTING, workers), workers, self.told.append)
        self._look = look

    def run(self) -> None:
        self.crew.run(self._watch)

    def _watch(self) -> None:
        self.most = max(self.most, len(self.crew.running))
        self._look(self)


def number(path: Path) -> int:
    return int(path.read_text()) if path.exists() else 0


def test_jobs_run_side_by_side_each_after_what_it_needs(tmp_path: Path) -> None:
    jobs = [
        counting(tmp_path, "prepared", 3, 0.1),
        counting(tmp_path, "one", 1, needs=("prepared",)),
        counting(tmp_path, "two", 1, needs=("prepared",)),
        counting(tmp_path, "three", 1),
    ]
    watch = Watch(jobs, 2)
    watch.run()
    assert watch.crew.done == {"prepared", "one", "two", "three"}
    assert watch.crew.failed == {}
    assert watch.most == 2
    told = [line for line in watch.told if line.split()[1] in ("prepared", "one", "two")]
    assert told[:2] == ["started: prepared", "done: prepared"]
    assert (tmp_path / "prepared").stat().st_mtime_ns <= (tmp_path / "one").stat().st_mtime_ns


def test_one_that_fails_is_told_with_its_last_words_and_the_others_go_on(tmp_path: Path) -> None:
    jobs = [
        job(tmp_path, "bad", "say", "viper: no such thing\n", 1),
        counting(tmp_path, "after", 1, needs=("bad",)),
        counting(tmp_path, "good", 1),
    ]
    watch = Watch(jobs, 1)
    watch.run()
    assert watch.crew.done == {"good"}
    assert watch.crew.failed == {"bad": "viper: no such thing", "after": "it needs what failed: bad"}
    assert f"failed: bad: viper: no such thing (all it said: {tmp_path / 'logs' / 'bad.txt'})" in watch.told
    assert not (tmp_path / "after").exists()


def test_one_that_is_killed_in_the_middle_is_taken_up_again(tmp_path: Path) -> None:
    killed = []

    def kill_once(watch: Watch) -> None:
        if not killed and number(tmp_path / "one") >= 3:
            (child,) = [pid for pid, command in children().items() if f"{tmp_path / 'one'} " in command]
            os.kill(child, signal.SIGKILL)
            killed.append(number(tmp_path / "one"))

    watch = Watch([counting(tmp_path, "one", 30, 0.05), counting(tmp_path, "two", 30, 0.05)], 2, kill_once)
    watch.run()
    assert killed
    assert watch.crew.done == {"one", "two"}
    assert watch.told.count("started: one") == 2
    assert watch.told.count("started: two") == 1
    assert "killed: one; it goes on where it was" in watch.told


def test_one_that_is_killed_again_and_again_is_given_up(tmp_path: Path) -> None:
    def kill(watch: Watch) -> None:
        for child in children():
            os.kill(child, signal.SIGKILL)

    watch = Watch([counting(tmp_path, "one", 1_000_000, 1.0)], 1, kill)
    watch.run()
    assert watch.told.count("started: one") == MOST_STARTS
    assert "killed it" in watch.crew.failed["one"]


def test_an_interruption_stops_all_jobs_and_loses_nothing(tmp_path: Path) -> None:
    jobs = [counting(tmp_path, name, 1_000_000, 0.05) for name in ("one", "two", "three")]

    def interrupt(watch: Watch) -> None:
        if number(tmp_path / "one") >= 2 and number(tmp_path / "two") >= 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        Watch(jobs, 2, interrupt).run()
    assert children() == {}
    assert not list(tmp_path.glob("*.running")), "a job was killed before it had saved"
    before = [number(tmp_path / name) for name in ("one", "two", "three")]
    assert before[:2] >= [2, 2]
    assert before[2] == 0

    jobs = [counting(tmp_path, name, before[0] + 3) for name in ("one", "two", "three")]
    watch = Watch(jobs, 2)
    watch.run()
    assert watch.crew.done == {"one", "two", "three"}


def test_a_request_to_end_is_an_interruption_too(tmp_path: Path) -> None:
    def end(watch: Watch) -> None:
        if number(tmp_path / "one") >= 1:
            os.kill(os.getpid(), signal.SIGTERM)

    usual = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as raised:
        Watch([counting(tmp_path, "one", 1_000_000, 0.05)], 1, end).run()
    assert raised.value.code == 143
    assert not list(tmp_path.glob("*.running"))
    assert signal.getsignal(signal.SIGTERM) == usual


def test_jobs_of_what_runs_in_the_background_hear_the_interruption(tmp_path: Path) -> None:
    """Where SIGINT is ignored, as shells have it for `viper benchmark &`."""
    program = "import signal; signal.raise_signal(signal.SIGINT)"
    usual = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        worker = LocalProcesses((sys.executable,), 1).start(job(tmp_path, "one", "-c", program))
        while worker.status() is None:
            time.sleep(0.02)
    finally:
        signal.signal(signal.SIGINT, usual)
    assert worker.status() == -signal.SIGINT


def test_no_job_outlives_who_started_it(tmp_path: Path) -> None:
    program = f"""
from pathlib import Path
from viper_lab.evaluation.jobs import Crew, Job
from viper_lab.evaluation.processes import LocalProcesses
folder = Path({str(tmp_path)!r})
job = Job("one", (str(folder / "one"), "1000000", "0.05"), folder / "log.txt")
Crew([job], LocalProcesses({COUNTING!r}, 1), 1, print).run(lambda: None)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    parent = subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while number(tmp_path / "one") < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    started = children(parent.pid)
    assert len(started) == 1
    parent.kill()
    parent.wait()
    while any(map(is_alive, started)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, started))


def test_gpus_and_cores_are_shared_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    program = "import os, sys; print(os.environ['CUDA_VISIBLE_DEVICES'], os.environ['OMP_NUM_THREADS'])"
    jobs = [job(tmp_path, str(n), "-c", program) for n in range(3)]
    engine = LocalProcesses((sys.executable,), 3)
    workers = [engine.start(each) for each in jobs]
    while any(worker.status() is None for worker in workers):
        time.sleep(0.02)
    threads = str(max(1, len(os.sched_getaffinity(0)) // 3))
    assert [each.log.read_text() for each in jobs] == [f"{gpu} {threads}\n" for gpu in ("4", "7", "4")]
    again = engine.start(job(tmp_path, "again", "-c", program))
    while again.status() is None:
        time.sleep(0.02)
    assert (tmp_path / "logs" / "again.txt").read_text() == f"4 {threads}\n"
