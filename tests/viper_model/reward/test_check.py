"""The check, on models whose likelihood is known (`known_models`)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from tests.viper_model.conftest import sliding_square
from tests.viper_model.reward.known_models import (
    BackgroundKnowsLess,
    FindsExpertsUnlikely,
    KnowsNothing,
    KnowsTheSlide,
    LikesStillPictures,
    SeesSingleFrames,
    StandsOrSlides,
    WithoutBackground,
    frames_differ,
)
from viper_model.errors import ModelError
from viper_model.reward import check as check_module
from viper_model.reward.check import FROZEN_PER_VIDEO, calibrate, check_reward, judged_videos
from viper_model.reward.likelihood import Calibration, CodeLogProbs
from viper_model.reward.scorer import score_video
from viper_model.videos.dataset import Dataset, Recording, load_dataset


@pytest.fixture
def data(videos: Path) -> Dataset:
    return load_dataset(videos, 16)


def without_task_reward(data: Dataset) -> Dataset:
    """What standing still at a frame is worth to the task isn't known either."""
    videos = tuple(dataclasses.replace(video, task_reward=None) for video in data.videos)
    return dataclasses.replace(data, videos=videos)


def record(folder: Path, number: int, orders: Callable[[np.random.Generator, int], np.ndarray], **worth: float) -> None:
    """Videos of the slide with its time steps in some order."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(folder.name))
    for video in range(number):
        order = orders(rng, video)
        rewards = {name: np.full(len(order), value) for name, value in worth.items()}
        np.savez(folder / f"{video}.npz", image=sliding_square(rng, len(order), order), **rewards)


def parked(rng: np.random.Generator, number: int, frames: int = 40) -> np.ndarray:
    """A start, and then the end that it is parked at."""
    return np.minimum(np.arange(frames), 2 + number)


def test_a_model_that_knows_the_motion_passes(data: Dataset) -> None:
    check = check_reward(KnowsTheSlide(), data, "conditional").tasks["slide"]
    assert list(check.kinds) == ["expert", "frozen", "reversed", "shuffled", "noisy", "random"]
    videos = {"expert": 2, "frozen": 2 * FROZEN_PER_VIDEO, "reversed": 2, "shuffled": 2, "noisy": 4, "random": 4}
    assert {kind: k.videos for kind, k in check.kinds.items()} == videos
    assert (check.form, check.clip_frames, check.episode_frames) == ("conditional", 40, 40)
    for kind, k in check.kinds.items():
        assert k.clip_auc == (None if kind == "expert" else 1)
        # Frames of the slide are rewarded, but for the motion: standing still there is a hack.
        assert (k.best_hack is not None) == (kind in ("frozen", "random"))
    expert = check.kinds["expert"]
    assert expert.log_likelihood == 0
    assert expert.ground_truth_return == 39
    assert expert.episode_reward == pytest.approx(39 * np.log(2))  # symlog of 1, but for the first frame
    assert check.return_correlation is not None
    assert check.return_correlation > 0.9
    assert check.verdict.text == (
        "Usable with a warning. Only 2 expert videos held out: these numbers are coarse, record more."
    )


def test_a_reward_that_pays_for_standing_still_is_not_usable(data: Dataset) -> None:
    check = check_reward(LikesStillPictures(), without_task_reward(data), "conditional").tasks["slide"]
    frozen, expert = check.kinds["frozen"], check.kinds["expert"]
    assert frozen.clip_auc == 0
    assert frozen.best_hack is not None
    assert frozen.best_hack > expert.episode_reward
    assert check.verdict.level == "not usable"
    share = frozen.best_hack / expert.episode_reward
    assert check.verdict.reasons[0] == f"Standing still somewhere earns {100 * share:.0f}% of what an expert earns."


def test_the_ratio_takes_away_what_standing_still_earns(data: Dataset) -> None:
    data = without_task_reward(data)
    plain = check_reward(StandsOrSlides(), data, "conditional").tasks["slide"]
    assert "Standing still somewhere earns 100%" in plain.verdict.text
    ratio = check_reward(StandsOrSlides(), data, "ratio").tasks["slide"]
    assert ratio.kinds["frozen"].best_hack == 0
    assert ratio.kinds["expert"].episode_reward > 0
    assert not any("Standing" in reason for reason in ratio.verdict.reasons)
    assert ratio.verdict.level != "not usable"


def test_standing_still_where_the_task_is_solved_is_no_hack(tmp_path: Path) -> None:
    """Experts slide for 20 frames and stay: staying there is the task, staying anywhere before is not."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "slide"
    folder.mkdir()
    for number in range(10):
        order = np.minimum(np.arange(60), 20)
        solved = (np.arange(60) >= 20).astype(float)
        np.savez(folder / f"{number}.npz", image=sliding_square(rng, 60, order), task_reward=solved)

    class StaysAtTheEnd(KnowsTheSlide):
        """Standing still is likely, and everything else a little less so."""

        def task_log_probs(self, frames: Tensor) -> Tensor:
            return -0.1 * frames_differ(frames)

    data = load_dataset(tmp_path, 16)
    check = check_reward(StaysAtTheEnd(), data, "conditional").tasks["slide"]
    stills = judged_videos(data, "slide", ("slide",))["frozen"]
    where = np.array([video.order[0] for video in stills])
    assert (where < 20).any()
    assert (where >= 20).any()
    worth = [video.frame_worth.mean() for video in stills if video.frame_worth is not None]
    assert worth == [1.0 if place >= 20 else 0.0 for place in where]
    hack = check.kinds["frozen"].best_hack
    assert hack is not None  # those before the end
    # Were the task to move, all frames on the way would be rewarded, and standing still there were a hack all the same.
    always = tuple(dataclasses.replace(video, task_reward=np.ones(60)) for video in data.videos)
    moving = dataclasses.replace(data, videos=always)
    worth = [video.frame_worth.mean() for video in judged_videos(moving, "slide", ("slide",))["frozen"]]
    assert worth == [1.0 if place >= 20 else 0.0 for place in where]
    # A task that pays once, when it is solved, pays once for a still of the solved state too.
    once = tuple(dataclasses.replace(video, task_reward=np.eye(60)[20]) for video in data.videos)
    kinds = check_reward(StaysAtTheEnd(), dataclasses.replace(data, videos=once), "conditional").tasks["slide"].kinds
    assert kinds["expert"].ground_truth_return == 1
    assert kinds["frozen"].ground_truth_return == np.mean(where >= 20)
    # And where nothing is known of what frames are worth, every still is one.
    unknown = without_task_reward(data)
    assert check_reward(StaysAtTheEnd(), unknown, "conditional").tasks["slide"].kinds["frozen"].best_hack is not None


