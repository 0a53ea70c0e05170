"""What a live graph published, and what its recording gives when it is scored offline."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from viper_ros.msg import Action, Reward, Step

from tests.viper_model.examples import with_settings
from tests.viper_model.videos.writers import write_bag
from tests.viper_ros.conftest import Listener, overrides, random_frames, spin_until
from viper_model.errors import ModelError
from viper_model.reward.likelihood import likelihood_map
from viper_model.reward.scorer import score_video
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.preparation import resize
from viper_model.videos.settings import VideoSettings
from viper_ros.bags.scoring import score_bag_to_folder
from viper_ros.bags.writing import message_types
from viper_ros.nodes.record_node import RecordNode
from viper_ros.nodes.reward_node import RewardNode
from viper_ros.nodes.sim_node import SimNode
from viper_ros.runtime.qos import RELIABLE
from viper_ros.runtime.stamps import nanoseconds

TASK = "cartpole_swingup"
ENVIRONMENT = {"task": TASK, "image_size": 32, "action_repeat": 100, "repeat_after": 0.05}
"""Ten steps an episode; time steps are published again all the time, as for nodes that come late."""


class Actor(Listener):
    """Answers each step, and keeps the rewards that were published."""

    def __init__(self, environment: str) -> None:
        self.environment = environment
        super().__init__({f"{environment}/step": Step, f"{environment}/reward": Reward}, RELIABLE)
        self._actions = self.create_publisher(Action, f"{environment}/action", RELIABLE)
        self._answered = 0

    def answer(self) -> None:
        steps = self.heard[f"{self.environment}/step"]
        if len(self.rewards()) == 10 and sum(step.header.stamp == steps[-1].header.stamp for step in steps) < 2:
            return  # Until the environment has shown its time steps again.
        if steps and nanoseconds(steps[-1].header.stamp) > self._answered and self.rewarded(steps[-1]):
            self._answered = nanoseconds(steps[-1].header.stamp)
            action = Action(values=[float(np.sin(len(steps)))])
            action.header.stamp = steps[-1].header.stamp
            self._actions.publish(action)

    def rewarded(self, step: Step) -> bool:
        return nanoseconds(step.header.stamp) in self.rewards()

    def rewards(self) -> dict[int, Reward]:
        return {nanoseconds(r.header.stamp): r for r in self.heard[f"{self.environment}/reward"]}


def messages(bag: Path, topic: str) -> list[Any]:
    with AnyReader([bag]) as reader:
        connections = [c for c in reader.connections if c.topic == topic]
        assert connections, f"{bag} has no {topic}"
        return [reader.deserialize(data, c.msgtype) for c, _, data in reader.messages(connections)]


@pytest.mark.usefixtures("ros")
def test_a_recording_of_the_graph_scored_offline_gives_the_rewards_that_it_published(
    model_folder: Path, tmp_path: Path
) -> None:
    names = ["env_0", "env_1"]
    topics = [f"{name}/{topic}" for name in names for topic in ("image_raw", "step", "action", "reward")]
    bag = tmp_path / "run"
    record = RecordNode(parameter_overrides=overrides(out=str(bag), topics=[*topics, "/diagnostics"]))
    reward = RewardNode(parameter_overrides=overrides(model=str(model_folder), environments=names))
    environments = [
        SimNode(namespace=name, parameter_overrides=overrides(**ENVIRONMENT, seed=seed))
        for seed, name in enumerate(names)
    ]
    actors = [Actor(name) for name in names]
    nodes = [*actors, record, reward, *environments]
    assert all(node.start() for node in (reward, *environments, record))

    def played() -> bool:
        for actor in actors:
            actor.answer()
        return all(len(actor.rewards()) >= 36 for actor in actors)

    spin_until(nodes, played)
    assert record.stop()

    scored = score_bag_to_folder(bag, model_folder, None, tmp_path, maps=True)
    assert scored == tmp_path / "run_scored"
    codes = VideoModel.load(model_folder).config.tokenizer.grid ** 2
    for name, actor in zip(names, actors, strict=True):
        steps = messages(bag, f"/{name}/step")
        images_shown = messages(bag, f"/{name}/image_raw")
        live = actor.rewards()
        offline = {nanoseconds(r.header.stamp): r for r in messages(scored, f"/{name}/reward")}
        begun = min(nanoseconds(step.header.stamp) for step in steps if step.is_first)
        recorded = {nanoseconds(image.header.stamp) for image in images_shown}
        assert len(recorded) < len(images_shown), "nothing was published again: the test misses its point"
        assert set(offline) == {stamp for stamp in recorded if stamp >= begun}
        assert len(offline.keys() & live.keys()) > 20
        assert sum(step.is_first and not step.answered for step in steps) > 1
        for stamp in offline.keys() & live.keys():
            # 1e-4 nats a code, the bound that streaming is held to: a batch of two sums in another order.
            difference = offline[stamp].log_likelihood - live[stamp].log_likelihood
            assert abs(difference) < 1e-4 * codes, stamp
            assert offline[stamp].reward == pytest.approx(live[stamp].reward, abs=1e-4 * codes)
        assert len(messages(scored, f"/{name}/likelihood_map")) == len(offline)
        # All else is there as it was recorded, and a scored bag can be scored again.
        assert len(messages(scored, f"/{name}/action")) == len(messages(bag, f"/{name}/action"))
        assert len(messages(scored, f"/{name}/image_raw")) == len(images_shown)
    assert messages(scored, "/diagnostics")
    again = score_bag_to_folder(scored, model_folder, None, tmp_path)
    assert len(messages(again, "/env_1/reward")) == len(messages(scored, "/env_1/reward"))


@pytest.mark.usefixtures("ros")
def test_the_types_in_a_bag_are_those_on_the_wire() -> None:
    """By their hashes, which `ros2 bag play` and the type description service compare."""
    actor = Actor("env_0")
    reward = actor.create_publisher(Reward, "env_0/reward", RELIABLE)
    for topic in (reward.topic_name, "/env_0/action"):
        offer = actor.get_publishers_info_by_topic(topic)[0]
        assert str(offer.topic_type_hash) == message_types().hash_rihs01(offer.topic_type)


def test_a_camera_alone_is_scored_as_one_video_at_the_videos_rate(model_folder: Path, tmp_path: Path) -> None:
    folder = with_settings(model_folder, tmp_path / "model", VideoSettings(rate=10))
    video = random_frames(12)
    write_bag(tmp_path / "camera", video, rate=20)
    scored = score_bag_to_folder(tmp_path / "camera", folder, TASK, tmp_path, maps=True)
    model = VideoModel.load(folder)
    expected = score_video(model, resize(video[::2], model.image_size), TASK, "conditional")
    rewards = messages(scored, "/camera/reward")
    np.testing.assert_allclose([r.log_likelihood for r in rewards], expected.conditional, rtol=1e-4)
    np.testing.assert_allclose([r.reward for r in rewards], expected.reward, rtol=1e-4)
    stamps = [nanoseconds(m.header.stamp) for m in messages(scored, "/camera/image_raw")]
    assert [nanoseconds(r.header.stamp) for r in rewards] == stamps[::2]
    shown = np.stack([m.data.reshape(m.height, m.width) for m in messages(scored, "/camera/likelihood_map")])
    assert abs(shown.astype(int) - likelihood_map(expected.code_log_probs)).max() <= 1


def test_the_camera_is_chosen_in_the_folder_that_a_bag_lies_in(model_folder: Path, tmp_path: Path) -> None:
    write_bag(tmp_path / "bag", random_frames(4), rate=20, topics=("/left/image", "/right/image"))
    with pytest.raises(ModelError, match="several cameras: set `camera`"):
        score_bag_to_folder(tmp_path / "bag", model_folder, TASK, tmp_path)
    (tmp_path / "videos.yaml").write_text("camera: /right/image")
    scored = score_bag_to_folder(tmp_path / "bag", model_folder, TASK, tmp_path)
    assert len(messages(scored, "/right/reward")) == 4


def test_a_camera_slower_than_the_models_videos_is_refused(model_folder: Path, tmp_path: Path) -> None:
    folder = with_settings(model_folder, tmp_path / "model", VideoSettings(rate=10))
    write_bag(tmp_path / "camera", random_frames(12), rate=5)
    with pytest.raises(ModelError, match="it has 5 frames a second, less than the `rate` of 10"):
        score_bag_to_folder(tmp_path / "camera", folder, TASK, tmp_path)
    assert not (tmp_path / "camera_scored").exists()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda bag, out: (bag / "bag.mcap").unlink(), "cannot be read as a bag"),
        (lambda bag, out: (bag / "bag.mcap").write_bytes(b"nothing"), "is not MCAP"),
        (lambda bag, out: (out / "bag_scored").mkdir(), "is there already"),
    ],
)
def test_a_bag_that_cannot_be_scored_is_told_and_leaves_nothing_behind(
    spoil: Callable[[Path, Path], None], said: str, model_folder: Path, tmp_path: Path
) -> None:
    write_bag(tmp_path / "bag", random_frames(3), rate=20)
    spoil(tmp_path / "bag", tmp_path)
    there = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(Exception, match=said):
        score_bag_to_folder(tmp_path / "bag", model_folder, TASK, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == there


def test_a_bag_without_images_is_told_and_leaves_nothing_behind(model_folder: Path, tmp_path: Path) -> None:
    write_bag(tmp_path / "bag", random_frames(3), rate=20, topics=())
    with pytest.raises(ModelError, match="it holds no images"):
        score_bag_to_folder(tmp_path / "bag", model_folder, TASK, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]


@pytest.mark.usefixtures("ros")
def test_a_recorder_refuses_to_write_over_a_bag(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    assert not RecordNode(parameter_overrides=overrides(out=str(tmp_path))).start()
    assert "is there already: remove it or choose another out:=" in capfd.readouterr().err
