"""reward_node over real DDS: the rewards that come out are those of the model on the whole video."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from sensor_msgs.msg import CompressedImage, Image
from viper_ros.msg import Reward, Step

from tests.viper_model.examples import save_model, with_settings
from tests.viper_ros.conftest import Listener, overrides, random_frames, spin_until
from viper_model.reward.likelihood import FORMS, Form, conditional, likelihood_map
from viper_model.reward.scorer import score_video
from viper_model.video_model.sizes import CODE_MODELS
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.preparation import Crop, resize
from viper_model.videos.settings import VideoSettings
from viper_ros.messages import images
from viper_ros.nodes.reward_node import RewardNode
from viper_ros.runtime.qos import RELIABLE
from viper_ros.runtime.stamps import nanoseconds, to_stamp

pytestmark = pytest.mark.usefixtures("ros")

TASK = "cartpole_swingup"
LENGTH = 20


class Camera(Listener):
    """Plays videos to the reward node and hears its rewards."""

    def __init__(self, environments: list[str]) -> None:
        topics = {f"{name}/reward": Reward for name in environments}
        maps = {f"{name}/likelihood_map": Image for name in environments}
        super().__init__({**topics, **maps}, RELIABLE)
        self._images = {name: self.create_publisher(Image, f"{name}/image_raw", RELIABLE) for name in environments}
        self._steps = {name: self.create_publisher(Step, f"{name}/step", RELIABLE) for name in environments}

    def show(self, name: str, index: int, frame: np.ndarray, first: bool, task: str = TASK) -> None:
        step = Step(task=task, index=index, is_first=first)
        step.header.stamp = to_stamp(1 + index)
        self._steps[name].publish(step)
        self._images[name].publish(images.to_message(frame, step.header.stamp, "camera"))

    def rewards(self, name: str) -> dict[int, Reward]:
        return {nanoseconds(r.header.stamp) - 1: r for r in self.heard[f"{name}/reward"]}


def frame_by_frame(
    camera: Camera, node: RewardNode, videos: dict[str, np.ndarray], firsts: dict[str, set[int]]
) -> None:
    def show_next() -> Iterator[None]:
        for index in range(LENGTH):
            for name, frames in videos.items():
                camera.show(name, index, frames[index], index in firsts[name])
            while any(index not in camera.rewards(name) for name in videos):
                yield

    playing = show_next()
    spin_until([camera, node], lambda: next(playing, "over") == "over")


def whole_video(model: VideoModel, video: np.ndarray) -> torch.Tensor:
    """Log-probabilities of a video's codes in one pass, [time, rows, columns]."""
    frames = torch.from_numpy(resize(video, model.image_size))
    return model.log_probs(frames[None], torch.tensor([model.task_index(TASK)])).task[0]


def start(model_folder: Path, **values: object) -> RewardNode:
    node = RewardNode(parameter_overrides=overrides(model=str(model_folder), **values))
    assert node.start()
    return node


@pytest.mark.parametrize("code_model", CODE_MODELS)
def test_rewards_and_maps_are_the_models_on_the_whole_video_for_each_environment(
    tmp_path: Path, code_model: str
) -> None:
    save_model(tmp_path, code_model)
    names = ["env_0", "env_1", "robot/arm"]
    videos = {name: random_frames(LENGTH, seed=i) for i, name in enumerate(names)}
    firsts = {"env_0": {0}, "env_1": {0, 7}, "robot/arm": {0, 13, 14}}
    camera = Camera(names)
    frame_by_frame(camera, start(tmp_path, environments=names), videos, firsts)

    model = VideoModel.load(tmp_path)
    task = torch.tensor([model.task_index(TASK)])
    for name, frames in videos.items():
        seen = torch.from_numpy(resize(frames, model.image_size))
        cuts = [*sorted(firsts[name]), LENGTH]
        expected = torch.cat([model.log_probs(seen[a:b][None], task).task[0] for a, b in itertools.pairwise(cuts)])
        rewards = camera.rewards(name)
        likelihoods = np.array([rewards[i].log_likelihood for i in range(LENGTH)])
        # 1e-4 nats a code, the bound that streaming is held to.
        codes = expected.shape[-1] ** 2
        np.testing.assert_allclose(likelihoods, conditional(expected), atol=1e-4 * codes)
        scaled = model.calibration[TASK].reward("conditional", likelihoods)
        np.testing.assert_allclose([rewards[i].reward for i in range(LENGTH)], scaled, rtol=1e-4)
        assert len(camera.heard[f"{name}/reward"]) == LENGTH
        maps = camera.heard[f"{name}/likelihood_map"]
        assert len(maps) == LENGTH
        shown = np.stack([images.to_rgb(m)[..., 0] for m in maps]).astype(int)
        assert abs(shown - likelihood_map(expected.numpy())).max() <= 1