def test_stills_do_not_count_where_videos_show_an_expert_that_stops(videos: Path) -> None:
    still = check_reward(LikesStillPictures(), load_dataset(videos, 16), "conditional").tasks["slide"]
    assert any(reason.startswith("Standing still") for reason in still.verdict.reasons)
    record(videos / "slide" / "stopped", 3, parked, task_reward=0.0)
    stopped = check_reward(LikesStillPictures(), load_dataset(videos, 16), "conditional").tasks["slide"]
    assert stopped.kinds["frozen"] == still.kinds["frozen"]
    assert not any(reason.startswith("Standing still") for reason in stopped.verdict.reasons)
    assert any(reason.startswith("Doing the task halfway and stopping earns") for reason in stopped.verdict.reasons)


@pytest.mark.parametrize("behaviour", ["parked", "random", "background"])
def test_behaviour_that_is_not_the_task_and_earns_much_is_a_hack(videos: Path, behaviour: str) -> None:
    if (videos / "slide" / behaviour).exists():
        for file in (videos / "slide" / behaviour).iterdir():
            file.unlink()
    record(videos / "slide" / behaviour, 5, parked, task_reward=0.0)
    said = {
        "parked": "Pushing an actuator to its end, or doing nothing, earns",
        "random": "Random behaviour earns",
        "background": "Behaviour that is not the task earns",
    }[behaviour]
    data = load_dataset(videos, 16)
    check = check_reward(LikesStillPictures(), data, "conditional").tasks["slide"]
    assert check.kinds[behaviour].videos == len(data.select(behaviour)) > 0
    assert any(reason.startswith(said) for reason in check.verdict.reasons)
    # A model that knows better gives it little, and says nothing of it.
    better = check_reward(KnowsTheSlide(), data, "conditional").tasks["slide"]
    assert not any(reason.startswith(said) for reason in better.verdict.reasons)


def test_where_experts_are_recorded_as_worth_nothing_no_hack_counts_as_solved(videos: Path) -> None:
    data = load_dataset(videos, 16)
    worthless = [dataclasses.replace(video, task_reward=np.zeros(len(video.frames))) for video in data.videos]
    data = dataclasses.replace(data, videos=tuple(worthless))
    check = check_reward(LikesStillPictures(), data, "conditional").tasks["slide"]
    assert any(reason.startswith("Standing still") for reason in check.verdict.reasons)


