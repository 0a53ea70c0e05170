import dataclasses
import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

import sim
from sim import Env, SimError, TimeStep
from sim.record import list_episodes, record, returns
from sim.record.episode import ATTEMPTS, record_episode, start
from sim.record.files import RecordingSettings

SMALL: dict[str, Any] = {"image_size": (16, 16), "action_repeat": 100}


def videos(folder: Path) -> list[dict[str, NDArray[Any]]]:
    return [dict(np.load(path, allow_pickle=False)) for path in sorted(folder.glob("*.npz"))]


def assert_equal_videos(one: Path, other: Path) -> None:
    for video, same in zip(videos(one), videos(other), strict=True):
        assert all(np.array_equal(video[name], same[name]) for name in video)


def test_a_video_is_what_the_environment_showed(tmp_path: Path) -> None:
    total = record("dmc", "reacher_easy", "random", 2, tmp_path, **SMALL, workers=1)
    folder = tmp_path / "reacher_easy" / "random"
    episodes = list(list_episodes(folder).values())
    assert [path.name for path in returns(tmp_path)] == ["00000.npz", "00001.npz"]
    assert list(returns(tmp_path).values()) == total
    assert episodes[0].versions.keys() == {"mujoco", "dm_control"}
    for video, episode in zip(videos(folder), episodes, strict=True):
        assert video["image"].shape == (11, 16, 16, 3)
        assert video["image"].dtype == np.uint8
        assert video["action"].shape == (11, 2)
        assert video["action"].dtype == np.float32
        assert video["task_reward"].dtype == np.float64
        assert not video["action"][-1].any()
        # Playing the video's actions again in an environment of its seed shows the video again.
        with sim.make("dmc", "reacher_easy", seed=episode.seed, **SMALL) as environment:
            time_steps = [environment.reset(), *(environment.step(action) for action in video["action"][:-1])]
        assert np.array_equal(video["image"], np.stack([time_step.image for time_step in time_steps]))
        assert video["task_reward"].tolist() == [time_step.task_reward for time_step in time_steps]
        assert episode.task_return == video["task_reward"].sum()


def test_videos_do_not_depend_on_workers_or_interruptions(tmp_path: Path) -> None:
    task, behaviour = "cartpole_swingup", "random"
    record("dmc", task, behaviour, 3, tmp_path / "at_once", **SMALL, workers=2)
    record("dmc", task, behaviour, 1, tmp_path / "bit_by_bit", **SMALL, workers=1)
    first = tmp_path / "bit_by_bit" / task / behaviour / "00000.npz"
    written = first.stat().st_mtime_ns
    record("dmc", task, behaviour, 3, tmp_path / "bit_by_bit", **SMALL, workers=1)
    assert first.stat().st_mtime_ns == written
    assert_equal_videos(*(tmp_path / name / task / behaviour for name in ("at_once", "bit_by_bit")))


def test_videos_made_otherwise_are_not_mixed(tmp_path: Path) -> None:
    record("dmc", "cartpole_swingup", "random", 1, tmp_path, **SMALL)
    others: list[dict[str, Any]] = [{"image_size": (24, 16)}, {"action_repeat": 4}, {"camera": 0}]
    for other in others:
        with pytest.raises(SimError, match="has videos with") as error:
            record("dmc", "cartpole_swingup", "random", 2, tmp_path, **SMALL | other)
        assert str(next(iter(other.values()))) in str(error.value)
    # Asking for what is usual anyway is no other way.
    assert len(record("dmc", "cartpole_swingup", "random", 1, tmp_path, **SMALL, camera="lookatcart")) == 1


def test_a_failing_expert_is_videoed_again_and_its_best_video_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A step of 1 s is too long to swing anything up.
    task_return = record("dmc", "cartpole_swingup", "expert", 1, tmp_path, **SMALL)
    notes = [line for line in capsys.readouterr().out.splitlines() if "the expert reached" in line]
    assert len(notes) == ATTEMPTS
    reached = [float(line.split("reached ")[1].split(",")[0]) for line in notes]
    assert round(task_return[0]) == max(reached)


FREEWAY: dict[str, Any] = {"image_size": (42, 32), "action_repeat": 4, "sticky": 0.0}


def frames_after_holding(seed: int, action: int, steps: int, then: NDArray[np.float32]) -> NDArray[np.uint8]:
    """What Freeway shows once an action has been held, and as it answers others then, uint8 [time, 42, 32, 3]."""
    with sim.make("atari", "freeway", seed=seed, **FREEWAY) as environment:
        time_step = environment.reset()
        for _ in range(steps):
            time_step = environment.step(environment.description.action_space.one_hot(action))
        return np.stack([time_step.image, *(environment.step(each).image for each in then)])


