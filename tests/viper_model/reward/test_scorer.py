"""One scorer for nodes, bags and videos: a video frame by frame and as a whole gives the same numbers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from tests.viper_model.video_model.test_video_model import NATS, random_video, with_frame_skip
from viper_model.errors import ModelError
from viper_model.reward.likelihood import FORMS, Calibration, Form
from viper_model.reward.scorer import AUTO, Scorer, chosen_form, likelihood_map_video, score_video
from viper_model.video_model.video_model import VideoModel

SCALE = {
    "slide": Calibration({"shuffled": (-90.0,) * 5, "expert": (-10.0,) * 5}),
    "jump": Calibration({"shuffled": (-70.0,) * 5, "expert": (-20.0,) * 5}),
}


@pytest.fixture
def scaled(model: VideoModel) -> VideoModel:
    model.calibration = SCALE
    return model


@pytest.mark.parametrize("frame_skip", [1, 2])
@pytest.mark.parametrize("form", FORMS)
def test_streamed_scores_are_those_of_whole_videos(scaled: VideoModel, form: Form, frame_skip: int) -> None:
    """Three videos of any place, of two tasks, each begun anew now and then, any of them at any step."""
    model = with_frame_skip(scaled, frame_skip)
    model.calibration = SCALE
    scorer, codes = Scorer(model, form, 3), model.config.tokenizer.grid**2
    tasks = ["slide", "jump", "jump"]
    frames: list[list[np.ndarray]] = [[], [], []]
    streamed: list[list[tuple[float, float, np.ndarray]]] = [[], [], []]
    longest = 0

    def check(video: int) -> None:
        if not frames[video]:
            return
        whole = score_video(model, np.stack(frames[video]), tasks[video], form)
        rewards, likelihoods, log_probs = zip(*streamed[video], strict=True)
        np.testing.assert_allclose(np.stack(log_probs), whole.code_log_probs, atol=NATS)
        terms = 2 if form == "ratio" else 1
        np.testing.assert_allclose(likelihoods, whole.log_likelihood, atol=terms * NATS * codes)
        np.testing.assert_allclose(rewards, whole.reward, atol=terms * NATS * codes)
        np.testing.assert_allclose(whole.conditional, whole.code_log_probs.sum((1, 2)), rtol=1e-5)

    for step in range(45):
        videos = torch.randperm(3)[: torch.randint(1, 4, ())].tolist()
        is_first = [step == 0 or not frames[video] or bool(torch.rand(()) < 0.06) for video in videos]
        new = random_video(len(videos)).numpy()
        scores = scorer.step(videos, new, [tasks[video] for video in videos], is_first)
        for video, first, frame, score in zip(videos, is_first, new, scores, strict=True):
            if first:
                check(video)
                frames[video], streamed[video] = [], []
            frames[video].append(frame)
            streamed[video].append((score.reward, score.log_likelihood, score.code_log_probs))
            longest = max(longest, len(frames[video]))
    for video in range(3):
        check(video)
    assert longest > 2 * model.context * frame_skip


def test_conditional_is_the_sum_over_a_frame_s_codes(scaled: VideoModel) -> None:
    video = random_video(7).numpy()
    scores = score_video(scaled, video, "jump", "conditional")
    log_probs = scaled.log_probs(torch.from_numpy(video)[None], torch.tensor([1])).task[0].numpy()
    np.testing.assert_array_equal(scores.code_log_probs, log_probs)
    np.testing.assert_allclose(scores.log_likelihood, log_probs.sum((1, 2)), rtol=1e-5)
    calibrated = (scores.log_likelihood + 70) / 50
    np.testing.assert_allclose(scores.reward, np.sign(calibrated) * np.log(abs(calibrated) + 1), rtol=1e-4)


def test_joint_is_the_mean_of_a_context_s_frames_the_first_ones_in_the_same_unit(scaled: VideoModel) -> None:
    video = random_video(7).numpy()
    frame = score_video(scaled, video, "jump", "conditional").conditional
    scores = score_video(scaled, video, "jump", "joint")
    # The context is 3 frames; where there are fewer they are divided by how many there are.
    means = [frame[:1].mean(), frame[:2].mean(), *(frame[t - 2 : t + 1].mean() for t in range(2, 7))]
    np.testing.assert_allclose(scores.log_likelihood, means, rtol=1e-4)
    np.testing.assert_array_equal(scores.conditional, frame)


def test_ratio_is_what_the_task_s_model_says_beyond_the_background_s(scaled: VideoModel) -> None:
    video = random_video(7)
    codes = scaled.tokenizer.encode(video[None]).flatten(2)
    alone = scaled.background_model().log_probs(codes, torch.tensor([0]))[0].sum(-1).detach()
    for task in scaled.tasks:
        scores = score_video(scaled, video.numpy(), task, "ratio")
        expected = scores.conditional - alone.numpy()  # whatever the task's label: the background has none
        np.testing.assert_allclose(scores.log_likelihood, expected, atol=1e-3)
    assert not np.allclose(scores.log_likelihood, scores.conditional, atol=1)


def test_a_ratio_s_symlog_is_taken_in_tens_of_nats() -> None:
    nats = np.array([-1000.0, -10.0, 0.0, 5.0, 10.0, 70.0], np.float32)
    reward = SCALE["slide"].reward("ratio", nats)
    np.testing.assert_allclose(reward, [-np.log(101), -np.log(2), 0, np.log(1.5), np.log(2), np.log(8)], rtol=1e-6)
    assert reward.dtype == np.float32


@pytest.mark.parametrize("other", ["background", "shuffled"])
@pytest.mark.parametrize(("expert", "elsewhere"), [(50.0, -10.0), (6.0, -14.0), (30.0, -50.0), (3.0, 1.0)])
def test_experts_and_what_is_not_the_task_earn_the_opposite_by_a_ratio(
    other: str, expert: float, elsewhere: float
) -> None:
    def around(median: float) -> tuple[float, ...]:
        return (median - 2, median - 1, median, median + 1, median + 2)

    quantiles = {"expert": around(expert), "shuffled": around(-30.0), other: around(elsewhere)}
    nats = np.array([expert, elsewhere, 0.0, 700.0])
    earned = Calibration(SCALE["slide"].quantiles, quantiles).reward("ratio", nats)
    assert earned[0] == pytest.approx(-earned[1])
    np.testing.assert_allclose(earned - earned[2], SCALE["slide"].reward("ratio", nats), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("form", ["conditional", "joint"])
def test_a_likelihood_is_calibrated_and_its_symlog_taken(form: Form) -> None:
    nats = np.array([-90.0, -10.0, 70.0, -170.0, -8090.0])  # shuffled, expert, and calibrated to 2, -1 and -100
    expected = [0, np.log(2), np.log(3), -np.log(2), -np.log(101)]
    np.testing.assert_allclose(SCALE["slide"].reward(form, nats), expected, rtol=1e-5)


def test_experts_as_unlikely_as_shuffled_ones_do_not_blow_rewards_up() -> None:
    alike = Calibration({"shuffled": (-10.0,) * 5, "expert": (-10.1,) * 5})
    np.testing.assert_allclose(alike.calibrated(np.array([-9.0])), [1.0])


def test_a_ratio_without_a_background_is_refused_in_one_line(scaled: VideoModel) -> None:
    plain = VideoModel(scaled.config, scaled.tasks)
    plain.calibration = SCALE
    video, task = random_video(3), torch.tensor([0])
    for ask in (
        lambda: chosen_form(plain, "ratio", "slide"),
        lambda: Scorer(plain, "ratio", 1),
        lambda: score_video(plain, video.numpy(), "slide", "ratio"),
        lambda: plain.log_probs(video[None], task, background=True),
        lambda: plain.stream(1, background=True),
    ):
        with pytest.raises(ModelError, match="background:=auto, or choose the form conditional") as raised:
            ask()
        assert "\n" not in str(raised.value)
    assert np.isfinite(Scorer(plain, "joint", 1).step([0], video[:1].numpy(), ["slide"], [True])[0].reward)


def test_each_task_has_the_form_that_suits_it(scaled: VideoModel) -> None:
    """Two cameras of one node: where one task's reward is a ratio, the other's stays what it is alone."""
    suited: dict[str, Form] = {"slide": "conditional", "jump": "ratio"}
    scaled.calibration = {task: dataclasses.replace(SCALE[task], suited_form=form) for task, form in suited.items()}
    video = random_video(6).numpy()
    scorer = Scorer(scaled, AUTO, 2)
    streamed = [scorer.step([0, 1], video[[t, t]], ["slide", "jump"], [t == 0] * 2) for t in range(6)]
    for place, (task, form) in enumerate(suited.items()):
        assert chosen_form(scaled, AUTO, task) == score_video(scaled, video, task, AUTO).form == form
        expected = score_video(scaled, video, task, form)
        atol = 2 * NATS * scaled.config.tokenizer.grid**2
        np.testing.assert_allclose(
            [each[place].log_likelihood for each in streamed], expected.log_likelihood, atol=atol
        )
        np.testing.assert_allclose([each[place].reward for each in streamed], expected.reward, atol=atol)


def test_a_step_that_is_refused_changes_nothing(scaled: VideoModel) -> None:
    video = random_video(4).numpy()
    for form in FORMS:
        scorer = Scorer(scaled, form, 1)
        whole = score_video(scaled, video, "slide", form).log_likelihood
        scorer.step([0], video[:1], ["slide"], [True])
        for frames, task in ((video[1:2], "fly"), (video[1:2, :8], "slide"), (video[1:2].astype(np.float32), "slide")):
            with pytest.raises(ModelError):
                scorer.step([0], frames, [task], [True])
        for t in (1, 2, 3):
            (score,) = scorer.step([0], video[t : t + 1], ["slide"], [False])
            assert score.log_likelihood == pytest.approx(whole[t], abs=2 * NATS * scaled.config.tokenizer.grid**2)


def test_unknown_names_are_told_the_known_ones(scaled: VideoModel) -> None:
    with pytest.raises(ModelError, match="choose auto or one of conditional, joint, ratio"):
        chosen_form(scaled, "likely", "slide")
    assert [chosen_form(scaled, form, "slide") for form in FORMS] == list(FORMS)
    with pytest.raises(ModelError, match="slide, jump"):
        score_video(scaled, random_video(3).numpy(), "fly", "conditional")


def test_surprise_darkens_its_place() -> None:
    frames = np.full((2, 8, 8, 3), 50, np.uint8)
    log_probs = np.zeros((2, 4, 4), np.float32)
    log_probs[1, 0, 3] = -20
    video = likelihood_map_video(frames, log_probs)
    assert video.shape == (2, 8, 16, 3)
    assert video.dtype == np.uint8
    assert (video[:, :, :8] == 50).all()
    assert (video[0, :, 8:] == 255).all()
    assert (video[1, :2, 14:] == 0).all()
    assert (video[1, 2:, 8:] == 255).all()