def test_a_run_s_best_rewarded_episodes_are_tried(data: Dataset) -> None:
    rng = np.random.default_rng(3)
    still = Recording(sliding_square(rng, 40, np.zeros(40, int)), np.zeros(40))
    solved = Recording(sliding_square(rng, 40), np.ones(40))
    poor = check_reward(LikesStillPictures(), data, "conditional", policy={"slide": [still, solved]}).tasks["slide"]
    assert poor.kinds["policy"].videos == 2
    assert any(reason.startswith("What the policy of the run does") for reason in poor.verdict.reasons)
    # An episode that solves the task is what the reward is for, whatever it earns.
    good = check_reward(LikesStillPictures(), data, "conditional", policy={"slide": [solved]}).tasks["slide"]
    assert good.kinds["policy"].best_hack is None
    # And one of another task says nothing of this one.
    assert (
        "policy"
        not in check_reward(KnowsTheSlide(), data, "conditional", policy={"jump": [still]}).tasks["slide"].kinds
    )


def test_experts_that_earn_nothing_are_told_first(data: Dataset) -> None:
    check = check_reward(FindsExpertsUnlikely(), data, "ratio").tasks["slide"]
    assert check.kinds["expert"].episode_reward == pytest.approx(39 * -np.log1p(1 / Calibration.RATIO_UNIT))
    assert check.verdict.level == "not usable"
    assert check.verdict.reasons[0] == "Experts themselves earn -4 an episode: doing anything else may be better."


def test_short_videos_go_on_to_the_task_s_length_as_their_last_quarter_did(videos: Path) -> None:
    """An expert that ends soon after success earns what one earns that stays: it isn't beaten by mere length."""
    record(videos / "slide" / "parked", 3, lambda rng, number: parked(rng, number, 100), task_reward=0.0)
    check = check_reward(KnowsTheSlide(), load_dataset(videos, 16), "conditional").tasks["slide"]
    assert check.episode_frames == 100
    assert check.kinds["expert"].episode_reward == pytest.approx(99 * np.log(2))
    assert check.kinds["expert"].ground_truth_return == pytest.approx(99)


def test_background_that_was_ended_before_it_solved_the_task_is_no_hack(videos: Path) -> None:
    def half_slid_or_random(rng: np.random.Generator, number: int) -> np.ndarray:
        return np.arange(20) if number % 2 else rng.permutation(40)

    record(videos / "slide" / "background", 20, half_slid_or_random, task_reward=0.0)
    data = load_dataset(videos, 16)
    lengths = [len(video.frames) for video in data.select("background")]
    assert set(lengths) == {20, 40}
    background = check_reward(KnowsTheSlide(), data, "conditional").tasks["slide"].kinds["background"]
    assert background.videos == lengths.count(40)
    assert background.best_hack is not None
    assert background.best_hack < 0
    # Where nobody says what they were worth, the shorter ones are just short.
    unknown = check_reward(KnowsTheSlide(), without_task_reward(data), "conditional").tasks["slide"]
    assert unknown.kinds["background"].videos == len(lengths)


def test_an_expert_that_has_come_to_rest_rests_on(tmp_path: Path) -> None:
    """A reward for the way there and none for the goal is seen as such, though videos end soon after success."""

    def arriving(rng: np.random.Generator, number: int) -> np.ndarray:
        return np.minimum(np.arange(60), 50)  # of which it rests in less than a quarter

    record(tmp_path / "slide" / "expert", 10, arriving)
    record(tmp_path / "slide" / "parked", 3, lambda rng, number: parked(rng, number, 100))
    check = check_reward(KnowsTheSlide(), load_dataset(tmp_path, 16), "conditional").tasks["slide"]
    on_the_way, at_rest = check.rewards["expert"][0][10], check.rewards["expert"][0][-1]
    assert on_the_way > 0 > at_rest
    expected = np.mean([reward[1:].sum() + (100 - 60) * at_rest for reward in check.rewards["expert"]])
    assert check.kinds["expert"].episode_reward == pytest.approx(expected, rel=1e-5)


def test_a_model_that_knows_nothing_is_at_chance_and_not_usable(data: Dataset) -> None:
    check = check_reward(KnowsNothing(), data, "conditional").tasks["slide"]
    assert {k.clip_auc for kind, k in check.kinds.items() if kind != "expert"} == {0.5}
    assert check.return_correlation is None  # where all videos are as likely there is no order
    assert check.verdict.level == "not usable"