def test_bfloat16_rewards_are_nearly_those_of_float32(model_folder: Path) -> None:
    video, camera = random_frames(LENGTH), Camera(["env_0"])
    frame_by_frame(camera, start(model_folder, precision="bfloat16"), {"env_0": video}, {"env_0": {0}})
    likelihoods = np.array([camera.rewards("env_0")[i].log_likelihood for i in range(LENGTH)])
    difference = abs(likelihoods - conditional(whole_video(VideoModel.load(model_folder), video)).numpy())
    assert 1e-3 < difference.max() < 0.2  # more than float32's rounding; 2^-8 of logits near 1, over 16 codes


@pytest.mark.parametrize("told", ["auto", *FORMS])
def test_the_reward_has_the_form_that_the_node_was_told(told: str, tmp_path: Path) -> None:
    """Of a model with a background; unless told otherwise it is the ratio."""
    save_model(tmp_path, background=True)
    video = random_frames(LENGTH)
    camera = Camera(["env_0"])
    frame_by_frame(camera, start(tmp_path, likelihood=told), {"env_0": video}, {"env_0": {0}})
    model = VideoModel.load(tmp_path)
    form: Form = next((form for form in FORMS if form == told), "ratio")
    whole = score_video(model, resize(video, model.image_size), TASK, form)
    rewards = [camera.rewards("env_0")[i] for i in range(LENGTH)]
    tolerance = 2e-4 * model.config.tokenizer.grid**2  # 1e-4 nats a code, of both models
    np.testing.assert_allclose([r.log_likelihood for r in rewards], whole.log_likelihood, atol=tolerance)
    np.testing.assert_allclose([r.reward for r in rewards], whole.reward, atol=tolerance)


def test_a_ratio_of_a_model_without_a_background_is_refused_in_one_line(
    model_folder: Path, capfd: pytest.CaptureFixture
) -> None:
    node = RewardNode(parameter_overrides=overrides(model=str(model_folder), likelihood="ratio"))
    assert not node.start()
    said = capfd.readouterr().err
    assert "fit one with background:=auto, or choose the form conditional" in said
    assert "Traceback" not in said


def test_episodes_are_scored_as_the_task_that_is_asked_for_whichever_is_run(model_folder: Path) -> None:
    video, camera = random_frames(3), Camera(["env_0"])
    node = start(model_folder, reward_task=TASK)
    for index in range(3):
        camera.show("env_0", index, video[index], index == 0, task="what_the_model_does_not_know")
    spin_until([camera, node], lambda: len(camera.rewards("env_0")) == 3)
    likelihoods = [camera.rewards("env_0")[i].log_likelihood for i in range(3)]
    expected = conditional(whole_video(VideoModel.load(model_folder), video))
    np.testing.assert_allclose(likelihoods, expected, atol=1e-2)


def test_a_reward_task_that_the_model_does_not_know_is_refused(
    model_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    parameters = overrides(model=str(model_folder), reward_task="walker_walk")
    assert not RewardNode(parameter_overrides=parameters).start()
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "walker_walk" in line]
    assert TASK in line


