"""sim_node over real DDS, with a real simulator."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ament_index_python.packages import get_package_prefix
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import String
from viper_ros.msg import Action, Step

import sim
from sim import SimDiedError, TimeStep
from tests.viper_ros.conftest import Listener, overrides, spin_until
from viper_ros.messages import environment_description as description
from viper_ros.messages import images
from viper_ros.nodes.sim_node import SimNode
from viper_ros.runtime.qos import LATCHED, RELIABLE
from viper_ros.runtime.stamps import nanoseconds

pytestmark = pytest.mark.usefixtures("ros")

ENVIRONMENT = {"sim": "dmc", "task": "cartpole_balance", "image_size": 32, "action_repeat": 100, "seed": 7}
RULES = [word for name, value in ENVIRONMENT.items() for word in ("-p", f"{name}:={value}")]
"""The same environment for a process."""
STARTER = """
import subprocess, sys
print(subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL).pid, flush=True)
sys.stdin.read()
"""
"""Of a process that ends with its input and leaves a node behind, as `ros2 launch` does when SIGTERM ends it alone."""
TIME_STEP_TOPICS = {"image_raw": Image, "step": Step}


def start(**changes: object) -> SimNode:
    node = SimNode(parameter_overrides=overrides(**{**ENVIRONMENT, **changes}))
    assert node.start()
    return node


def test_a_second_signal_while_it_ends_changes_nothing() -> None:
    """Ctrl-C under `ros2 launch` comes from the terminal and, whenever it gets to it, from the launcher."""
    code = "import sys; from viper_ros.nodes.sim_node import main; sys.exit(main())"
    process = subprocess.Popen([sys.executable, "-c", code, "--ros-args", *RULES])
    try:
        listener = Listener(TIME_STEP_TOPICS, RELIABLE)
        spin_until([listener], lambda: len(listener.heard["step"]) > 2)  # it waits, and shows its time step again
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.005)
        assert process.returncode == 0
    finally:
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("name", "library"),
    [("reward_node", "libtorch_cpu.so"), ("sim_node", "librmw_fastrtps_cpp.so"), ("sim_node", "libEGL")],
)
def test_a_node_that_is_stopped_while_it_starts_ends_well_and_says_so_in_one_line(
    number: signal.Signals, name: str, library: str
) -> None:
    """Stopped as soon as a library is there: in the middle of the imports, in DDS, in the simulator's first drawing."""
    node = Path(get_package_prefix("viper_ros")) / "lib" / "viper_ros" / name
    rules = ["--ros-args", *RULES] if name == "sim_node" else []
    process = subprocess.Popen([node, *rules], stderr=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + 60
        while library not in Path(f"/proc/{process.pid}/maps").read_text():
            assert time.monotonic() < until
            assert process.poll() is None
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0
        assert said.splitlines()[-1:] == ["viper_ros: stopped while it was starting"]
        assert "Traceback" not in said
    finally:
        process.kill()


@pytest.mark.parametrize(
    ("starter", "stays"),
    [(["sh", "-c", "$@ >/dev/null & echo $!; read told", "start"], True), ([sys.executable, "-c", STARTER], False)],
    ids=["a shell", "a launcher"],
)
def test_a_node_ends_with_the_launcher_that_started_it_and_not_with_a_shell(starter: list[str], stays: bool) -> None:
    node = Path(get_package_prefix("viper_ros")) / "lib" / "viper_ros" / "sim_node"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    parent = subprocess.Popen([*starter, node, "--ros-args", *RULES], **pipes, text=True)
    assert parent.stdout
    process = Path("/proc", parent.stdout.readline().strip())
    try:
        listener = Listener(TIME_STEP_TOPICS, RELIABLE)
        spin_until([listener], lambda: len(listener.heard["step"]) > 1 or not process.exists())
        assert process.exists()
        parent.communicate()  # its input ends, and so does it
        until = time.monotonic() + 3
        spin_until([listener], lambda: not process.exists() or time.monotonic() > until)
        assert process.exists() == stays
    finally:
        if process.exists():
            os.kill(int(process.name), signal.SIGKILL)


class Answerer(Listener):
    """Answers each step once with the next of some actions."""

    def __init__(self, actions: list[list[float]]) -> None:
        super().__init__(TIME_STEP_TOPICS, RELIABLE)
        self._actions = iter(actions)
        self._publisher = self.create_publisher(Action, "action", RELIABLE)
        self._answered: set[int] = set()

    def answer_newest(self) -> bool:
        steps = [step for step in self.heard["step"] if not step.answered]
        if steps and nanoseconds(steps[-1].header.stamp) not in self._answered:
            self._answered.add(nanoseconds(steps[-1].header.stamp))
            if values := next(self._actions, None):
                self.send(values, steps[-1])
        return False

    def send(self, values: list[float], step: Step) -> None:
        action = Action(values=values)
        action.header.stamp = step.header.stamp
        self._publisher.publish(action)


def test_the_graph_shows_what_the_environment_alone_shows() -> None:
    rng = np.random.default_rng(0)
    actions = [rng.uniform(-1, 1, 1).astype(np.float32).tolist() for _ in range(23)]
    node, answerer = start(), Answerer(actions)
    spin_until([answerer, node], lambda: answerer.answer_newest() or len(answerer.heard["image_raw"]) >= 24)

    environment = sim.make("dmc", "cartpole_balance", image_size=(32, 32), action_repeat=100, seed=7)
    time_steps = [environment.reset()]
    for action in actions:
        time_steps.append(environment.reset() if time_steps[-1].is_last else environment.step(np.array(action)))
    assert any(time_step.is_last for time_step in time_steps)
    for time_step, image, step in zip(time_steps, answerer.heard["image_raw"], answerer.heard["step"], strict=True):
        assert (images.to_rgb(image) == time_step.image).all()
        assert image.header.stamp == step.header.stamp
        assert (step.is_first, step.is_last, step.is_terminal) == (
            time_step.is_first,
            time_step.is_last,
            time_step.is_terminal,
        )
        assert step.task_reward == time_step.task_reward
        assert step.task == "cartpole_balance"
    stamps = [nanoseconds(step.header.stamp) for step in answerer.heard["step"]]
    assert stamps == sorted(set(stamps))
    assert [step.index for step in answerer.heard["step"]][:12] == [*range(11), 0]
    assert [step.episode for step in answerer.heard["step"]][9:13] == [0, 0, 1, 1]


def test_a_step_tells_the_human_normalised_score_of_its_episode_so_far() -> None:
    """After Mnih et al. 2015; random and human scores of boxing in Wang et al. 2016: 0.1 and 12.1."""
    rng = np.random.default_rng(0)
    actions = np.eye(18, dtype=np.float32)[rng.integers(18, size=70)].tolist()
    node = start(sim="atari", task="boxing", options="{max_frames: 200}", action_repeat=4)
    answerer = Answerer(actions)
    spin_until([answerer, node], lambda: answerer.answer_newest() or len(answerer.heard["step"]) >= 70)
    score, scores = 0.0, set()
    for step in answerer.heard["step"]:
        score = 0.0 if step.is_first else score + step.task_reward
        assert step.normalised_score == pytest.approx((score - 0.1) / 12.0)
        scores.add(score)
    assert len(scores) > 2
    assert answerer.heard["step"][-1].episode == 1


def test_with_use_sim_time_stamps_are_the_clocks_and_tell_time_steps_apart_while_it_stands_still() -> None:
    node, answerer = start(use_sim_time=True), Answerer([[0.1], [0.1]])
    clock = answerer.create_publisher(Clock, "/clock", 10)

    def reads(seconds: int) -> bool:
        clock.publish(Clock(clock=Time(sec=seconds)))
        return node.get_clock().now().nanoseconds == seconds * 10**9

    spin_until([answerer, node], lambda: reads(1000))
    spin_until([answerer, node], lambda: answerer.answer_newest() or len(answerer.heard["step"]) >= 3)
    spin_until([answerer, node], lambda: reads(2000))
    answerer.send([0.1], answerer.heard["step"][-1])
    spin_until([answerer, node], lambda: answerer.heard["step"][-1].index == 3)
    stamps = {step.index: nanoseconds(step.header.stamp) for step in answerer.heard["step"]}
    assert stamps[1] == 1000 * 10**9
    assert stamps[1] < stamps[2] < 1001 * 10**9
    assert stamps[3] == 2000 * 10**9


def test_an_action_that_is_not_finite_moves_nothing_and_the_next_one_does() -> None:
    node, answerer = start(), Answerer([[0.5]])
    health = Listener({"/diagnostics": DiagnosticArray}, 10)
    nodes = [answerer, health, node]
    spin_until(nodes, lambda: answerer.answer_newest() or len(answerer.heard["step"]) >= 2)
    second = answerer.heard["step"][1]
    answerer.send([float("nan")], second)
    answerer.send([0.5, 0.5], second)
    said = health.heard["/diagnostics"]
    spin_until(nodes, lambda: any("action" in a.status[0].message and a.status[0].level == b"\x02" for a in said))
    assert len({nanoseconds(step.header.stamp) for step in answerer.heard["step"]}) == 2
    answerer.send([0.5], second)
    spin_until(nodes, lambda: len({nanoseconds(step.header.stamp) for step in answerer.heard["step"]}) == 3)


class DiesOnItsWay(sim.Env):
    """An environment whose simulator dies in the first few resets after its first episode."""

    def __init__(self, inner: sim.Env, deaths: int) -> None:
        super().__init__()
        self._inner, self._deaths, self._begun = inner, deaths, False
        self.description = inner.description

    def _reset(self) -> TimeStep:
        if self._begun and self._deaths:
            self._deaths -= 1
            raise SimDiedError("CoppeliaSim has died")
        self._begun = True
        return self._inner.reset()

    def _step(self, action: np.ndarray) -> TimeStep:
        return self._inner.step(action)

    def _reseed(self, seed: int) -> None:
        """Its inner environment has the seed."""

    def _close(self) -> None:
        self._inner.close()


@pytest.mark.parametrize(("deaths", "goes_on"), [(2, True), (3, False)])
def test_a_simulator_that_dies_as_an_episode_begins_is_started_again(
    deaths: int, goes_on: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    environment = DiesOnItsWay(sim.make("dmc", "cartpole_balance", image_size=(32, 32), action_repeat=100), deaths)
    monkeypatch.setattr(sim, "make", lambda *_, **__: environment)
    node, answerer = start(), Answerer([[0.1]] * 12)
    heard = answerer.heard["step"]
    spin_until([answerer, node], lambda: answerer.answer_newest() or any(s.episode for s in heard) or node.done.done())
    assert any(step.episode for step in heard) == goes_on
    assert node.done.done() != goes_on
    assert capfd.readouterr().err.count("starting it again, with a new episode") == min(deaths, 2)


def test_a_stale_action_is_no_answer() -> None:
    node, answerer = start(), Answerer([[0.1]])
    spin_until([answerer, node], lambda: answerer.answer_newest() or len(answerer.heard["step"]) >= 2)
    first, second = answerer.heard["step"]
    for _ in range(3):
        answerer.send([0.2], first)
    answerer.send([0.3], second)
    spin_until([answerer, node], lambda: len(answerer.heard["step"]) >= 3)
    assert answerer.heard["step"][2].index == 2


def test_a_late_node_gets_the_description_and_the_last_time_steps_again() -> None:
    node, answerer = start(repeat_after=0.05), Answerer([[0.1], [0.1]])
    # Which time steps, not how many: they are shown again all the time.
    spin_until(
        [answerer, node],
        lambda: answerer.answer_newest() or any(step.index == 2 for step in answerer.heard["step"]),
    )
    time_steps, facts = Listener(TIME_STEP_TOPICS, RELIABLE), Listener({"description": String}, LATCHED)
    late = [time_steps, facts]
    # The last time step, and the one before it, which has been answered.
    last = {(1, True), (2, False)}
    spin_until(
        [*late, node],
        lambda: (
            last <= {(step.index, step.answered) for step in time_steps.heard["step"]}
            and bool(facts.heard["description"])
        ),
    )
    told = description.from_json(facts.heard["description"][0].data)
    assert told.task == "cartpole_balance"
    assert told.action_space.size == 1
    assert told.image_size == (32, 32)


@pytest.mark.parametrize(
    ("change", "word"), [({"task": "cartpole_swngup"}, "cartpole_swingup"), ({"image_size": 5}, "image_size")]
)
def test_a_wrong_parameter_is_told_in_one_line(change: dict, word: str, capfd: pytest.CaptureFixture) -> None:
    try:
        assert not SimNode(parameter_overrides=overrides(**{**ENVIRONMENT, **change})).start()
        said = capfd.readouterr().err
    except Exception as error:
        said = str(error)
    assert word in said
    assert "Traceback" not in said


def test_a_node_can_be_stopped_and_started_again() -> None:
    node, answerer = start(), Answerer([[0.1]] * 4)
    spin_until([answerer, node], lambda: answerer.answer_newest() or len(answerer.heard["step"]) >= 2)
    node.stop()
    node.stop()
    assert node.start()
    heard = len(answerer.heard["step"])
    spin_until([answerer, node], lambda: len(answerer.heard["step"]) > heard)
    assert answerer.heard["step"][-1].is_first