def test_the_result_is_plain_json(data: Dataset) -> None:
    document = check_reward(KnowsTheSlide(), data, "conditional").to_dict()
    task = json.loads(json.dumps(document))["tasks"]["slide"]
    assert task["verdict"]["level"] == "usable with a warning"
    assert "rewards" not in task


def test_what_is_measured_are_the_scorer_s_rewards(data: Dataset) -> None:
    for form in ("conditional", "joint", "ratio"):
        check = check_reward(KnowsTheSlide(), data, form).tasks["slide"]
        for kind, videos in judged_videos(data, "slide", ("slide",)).items():
            for video, reward in zip(videos, check.rewards[kind], strict=True):
                np.testing.assert_array_equal(reward, score_video(KnowsTheSlide(), video.frames, "slide", form).reward)


def test_wrong_videos_are_made_of_the_experts_frames(data: Dataset) -> None:
    kinds = judged_videos(data, "slide", ("slide",))
    for expert, reverse, shuffled in zip(*(kinds[k] for k in ("expert", "reversed", "shuffled")), strict=True):
        np.testing.assert_array_equal(reverse.frames[::-1], expert.frames)
        np.testing.assert_array_equal(np.sort(shuffled.order), expert.order)
        assert (shuffled.order != expert.order).any()
    stills = kinds["frozen"]
    assert len(stills) == FROZEN_PER_VIDEO * len(kinds["expert"])
    for number, still in enumerate(stills):
        expert = kinds["expert"][number // FROZEN_PER_VIDEO]
        assert still.frames.shape == expert.frames.shape
        assert (still.frames == still.frames[0]).all()
        assert (still.frames[0] == expert.frames).all((1, 2, 3)).any()
        # The first frame, and one of each further part.
        part = len(expert.frames) // FROZEN_PER_VIDEO
        assert still.order[0] // part == number % FROZEN_PER_VIDEO
    assert stills[0].order[0] == 0
    again = judged_videos(data, "slide", ("slide",))
    for kind in ("frozen", "shuffled"):
        assert [video.order.tolist() for video in again[kind]] == [video.order.tolist() for video in kinds[kind]]


def test_the_order_of_frames_can_not_be_told_by_single_frames(data: Dataset) -> None:
    check = check_reward(SeesSingleFrames(), data, "conditional").tasks["slide"]
    for kind in ("reversed", "shuffled"):
        for wrong, right in zip(check.rewards[kind], check.rewards["expert"], strict=True):
            np.testing.assert_allclose(np.sort(wrong), np.sort(right), rtol=1e-5)
        assert check.kinds[kind].clip_auc == pytest.approx(0.5, abs=0.26)  # of two videos each, rounded sums


def test_shuffling_shows_where_an_expert_stands_still_for_most_of_a_video(tmp_path: Path) -> None:
    """Some frames of motion, then stillness, as a pendulum that is swung up and balanced."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "slide"
    folder.mkdir()
    for number in range(10):
        np.savez(folder / f"{number}.npz", image=sliding_square(rng, 200, np.minimum(np.arange(200), 23)))
    check = check_reward(StandsOrSlides(), load_dataset(tmp_path, 16), "conditional").tasks["slide"]
    assert check.clip_frames == 48
    # Shuffled within clips, three of the four clips of a video would not change: the AUC could not be above 0.625.
    assert check.kinds["shuffled"].clip_auc == 1


def test_videos_of_another_task_are_judged_under_this_tasks_label(videos: Path) -> None:
    record(videos / "jump" / "expert", 10, lambda rng, number: rng.integers(0, 8, 30))

    class KnowsTwo(KnowsTheSlide):
        tasks = ("slide", "jump")
        judged = "slide"

        def log_probs(self, frames: Tensor, task: Tensor, *, background: bool = False) -> CodeLogProbs:
            assert task.tolist() == [self.tasks.index(self.judged)]
            return super().log_probs(frames, task, background=background)

    dataset = load_dataset(videos, 16)
    result = check_reward(KnowsTwo(), dataset, "conditional", ["slide"])
    assert list(result.tasks) == ["slide"]
    assert result.tasks["slide"].kinds["other_task"].videos == 2
    assert result.tasks["slide"].kinds["other_task"].clip_auc == 1
    assert "other_task" not in judged_videos(dataset, "slide", ("slide",))


@pytest.mark.parametrize("name", ["shuffled", "policy"])
def test_a_behaviour_called_as_a_made_kind_is_refused(videos: Path, name: str) -> None:
    (videos / "slide" / "noisy").rename(videos / "slide" / name)
    with pytest.raises(ModelError, match="rename their folder"):
        check_reward(KnowsTheSlide(), load_dataset(videos, 16), "conditional")


def test_without_held_out_experts_there_is_nothing_to_judge_by(data: Dataset) -> None:
    seen = dataclasses.replace(data, videos=tuple(video for video in data.videos if not video.held_out))
    with pytest.raises(ModelError, match="no expert videos of 'slide' were kept"):
        check_reward(KnowsTheSlide(), seen, "conditional")


def test_large_data_is_judged_by_some_videos_and_their_first_frames(
    data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_module, "MOST_VIDEOS", 3)
    monkeypatch.setattr(check_module, "MOST_FRAMES", 20)
    kinds = judged_videos(data, "slide", ("slide",))
    assert len(kinds["random"]) == 3
    assert len({str(judged.video.frames_file) for judged in kinds["random"]}) == 3  # type: ignore[union-attr]
    np.testing.assert_array_equal(kinds["expert"][0].frames, kinds["expert"][0].video.frames[:20])
    assert len(kinds["shuffled"][0].frames) == 20


def test_calibration_puts_expert_videos_at_one_and_shuffled_at_zero(data: Dataset) -> None:
    model = KnowsTheSlide()
    calibration = calibrate(model, data)["slide"]
    nats = {
        kind: np.concatenate(
            [score_video(model, video.frames, "slide", "conditional").conditional for video in of_kind]
        )
        for kind, of_kind in judged_videos(data, "slide", ("slide",)).items()
    }
    assert np.median(calibration.calibrated(nats["expert"])) == pytest.approx(1)
    assert np.median(calibration.calibrated(nats["shuffled"])) == pytest.approx(0, abs=1e-6)
    # The ratio's are those of the likelihoods, less the background's -2 nats.
    for kind, quantiles in calibration.quantiles.items():
        np.testing.assert_allclose(calibration.ratio_quantiles[kind], np.add(quantiles, 2), atol=1e-5)


@pytest.mark.parametrize(
    ("model", "form"),
    [(StandsOrSlides(), "ratio"), (BackgroundKnowsLess(), "conditional"), (WithoutBackground(), "conditional")],
)
def test_the_form_by_which_hacks_earn_least_suits_a_task(model: KnowsTheSlide, form: str, data: Dataset) -> None:
    model.calibration = calibrate(model, data)
    assert model.calibration["slide"].suited_form == form
    shares = {}
    for each in ("conditional", "ratio") if model.has_background else ("conditional",):
        kinds = check_reward(model, data, each).tasks["slide"].kinds
        hacks = [kind.best_hack for kind in kinds.values() if kind.best_hack is not None]
        shares[each] = max(hacks) / kinds["expert"].episode_reward if kinds["expert"].episode_reward > 0 else np.inf
    assert min(shares, key=shares.__getitem__) == form
    assert check_reward(model, data, "auto").tasks["slide"].form == form


def test_experts_at_a_task_that_looks_alike_neither_choose_the_form_nor_condemn_the_reward(videos: Path) -> None:
    """They are in another scene, where a policy never is."""
    record(videos / "twin" / "expert", 10, lambda rng, number: np.arange(30))
    data, model = load_dataset(videos, 16), StandsOrSlides()
    model.tasks = ("slide", "twin")
    model.calibration = calibrate(model, data)
    assert model.calibration["slide"].suited_form == "ratio"
    check = check_reward(model, data, "auto", ["slide"]).tasks["slide"]
    assert check.kinds["other_task"].best_hack is not None
    assert check.verdict.level == "usable with a warning"
    assert any(reason.startswith("Another task earns 100%") for reason in check.verdict.reasons)


def test_a_model_without_a_background_has_no_quantiles_of_the_ratio(data: Dataset) -> None:
    assert calibrate(WithoutBackground(), data)["slide"].ratio_quantiles == {}


def test_the_first_videos_that_are_judged_are_of_all_embodiments(data: Dataset) -> None:
    """A calibration takes a few: they must not all be one arm's."""
    videos = tuple(
        dataclasses.replace(video, embodiment=arm, held_out=True)
        for arm in ("panda", "sawyer")
        for video in data.videos
    )
    experts = judged_videos(dataclasses.replace(data, videos=videos), "slide", ("slide",))["expert"]
    assert [expert.video.embodiment for expert in experts[:4]] == ["panda", "sawyer"] * 2  # type: ignore[union-attr]
    assert [expert.video.name for expert in experts[:4:2]] != [experts[0].video.name] * 2  # type: ignore[union-attr]