def test_a_frame_shown_again_gets_the_same_reward_and_changes_nothing(model_folder: Path) -> None:
    video = random_frames(3)
    camera, node = Camera(["env_0"]), start(model_folder)
    for index in (0, 1):
        camera.show("env_0", index, video[index], index == 0)
    spin_until([camera, node], lambda: len(camera.rewards("env_0")) == 2)
    before = camera.rewards("env_0")
    for index in (0, 1):
        camera.show("env_0", index, video[index], index == 0)
    camera.show("env_0", 2, video[2], False)
    spin_until([camera, node], lambda: 2 in camera.rewards("env_0"))
    after = camera.rewards("env_0")
    assert len(camera.heard["env_0/reward"]) > 3
    assert [after[i].log_likelihood for i in (0, 1)] == [before[i].log_likelihood for i in (0, 1)]
    model = VideoModel.load(model_folder)
    whole = conditional(whole_video(model, video))
    assert after[2].log_likelihood == pytest.approx(float(whole[2]), rel=1e-4)


def test_any_size_and_encoding_is_scored(model_folder: Path) -> None:
    camera, node = Camera(["env_0"]), start(model_folder)
    camera.show("env_0", 0, random_frames(1, 200)[0], True)
    camera.show("env_0", 1, random_frames(1, 64)[0][..., 0], False)
    spin_until([camera, node], lambda: len(camera.rewards("env_0")) == 2)
    assert all(np.isfinite(r.log_likelihood) for r in camera.rewards("env_0").values())


def test_live_frames_are_cropped_and_masked_as_the_models_videos_were(model_folder: Path, tmp_path: Path) -> None:
    mask = np.ones((64, 64), bool)
    mask[:20, 30:] = False
    settings = VideoSettings(crop=Crop(top=10, left=20, height=40, width=40), masks={TASK: mask})
    folder = with_settings(model_folder, tmp_path / "model", settings)
    video = random_frames(LENGTH)
    camera = Camera(["env_0"])
    frame_by_frame(camera, start(folder), {"env_0": video}, {"env_0": {0}})
    model = VideoModel.load(folder)
    seen = resize((video * mask[..., None])[:, 10:50, 20:60], model.image_size)
    whole = conditional(whole_video(model, seen))
    likelihoods = [camera.rewards("env_0")[i].log_likelihood for i in range(LENGTH)]
    np.testing.assert_allclose(likelihoods, whole, rtol=1e-4)


def test_a_frame_that_is_no_picture_is_counted_and_the_next_is_scored(model_folder: Path) -> None:
    camera, node = Camera(["env_0"]), start(model_folder)
    bad = Image(height=64, width=64, encoding="rgb8", step=192)
    bad.header.stamp = to_stamp(1)
    camera._images["env_0"].publish(bad)
    camera.show("env_0", 1, random_frames(1)[0], True)
    spin_until([camera, node], lambda: 1 in camera.rewards("env_0"))
    diagnostics = Listener({"/diagnostics": DiagnosticArray}, RELIABLE)

    def told() -> bool:
        values = [v for array in diagnostics.heard["/diagnostics"] for status in array.status for v in status.values]
        return any(value.key == "messages_refused" and value.value == "1" for value in values)

    spin_until([camera, node, diagnostics], told)


def test_a_step_of_a_task_that_the_model_does_not_know_is_refused_in_one_line_and_the_next_is_scored(
    model_folder: Path, capfd: pytest.CaptureFixture
) -> None:
    node, camera = start(model_folder), Camera(["env_0"])
    diagnostics = Listener({"/diagnostics": DiagnosticArray}, RELIABLE)
    camera.show("env_0", 0, random_frames(1)[0], True, task="hopper_hop")

    def told() -> bool:
        said = [status for array in diagnostics.heard["/diagnostics"] for status in array.status]
        return any(s.level == DiagnosticStatus.ERROR and "no task 'hopper_hop'" in s.message for s in said)

    spin_until([camera, node, diagnostics], told)
    camera.show("env_0", 1, random_frames(1)[0], True)
    spin_until([camera, node], lambda: 1 in camera.rewards("env_0"))
    assert not node.done.done()
    said = capfd.readouterr().err
    assert "the model knows no task 'hopper_hop': choose one of cartpole_balance, cartpole_swingup" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("damage", ["missing", "no name", "cut short", "foreign"])
def test_a_checkpoint_that_is_none_is_told_in_one_line(
    damage: str, model_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    folder = tmp_path / "model"
    if damage in ("cut short", "foreign"):
        folder.mkdir()
        for file in model_folder.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:1000] if damage == "cut short" else b"something else")
    node = RewardNode(parameter_overrides=overrides(model="" if damage == "no name" else str(folder)))
    assert not node.start()
    assert node.done.result() == 1
    said = capfd.readouterr().err
    assert "model" in said
    assert "Traceback" not in said