def test_videos_begin_after_a_random_action_has_been_held(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    limits = {"disturbance_steps": 2, "episode_steps": 2}
    record("atari", "freeway", "expert", 5, tmp_path, **FREEWAY, **limits, workers=1)
    folder = tmp_path / "freeway" / "expert"
    held: list[set[tuple[int, int]]] = []
    for video, episode in zip(videos(folder), list_episodes(folder).values(), strict=True):
        assert len(video["image"]) == len(video["action"]) == len(video["task_reward"]) == 3
        possible = [(0, 0), *itertools.product(range(3), range(1, 3))]
        shown = [
            each
            for each in possible
            if np.array_equal(frames_after_holding(episode.seed, *each, video["action"][:-1]), video["image"])
        ]
        held.append({(action if steps else 0, steps) for action, steps in shown})
    assert all(held), "a video that begins as no action held for 0 to 2 steps does"
    assert not set.intersection(*held), "always the same disturbance"
    assert any((0, 0) not in each for each in held), "no disturbance"
    assert "recording again" not in capsys.readouterr().out  # points of a game that was cut are no failure
    # The episode's seed decides it.
    record("atari", "freeway", "expert", 5, tmp_path / "again", **FREEWAY, **limits, workers=2)
    assert_equal_videos(folder, tmp_path / "again" / "freeway" / "expert")


def test_the_reward_of_the_disturbance_is_not_that_of_the_first_frame(tmp_path: Path) -> None:
    limits = {"disturbance_steps": 10, "episode_steps": 1}
    record("dmc", "cartpole_balance", "noisy", 4, tmp_path, image_size=(16, 16), action_repeat=4, **limits)
    found = videos(tmp_path / "cartpole_balance" / "noisy")
    for video, episode in zip(found, list_episodes(tmp_path).values(), strict=True):
        assert video["task_reward"][0] == 0
        assert video["task_reward"][1] > 0
        assert episode.task_return == video["task_reward"][1]


def test_a_task_that_rewards_every_step_is_not_done_with_the_first(tmp_path: Path) -> None:
    record("dmc", "cartpole_balance", "random", 1, tmp_path, **SMALL, workers=1, hold_steps=1)
    (video,) = videos(tmp_path / "cartpole_balance" / "random")
    assert video["task_reward"][1] > 0
    assert len(video["image"]) == 11


def test_only_who_is_to_find_back_is_disturbed(tmp_path: Path) -> None:
    for name, steps in (("usual", 0), ("disturbed", 8)):
        record("dmc", "reacher_easy", "background", 1, tmp_path / name, **SMALL, disturbance_steps=steps)
    assert_equal_videos(*(tmp_path / name / "reacher_easy" / "background" for name in ("usual", "disturbed")))
    # So what was recorded without is no other recording.
    record("dmc", "reacher_easy", "background", 1, tmp_path / "usual", **SMALL, disturbance_steps=8)


class SolvedByThree(Env):
    """Solved by the third step that pushes in the same direction; the episode ends with its fourth."""

    task_rewards = "once"

    def __init__(self) -> None:
        super().__init__()
        self.description = sim.Description("dmc", "push", sim.ActionSpace("continuous", 1), (1, 1), 0.1, (0.0, 1.0), {})

    def _reseed(self, seed: int) -> None:
        pass

    def _reset(self) -> TimeStep:
        self.steps = 0
        return TimeStep(np.zeros((1, 1, 3), np.uint8), 0.0, is_first=True, is_last=False, is_terminal=False)

    def _step(self, action: NDArray[np.float32]) -> TimeStep:
        self.steps += 1
        image = np.full((1, 1, 3), self.steps, np.uint8)
        return TimeStep(image, float(self.steps == 3), is_first=False, is_last=self.steps == 4, is_terminal=False)

    def _close(self) -> None:
        pass


def test_a_disturbance_that_solves_the_task_is_begun_again() -> None:
    with SolvedByThree() as environment:
        starts = [start(environment, 9, seed) for seed in range(50)]
        assert {int(time_step.image.max()) for time_step in starts} == {0, 1, 2}
        environment.task_rewards = "every_step"
        starts = [start(environment, 9, seed) for seed in range(50)]
        assert {int(time_step.image.max()) for time_step in starts} == {0, 1, 2, 3}
        assert not any(time_step.is_last or time_step.task_reward for time_step in starts)


def test_a_background_ends_before_it_solves_the_task() -> None:
    settings = RecordingSettings("dmc", "push", "background", (1, 1), 1, {})
    with SolvedByThree() as environment:
        for index in range(20):
            video = record_episode(environment, settings, index, 0, 0.0, print).video
            assert video["image"].max() == 2
            assert not video["task_reward"].any()
            assert len(video["action"]) == len(video["task_reward"]) == len(video["image"]) == 3
            assert not video["action"][-1].any()
        random = record_episode(environment, dataclasses.replace(settings, behaviour="random"), 0, 0, 0.0, print)
        assert random.task_return == 1


def test_an_expert_that_is_cut_before_it_has_solved_the_task_is_recorded_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limits: dict[str, Any] = {"image_size": (16, 16), "action_repeat": 4, "episode_steps": 4}
    record("dmc", "cartpole_swingup", "expert", 1, tmp_path, **limits)
    assert capsys.readouterr().out.count("the expert reached") == ATTEMPTS
    # Here four steps bring 1.6% of a whole episode's reward, and all that they can.
    (task_return,) = record("dmc", "cartpole_balance", "expert", 1, tmp_path, **limits)
    assert 0.9 * 16 < task_return < 16
    assert "the expert reached" not in capsys.readouterr().out
    # Who is no expert has nothing to solve.
    record("dmc", "cartpole_swingup", "noisy", 1, tmp_path, **limits)
    assert "the expert reached" not in capsys.readouterr().out


def test_older_records_are_of_whole_undisturbed_episodes(tmp_path: Path) -> None:
    record("dmc", "cartpole_swingup", "noisy", 1, tmp_path, **SMALL)
    (path,) = list_episodes(tmp_path)
    document = yaml.safe_load(path.read_text())
    del document["episode_steps"], document["disturbance_steps"], document["hold_steps"]
    path.write_text(yaml.safe_dump(document))
    assert len(record("dmc", "cartpole_swingup", "noisy", 2, tmp_path, **SMALL)) == 2
    for name in ("episode_steps", "disturbance_steps", "hold_steps"):
        with pytest.raises(SimError, match=f"has videos with {name} (0|None), not 3"):
            record("dmc", "cartpole_swingup", "noisy", 3, tmp_path, **SMALL, **{name: 3})


def test_an_episode_whose_worker_is_killed_is_videoed_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found: list[float] = []
    arguments = ("dmc", "cartpole_swingup", "random", 2, tmp_path)
    recording = Thread(target=lambda: found.extend(record(*arguments, **SMALL, workers=1)))
    recording.start()
    while not (workers := multiprocessing.active_children()):
        assert recording.is_alive()
    assert workers[0].pid
    os.kill(workers[0].pid, signal.SIGKILL)
    recording.join()
    assert len(found) == 2
    assert "a worker died" in capsys.readouterr().out


def start_long_recording(folder: Path) -> subprocess.Popen[str]:
    """In a process of its own, which has recorded two episodes at least."""
    # More episodes than are waited for, but an end: what outlives a test that was killed shall not video for hours.
    script = folder / "long.py"
    script.write_text(
        "from pathlib import Path\n"
        "from sim.record import record\n"
        "if __name__ == '__main__':\n"
        f"    record('dmc', 'cartpole_swingup', 'random', 300, Path({str(folder)!r}), workers=1, **{SMALL})\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(sim.__file__).parents[1])}
    process = subprocess.Popen([sys.executable, script], env=environment, stderr=subprocess.PIPE, text=True)
    while not (folder / "cartpole_swingup" / "random" / "00001.yaml").exists():
        assert process.poll() is None, process.stderr and process.stderr.read()
    return process


def test_interrupted_recording_leaves_whole_episodes(tmp_path: Path) -> None:
    process = start_long_recording(tmp_path)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode != 0
    folder = tmp_path / "cartpole_swingup" / "random"
    episodes = list_episodes(folder)
    assert len(episodes) >= 2
    assert all(len(np.load(path.with_suffix(".npz"))["image"]) == 11 for path in episodes)
    assert not list(folder.glob(".*"))


def test_workers_end_without_a_word_when_the_recording_is_killed(tmp_path: Path) -> None:
    process = start_long_recording(tmp_path)
    process.kill()
    _, said = process.communicate(timeout=60)  # its workers hold the pipe as long as they live
    assert "Traceback" not in said


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk, in a process of its own because it holds for all files."""
    script = tmp_path / "full_disk.py"
    script.write_text(
        "import resource\n"
        "from pathlib import Path\n"
        "from sim import SimError\n"
        "from sim.record import record\n"
        "if __name__ == '__main__':\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))  # workers inherit it\n"
        "    try:\n"
        f"        record('dmc', 'cartpole_swingup', 'random', 1, Path({str(tmp_path / 'videos')!r}), **{SMALL})\n"
        "    except SimError as error:\n"
        "        print(error)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(sim.__file__).parents[1])}
    said = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True).stdout
    assert "can't write" in said
    assert "free some space" in said
    assert not list((tmp_path / "videos").rglob("*.*"))


def test_mistakes_are_told(tmp_path: Path) -> None:
    with pytest.raises(SimError, match="no behaviour 'exprt'"):
        record("dmc", "cartpole_swingup", "exprt", 1, tmp_path, **SMALL)
    (tmp_path / "file").touch()
    with pytest.raises(SimError, match="can't record in"):
        record("dmc", "cartpole_swingup", "random", 1, tmp_path / "file", **SMALL)
    folder = tmp_path / "cartpole_swingup" / "random"
    folder.mkdir(parents=True)
    for damaged in ("task: [unclosed", "task: 2026-02-30", "[" * 3000):
        (folder / "00000.yaml").write_text(damaged)
        with pytest.raises(SimError, match=r"00000.yaml does not describe an episode"):
            record("dmc", "cartpole_swingup", "random", 1, tmp_path, **SMALL)
