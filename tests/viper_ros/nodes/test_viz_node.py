"""viz_node in a real graph, its recording read back by Rerun itself."""

import sys
from pathlib import Path

import numpy as np
import pytest
from sensor_msgs.msg import Image, JointState
from viper_ros.msg import Action, Reward, Step

from tests.viper_ros.conftest import Listener, overrides, random_frames, spin_until
from viper_ros.messages import images
from viper_ros.nodes.viz_node import VizNode
from viper_ros.runtime.qos import RELIABLE
from viper_ros.runtime.stamps import to_stamp

pytestmark = pytest.mark.usefixtures("ros")


class Graph(Listener):
    """Publishes what a graph of one environment and an arm does."""

    def __init__(self) -> None:
        super().__init__({}, RELIABLE)
        kinds = {"image_raw": Image, "likelihood_map": Image, "step": Step, "reward": Reward, "action": Action}
        self._topics = {name: self.create_publisher(kind, f"env_0/{name}", RELIABLE) for name, kind in kinds.items()}
        self._joints = self.create_publisher(JointState, "joint_states", RELIABLE)

    def heard_by_all(self) -> bool:
        return all(topic.get_subscription_count() for topic in (*self._topics.values(), self._joints))

    def show(self, number: int, frame: np.ndarray) -> None:
        stamp = to_stamp(10**18 + number)
        step, reward = Step(index=number, task_reward=0.5), Reward(reward=number / 4, log_likelihood=-8.0)
        messages = {
            "image_raw": images.to_message(frame, stamp, "camera"),
            "likelihood_map": images.to_message(frame[:4, :4, 0], stamp, "camera"),
            "step": step,
            "reward": reward,
            "action": Action(values=[0.5, -0.5]),
        }
        for name, message in messages.items():
            message.header.stamp = stamp
            self._topics[name].publish(message)
        joints = JointState(name=["elbow"], position=[1.5])
        joints.header.stamp = stamp
        self._joints.publish(joints)


def test_what_a_graph_does_is_in_the_recording(tmp_path: Path) -> None:
    rerun = pytest.importorskip("rerun", reason="pip install -r requirements/rerun.txt")
    file = tmp_path / "run.rrd"
    node, graph = VizNode(parameter_overrides=overrides(file=str(file))), Graph()
    assert node.start()
    frames = random_frames(5, 32)
    spin_until([graph, node], graph.heard_by_all)
    for number, frame in enumerate(frames):
        graph.show(number, frame)
    spin_until([graph, node], lambda: node.health().values.get("messages", 0) == 6 * len(frames))
    assert node.stop()

    recording = rerun.dataframe.load_recording(file)
    table = recording.view(index="stamp", contents="/**").select().read_all()
    rows = table.select([name for name in table.column_names if ":" in name]).to_pydict()
    rewards = [value[0] for value in rows["/env_0/reward:Scalar"] if value is not None]
    assert rewards == [number / 4 for number in range(len(frames))]
    shown = [np.array(value[0], np.uint8) for value in rows["/env_0/image_raw:ImageBuffer"] if value is not None]
    assert all((image.reshape(32, 32, 3) == frame).all() for image, frame in zip(shown, frames, strict=True))
    assert "/env_0/likelihood_map:ImageBuffer" in rows
    for entity in ("action/1", "step/task_reward", "step/normalised_score"):
        assert f"/env_0/{entity}:Scalar" in rows
    assert rows["/joint_states/elbow:Scalar"][0] == [1.5]


def test_without_rerun_the_node_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    assert not VizNode().start()
    assert "viz:=rerun needs Rerun: pip install -r requirements/rerun.txt" in capfd.readouterr().err


def test_a_recording_that_cannot_be_written_is_told(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    pytest.importorskip("rerun", reason="pip install -r requirements/rerun.txt")
    assert not VizNode(parameter_overrides=overrides(file=str(tmp_path / "no" / "where.rrd"))).start()
    assert "can't write to" in capfd.readouterr().err