def test_it_says_when_frames_stop(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    camera, node = Camera(["env_0"]), start(model_folder)
    camera.show("env_0", 0, random_frames(1)[0], True)
    spin_until([camera, node], lambda: len(camera.rewards("env_0")) == 1)
    assert node.health().message == "keeping up"
    monkeypatch.setattr("viper_ros.nodes.reward_node.SILENCE_SECONDS", 0.0)
    assert node.health().message.startswith("no frames for")


def test_a_camera_alone_is_scored_as_one_video(model_folder: Path) -> None:
    video = random_frames(8)
    camera = Camera(["env_0"])
    node = start(model_folder, steps=False, task=TASK)
    for index, frame in enumerate(video):
        camera._images["env_0"].publish(images.to_message(frame, to_stamp(1 + index), "camera"))
        spin_until([camera, node], lambda count=index: count in camera.rewards("env_0"))
    whole = conditional(whole_video(VideoModel.load(model_folder), video))
    likelihoods = [camera.rewards("env_0")[i].log_likelihood for i in range(len(video))]
    np.testing.assert_allclose(likelihoods, whole, rtol=1e-4)


def test_a_camera_faster_than_the_model_has_its_older_frames_dropped_and_counted(model_folder: Path) -> None:
    node = start(model_folder, steps=False, task=TASK)
    for index, frame in enumerate(random_frames(5)):
        node._on_frame(0, images.to_message(frame, to_stamp(1 + index), "camera"))
    assert len(node._videos[0].waiting) == 1
    assert node._videos[0].waiting[0][0] == 5
    assert node.health().values["frames_dropped"] == 4
    assert node.health().level == DiagnosticStatus.WARN
    assert node.health().message.startswith("falling behind: frames are dropped")


def test_a_camera_slower_than_the_videos_is_told(model_folder: Path, tmp_path: Path) -> None:
    node = start(with_settings(model_folder, tmp_path / "model", VideoSettings(rate=10.0)), steps=False, task=TASK)
    for fifth, frame in enumerate(random_frames(10)):
        node._on_frame(0, images.to_message(frame, to_stamp(10**9 + fifth * 2 * 10**8), "camera"))
        node._videos[0].waiting.clear()  # scored in time
    assert node.health().level == DiagnosticStatus.WARN
    assert "/env_0/image_raw: it has 5 frames a second, less than the `rate` of 10" in node.health().message


def test_a_frame_that_the_models_crop_does_not_fit_is_refused_and_the_node_goes_on(
    model_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    folder = with_settings(model_folder, tmp_path / "model", VideoSettings(crop=Crop(0, 0, 24, 24)))
    camera, node = Camera(["env_0"]), start(folder)
    camera.show("env_0", 0, random_frames(1, size=8)[0], True)
    spin_until([camera, node], lambda: node._refused == 1)
    assert "reaches beyond the video's frames of 8×8 pixels" in capfd.readouterr().err
    camera.show("env_0", 1, random_frames(1, size=32)[0], True)
    spin_until([camera, node], lambda: len(camera.rewards("env_0")) == 1)


def test_a_camera_whose_clock_is_set_back_begins_another_video(model_folder: Path) -> None:
    video = random_frames(6)
    camera = Camera(["env_0"])
    node = start(model_folder, steps=False, task=TASK)
    second = 10**9
    # A bag that is played twice, with a frame that comes late in between.
    for index, stamp in enumerate([10 * second, 11 * second, 12 * second, 5 * second, 6 * second, 7 * second]):
        camera._images["env_0"].publish(images.to_message(video[index], to_stamp(stamp), "camera"))
        spin_until([camera, node], lambda stamp=stamp: stamp - 1 in camera.rewards("env_0"))
        camera._images["env_0"].publish(images.to_message(video[0], to_stamp(stamp - 1), "camera"))
    model = VideoModel.load(model_folder)
    whole = torch.cat([conditional(whole_video(model, part)) for part in (video[:3], video[3:])])
    rewards = camera.rewards("env_0")
    assert len(rewards) == 6
    likelihoods = [rewards[s * second - 1].log_likelihood for s in (10, 11, 12, 5, 6, 7)]
    np.testing.assert_allclose(likelihoods, whole, rtol=1e-4)


@pytest.mark.parametrize(
    ("stamp", "why"), [(0, "stamps nothing"), (5 * 10**9, "stamps whole seconds")], ids=["nothing", "whole seconds"]
)
def test_a_camera_whose_stamps_say_nothing_is_scored_by_arrival_and_named(
    stamp: int, why: str, model_folder: Path
) -> None:
    video = random_frames(6)
    camera = Camera(["env_0"])
    node = start(model_folder, steps=False, task=TASK)
    heard = camera.heard["env_0/reward"]
    for index, frame in enumerate(video):
        camera._images["env_0"].publish(images.to_message(frame, to_stamp(stamp), "camera"))
        spin_until([camera, node], lambda count=index: len(heard) == count + 1)
    # Its second frame shows that stamps don't count: from there on it is one video.
    whole = conditional(whole_video(VideoModel.load(model_folder), video[1:]))
    np.testing.assert_allclose([reward.log_likelihood for reward in heard[1:]], whole, rtol=1e-4)
    stamps = [nanoseconds(reward.header.stamp) for reward in heard[1:]]
    assert stamps == sorted(set(stamps))
    health = node.health()
    assert health.level == DiagnosticStatus.WARN
    assert f"/env_0/image_raw {why}" in health.message


def test_frames_of_a_camera_alone_that_are_not_scored_are_counted(model_folder: Path, tmp_path: Path) -> None:
    node = start(with_settings(model_folder, tmp_path / "model", VideoSettings(rate=5.0)), steps=False, task=TASK)
    frames = random_frames(3)
    tenths = [0, 1, 2, 3, 4, 3, 5, 6, 6, 7]  # One late, one again.
    for tenth in tenths:
        stamp = to_stamp(10**9 + tenth * 10**8)
        node._on_frame(0, images.to_message(frames[tenth % 3], stamp, "camera"))
    values = node.health().values
    assert [values[f"frames_{what}"] for what in ("late", "again", "between", "dropped")] == [1, 1, 4, 3]
    assert len(node._videos[0].waiting) == 1


def test_frames_and_steps_without_a_stamp_are_refused_with_the_topics_name(
    model_folder: Path, capfd: pytest.CaptureFixture
) -> None:
    camera, node = Camera(["env_0"]), start(model_folder)
    camera._images["env_0"].publish(images.to_message(random_frames(1)[0], to_stamp(0), "camera"))
    spin_until([camera, node], lambda: node._refused == 1)
    assert "/env_0/image_raw: no stamp" in capfd.readouterr().err


def test_a_compressed_camera_is_scored_as_its_raw_images_are(model_folder: Path) -> None:
    video = random_frames(3)
    camera = Camera(["env_0"])
    topic = "camera/image_raw/compressed"
    node = RewardNode(
        parameter_overrides=overrides(model=str(model_folder), steps=False, task=TASK),
        cli_args=["--ros-args", "-r", f"env_0/image_raw:={topic}"],
    )
    assert node.start()
    publisher = camera.create_publisher(CompressedImage, topic, RELIABLE)
    for index, frame in enumerate(video):
        data = cv2.imencode(".png", frame[..., ::-1])[1].tobytes()
        message = CompressedImage(format="rgb8; png compressed bgr8", data=data)
        message.header.stamp = to_stamp(1 + index)
        publisher.publish(message)
        spin_until([camera, node], lambda count=index: count in camera.rewards("env_0"))
    whole = conditional(whole_video(VideoModel.load(model_folder), video))
    likelihoods = [camera.rewards("env_0")[index].log_likelihood for index in range(3)]
    np.testing.assert_allclose(likelihoods, whole, rtol=1e-4)


def test_a_camera_alone_must_say_its_task_where_the_model_knows_several(
    model_folder: Path, capfd: pytest.CaptureFixture
) -> None:
    assert not RewardNode(parameter_overrides=overrides(model=str(model_folder), steps=False)).start()
    assert "set 'task' to one of cartpole_balance, cartpole_swingup" in capfd.readouterr().err
