"""The video model keeps its contract (`likelihood.LikelihoodModel`) and its folder."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor

from tests.viper_model.conftest import MICRO
from tests.viper_model.video_model import test_masked, test_videogpt
from viper_model.errors import ModelError
from viper_model.reward.likelihood import Calibration
from viper_model.torch_tools.checkpoint import read_tensors, write_tensors
from viper_model.video_model import video_model as video_model_module
from viper_model.video_model.folder import read_calibration
from viper_model.video_model.sizes import CODE_MODELS, SIZES, size_config
from viper_model.video_model.tokenizers import TOKENIZERS
from viper_model.video_model.video_model import VideoModel

NATS = 1e-4
"""How exactly two evaluations of a code agree: what the design promises."""
SLOW_LOG_PROBS = {"videogpt": test_videogpt.slow_log_probs, "masked": test_masked.slow_log_probs}
QUANTILES: dict[str, tuple[float, ...]] = {
    "expert": (-3.0, -2.0, -1.0, -0.5, 0.0),
    "shuffled": (-9.0, -8.0, -7.0, -6.0, -5.0),
}


def random_video(*shape: int) -> Tensor:
    """Blocks of random colours, uint8 [*shape, 16, 16, 3]."""
    blocks = torch.randint(0, 256, (*shape, 4, 4, 3), dtype=torch.uint8)
    return blocks.repeat_interleave(4, -3).repeat_interleave(4, -2)


def with_frame_skip(model: VideoModel, frame_skip: int) -> VideoModel:
    config = dataclasses.replace(model.config, frame_skip=frame_skip)
    skipping = VideoModel(config, model.tasks, background=model.has_background)
    skipping.load_state_dict(model.state_dict())
    return skipping


@pytest.mark.parametrize("frame_skip", [1, 2, 4])
def test_streaming_many_videos_gives_the_numbers_of_whole_clips(model: VideoModel, frame_skip: int) -> None:
    """Three videos of any place, each begun anew now and then, any of them at any step."""
    model = with_frame_skip(model, frame_skip)
    stream = model.stream(3, background=True)
    frames: list[list[Tensor]] = [[], [], []]
    streamed: list[list[tuple[Tensor, Tensor]]] = [[], [], []]
    """Of each frame, under the task and under the background."""

    def check(video: int) -> None:
        if frames[video]:
            clip = torch.stack(frames[video])[None]
            whole = model.log_probs(clip, torch.tensor([video % 2]), background=True)
            for of_clip, of_frames in zip(whole, zip(*streamed[video], strict=True), strict=True):
                assert of_clip is not None
                torch.testing.assert_close(torch.stack(of_frames), of_clip[0], atol=NATS, rtol=0)

    longest = 0
    for step in range(70):
        index = torch.randperm(3)[: torch.randint(1, 4, ())]
        is_first = torch.rand(len(index)) < (1.0 if step == 0 else 0.05)
        new = random_video(len(index))
        scores = stream.step(index, new, index % 2, is_first)
        assert scores.background is not None
        assert scores.task.dtype == scores.background.dtype == torch.float32
        for row, video in enumerate(index.tolist()):
            if is_first[row]:
                check(video)
                frames[video], streamed[video] = [], []
            frames[video].append(new[row])
            streamed[video].append((scores.task[row], scores.background[row]))
        longest = max(longest, *map(len, frames))
    for video in range(3):
        check(video)
    assert longest > 3 * model.context * frame_skip / 2  # else the ring has not come round for every skip


@pytest.mark.parametrize("frame_skip", [1, 2, 4])
def test_streams_and_whole_clips_are_one_slow_pass_from_scratch(model: VideoModel, frame_skip: int) -> None:
    """Videos with resets at every awkward time step, against the full mask over the frames that count, encoded one by
    one.

    Episodes of one frame, of fewer frames than are skipped, of a context less one, exactly and more, and long ones.
    """
    model = with_frame_skip(model, frame_skip)
    context = model.context * frame_skip
    lengths = [1, frame_skip, 3 * context + 1, context - 1, 1, context, context + 1, frame_skip + 1]
    videos = [[random_video(length) for length in order] for order in (lengths, lengths[::-1])]
    stream, index, task = model.stream(2), torch.arange(2), torch.tensor([1, 0])
    is_first = torch.tensor([[step == 0 for part in video for step in range(len(part))] for video in videos]).T
    frames = torch.stack([torch.cat(video) for video in videos], 1)  # [time, videos, 16, 16, 3]
    steps = [stream.step(index, f, task, first) for f, first in zip(frames, is_first, strict=True)]
    streamed = torch.stack([step.task for step in steps], 1)
    for video, episodes in enumerate(videos):
        parts = streamed[video].split([len(episode) for episode in episodes])
        for episode, part in zip(episodes, parts, strict=True):
            codes = torch.stack([model.tokenizer.encode(frame) for frame in episode]).flatten(1)  # [time, tokens]
            slow = torch.empty(codes.shape)
            for phase in range(min(frame_skip, len(codes))):
                counted = codes[None, phase::frame_skip]
                slow_log_probs = SLOW_LOG_PROBS[model.code_model_name]
                slow[phase::frame_skip] = slow_log_probs(model.code_model, counted, task[video : video + 1])[0]
            whole = model.log_probs(episode[None], task[video : video + 1]).task[0]
            torch.testing.assert_close(part.flatten(1), slow, atol=NATS, rtol=0)
            torch.testing.assert_close(whole.flatten(1), slow, atol=NATS, rtol=0)


@pytest.mark.parametrize("frame_skip", [1, 3])
def test_a_long_video_in_parts_has_the_numbers_of_the_whole(
    model: VideoModel, frame_skip: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = with_frame_skip(model, frame_skip)
    assert model.code_model.frames_before > model.context
    frames, task = random_video(frame_skip * (3 * model.code_model.frames_before + 5))[None], torch.tensor([1])
    whole = model.log_probs(frames, task, background=True)
    monkeypatch.setattr(video_model_module, "FRAMES_AT_ONCE", model.code_model.frames_before)
    parts = model.log_probs(frames, task, background=True)
    torch.testing.assert_close(parts.task, whole.task, atol=NATS, rtol=0)
    torch.testing.assert_close(parts.background, whole.background, atol=NATS, rtol=0)


def test_a_code_is_told_from_no_frame_further_back_than_said(model: VideoModel) -> None:
    before = model.code_model.frames_before
    codes = torch.randint(model.config.tokenizer.codes, (2, before + 3, model.code_model.tokens))
    codes[1] = codes[0]
    codes[1, 0] = (codes[1, 0] + 1) % model.config.tokenizer.codes
    one, other = model.code_model.log_probs(codes, torch.tensor([0, 0])).detach()
    assert not torch.equal(one[model.context - 1], other[model.context - 1])
    assert torch.equal(one[before + 1 :], other[before + 1 :])


@pytest.mark.parametrize("frame_skip", [2, 4])
def test_skipped_frames_are_no_past(model: VideoModel, frame_skip: int) -> None:
    """Each of the interleaved videos is scored as the video of its own that it is."""
    video = random_video(1, 11)
    whole = with_frame_skip(model, frame_skip).log_probs(video, torch.tensor([0])).task
    for phase in range(frame_skip):
        alone = model.log_probs(video[:, phase::frame_skip], torch.tensor([0])).task
        torch.testing.assert_close(whole[:, phase::frame_skip], alone, atol=NATS, rtol=0)


def test_the_past_is_what_counts(model: VideoModel) -> None:
    video = random_video(1, 9)
    changed = video.clone()
    changed[:, 5] = random_video(1)
    before, after = (model.log_probs(f, torch.tensor([0])).task.sum((-2, -1))[0] for f in (video, changed))
    assert torch.allclose(before[:5], after[:5], atol=NATS)
    assert not torch.allclose(before[5:8], after[5:8], atol=NATS)


@pytest.mark.parametrize("frame_skip", [1, 2])
def test_imagined_videos_go_on_from_the_given_frames(model: VideoModel, frame_skip: int) -> None:
    model = with_frame_skip(model, frame_skip)
    given, task = random_video(2, 5), torch.tensor([0, 1])
    imagined = model.imagine(given, task, 4, torch.Generator().manual_seed(0))
    assert imagined.shape == (2, 4, 16, 16, 3)
    assert imagined.dtype == torch.uint8
    assert torch.equal(imagined, model.imagine(given, task, 4, torch.Generator().manual_seed(0)))
    assert not torch.equal(imagined, model.imagine(given, task, 4, torch.Generator().manual_seed(1)))


def test_frames_of_another_kind_are_refused(model: VideoModel) -> None:
    task = torch.tensor([0])
    for frames in (torch.zeros(1, 4, 8, 8, 3, dtype=torch.uint8), torch.zeros(1, 4, 16, 16, 3), random_video(4)):
        with pytest.raises(ModelError, match="16, 16, 3"):
            model.log_probs(frames, task)
    stream = model.stream(1)
    index, first = torch.tensor([0]), torch.tensor([True])
    video = random_video(3)
    whole = model.log_probs(video[None], task).task[0]
    stream.step(index, video[:1], task, first)
    with pytest.raises(ModelError):
        stream.step(index, video[1:2].float(), task, ~first)
    torch.testing.assert_close(stream.step(index, video[1:2], task, ~first).task[0], whole[1], atol=NATS, rtol=0)


def test_unknown_names_are_told_the_known_ones(model: VideoModel) -> None:
    with pytest.raises(ModelError, match="tiny"):
        size_config("enormous")
    with pytest.raises(ModelError, match="videogpt, masked"):
        size_config("tiny", code_model="guessed")
    with pytest.raises(ModelError, match="patches, vqgan"):
        size_config("tiny", "guessed")
    with pytest.raises(ModelError, match="slide, jump"):
        model.task_index("fly")


@pytest.mark.parametrize(
    ("size", "tokenizer", "code_model"),
    [
        *((size, tokenizer, "videogpt") for size, each in SIZES.items() for tokenizer in each.tokenizers),
        ("tiny", "patches", "masked"),
    ],
)
def test_every_size_answers(size: str, tokenizer: str, code_model: str) -> None:
    model = VideoModel(size_config(size, tokenizer, code_model), ("a",))
    assert (model.tokenizer_name, model.code_model_name) == (tokenizer, code_model)
    video = torch.randint(0, 256, (1, 2, model.image_size, model.image_size, 3), dtype=torch.uint8)
    grid = SIZES[size].tokenizers[tokenizer].grid
    assert model.log_probs(video, torch.tensor([0])).task.shape == (1, 2, grid, grid)


def test_a_size_has_its_first_tokenizer_unless_told_otherwise() -> None:
    assert size_config("tiny") == size_config("tiny", "patches")
    assert size_config("dmc") == size_config("dmc", "vqgan")


@pytest.fixture
def folder(model: VideoModel, tmp_path: Path) -> Path:
    model.calibration = {
        "slide": Calibration(QUANTILES, dict.fromkeys(Calibration.SCALE, (1.0, 2.0, 3.0, 4.0, 5.0)), "ratio"),
        "jump": Calibration(QUANTILES),
    }
    model.save(tmp_path / "model")
    return tmp_path / "model"


def test_a_saved_model_comes_back_the_same(model: VideoModel, folder: Path) -> None:
    loaded = VideoModel.load(folder)
    video, task = random_video(1, 5), torch.tensor([1])
    for here, there in zip(
        loaded.log_probs(video, task, background=True), model.log_probs(video, task, background=True), strict=True
    ):
        assert here is not None
        assert torch.equal(here, there)
    assert (loaded.tasks, loaded.config) == (model.tasks, model.config)
    assert loaded.calibration == model.calibration


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_models_of_every_tokenizer_with_and_without_a_background_come_back(tokenizer: str, tmp_path: Path) -> None:
    for background in (False, True):
        model = VideoModel(size_config("tiny", tokenizer), ("a",), background=background)
        model.calibration = {"a": Calibration(QUANTILES)}
        model.save(tmp_path)
        loaded = VideoModel.load(tmp_path)
        assert loaded.config == model.config
        assert loaded.has_background == background
        for name, tensor in model.state_dict().items():
            assert torch.equal(loaded.state_dict()[name], tensor), name


def test_a_folder_of_the_first_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    """config.yaml and tasks.yaml as version 1 wrote them."""
    config = {
        "version": 1,
        "frame_skip": 2,
        "likelihood": "videogpt",
        "vqgan": {"image_size": 32, "channels": [32, 64, 64], "blocks": 1, "codes": 256, "code_dim": 32},
        "videogpt": {"context": 8, "layers": 3, "width": 96, "heads": 3, "dropout": 0.1},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "tasks.yaml").write_text(yaml.safe_dump({"a": {"expert": [0.0] * 5, "shuffled": [0.0] * 5}}))
    assert "is of version 1 of the model folder; this viper_ros reads 3: fit the model again" in refused(tmp_path)
    with pytest.raises(ModelError, match="is of version 1"):  # what is asked of a model before a training begins
        read_calibration(tmp_path)


def refused(folder: Path) -> str:
    with pytest.raises(ModelError) as raised:
        VideoModel.load(folder)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("file", ["config.yaml", "tasks.yaml", "model.safetensors"])
def test_a_folder_with_something_missing_cut_or_foreign_is_refused(folder: Path, file: str) -> None:
    path = folder / file
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"\x80\x04garbage\xff", b"[1, 2]", b"a: [b: {}}"):
        path.write_bytes(content)
        assert str(folder) in refused(folder)
    path.unlink()
    assert file in refused(folder)


def test_another_version_and_another_models_weights_are_refused(folder: Path) -> None:
    config = yaml.safe_load((folder / "config.yaml").read_text())
    tokenizer, code_model = config["tokenizer"], config["code_model"]
    (other,) = CODE_MODELS.keys() - {code_model["name"]}
    plain = {"name": other, **dataclasses.asdict(MICRO.code_model)}
    for changes, told in (
        ({"version": 99}, "version 99"),
        ({"code_model": {**code_model, "name": "guessed"}}, "videogpt, masked"),
        ({"tokenizer": {**tokenizer, "name": "guessed"}}, "patches, vqgan"),
        ({"code_model": {}}, "name"),
        ({"tokenizer": {"name": "patches", "image_size": 16, "codes": 16, "patch": 5}}, "patches of 5"),
        ({"tokenizer": {"name": "patches", "image_size": 16, "codes": 16, "patch": 4}}, "another model"),
        *([({"code_model": code_model | plain}, "blocks")] if other == "videogpt" else []),
        ({"code_model": {**code_model, "width": 64}}, "another model"),
        ({"code_model": {**code_model, "wings": 2}}, "wings"),
        ({"background": False}, "another model"),
        ({"code_model": {**code_model, "heads": 5}}, "5 heads can't share"),
        ({"code_model": {**code_model, "context": 0}}, "`context` is 0"),
        ({"tokenizer": {**tokenizer, "image_size": -32}}, "`image_size` is -32"),
        ({"frame_skip": 0}, "`frame_skip` is 0"),
        ({"frame_skip": 10**30}, "whole number from 1 to"),
        ({"code_model": {**code_model, "layers": 10**400}}, "whole number from 1 to"),
        ({"code_model": {**code_model, "dropout": math.nan}}, "`dropout` is nan"),
        ({"frame_skip": math.inf}, "`frame_skip` is inf"),
        ({"frame_skip": "often"}, "often"),
    ):
        (folder / "config.yaml").write_text(yaml.safe_dump({**config, **changes}))
        assert told in refused(folder)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_refused(folder: Path, value: float) -> None:
    tensors, document = read_tensors(folder / "model.safetensors")
    tensors["code_model.head.bias"][3] = value
    write_tensors(folder / "model.safetensors", tensors, document)
    assert "not finite (code_model.head.bias)" in refused(folder)


@pytest.mark.parametrize(
    ("form", "quantiles", "told"),
    [
        ("conditional", {"expert": [1.0, 2.0, math.nan, 4.0, 5.0]}, "5 finite numbers that rise"),
        ("conditional", {"expert": [1.0, 2.0, 3.0, 4.0, math.inf]}, "5 finite numbers that rise"),
        ("ratio", {"expert": [1.0, 3.0, 2.0, 4.0, 5.0]}, "5 finite numbers that rise"),
        ("ratio", {"background": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]}, "5 finite numbers that rise"),
        ("conditional", {"expert": None}, "lacks the quantiles"),
        ("ratio", {"shuffled": None}, "lacks the quantiles"),
    ],
)
def test_quantiles_that_give_no_scale_are_refused(
    folder: Path, form: str, quantiles: dict[str, list[float] | None], told: str
) -> None:
    path = folder / "tasks.yaml"
    document = yaml.safe_load(path.read_text())
    of_form = {**document["slide"][form], **quantiles}
    document["slide"][form] = {kind: values for kind, values in of_form.items() if values}
    path.write_text(yaml.safe_dump(document))
    assert told in refused(folder)
