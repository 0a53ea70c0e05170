"""A run's page: figures that are worked out by hand."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.viper_lab.results.runs import CONFIG, write_episode, write_run
from tests.viper_model.examples import save_model
from tests.viper_model.videos.writers import write_npz
from viper_lab.errors import UserError
from viper_lab.results.report import Score, improvement, result_line, write_report
from viper_model.reward.scorer import score_video
from viper_model.video_model.folder import model_hash
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.dataset import load_dataset
from viper_model.videos.preparation import Crop
from viper_model.videos.settings import VideoSettings
from viper_model.videos.video_io import write_video

TASK = "cartpole_swingup"
CHECK: dict[str, Any] = {
    "verdict": {"level": "usable with a warning", "reasons": ["Only 1 expert video held out."]},
    "form": "ratio",
    "episode_frames": 99,
    "return_correlation": 0.5,
    "kinds": {
        "expert": {"episode_reward": 50.0, "best_hack": None},
        "frozen": {"episode_reward": 5.0, "best_hack": 20.0},
    },
}


class Words(HTMLParser):
    """The words of a page, without its marks."""

    def __init__(self) -> None:
        super().__init__()
        self._inside: list[str] = []

    def handle_data(self, data: str) -> None:
        self._inside.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self._inside))


def text_of(page: Path) -> str:
    words = Words()
    words.feed(page.read_text())
    return words.text


def test_atari_is_told_in_human_normalised_scores(tmp_path: Path) -> None:
    boxing = {"sim": "atari", "task": "boxing", "return_range": [0.1, 12.1]}
    text = text_of(write_report(write_run(tmp_path / "runs" / "mine", {0: [-1.1], 500: [18.1, 18.1]}, **boxing)))
    assert "human-normalised score before training -1.1 1 episodes -10% policy 18.1 ± 0 2 episodes 150%" in text
    assert "0% is a ground-truth return of 0.1 (a random player), 100% one of 12.1 (a human)" in text


def test_control_is_told_as_part_of_the_most_that_can_be_had(tmp_path: Path) -> None:
    text = text_of(write_report(write_run(tmp_path / "runs" / "mine", {0: [10, 30], 500: [150, 250]})))
    assert "normalised score before training 20 ± 10 2 episodes 2% policy 200 ± 50 2 episodes 20%" in text
    assert "human" not in text
    assert "a difference of 3.5 standard errors" in text


def test_successes_are_told_as_shares(tmp_path: Path) -> None:
    run = write_run(tmp_path / "mine", {0: [0, 0, 1, 0], 500: [1, 0, 1, 1]}, return_range=[0, 1])
    text = text_of(write_report(run))
    assert "return is 0.75 ± 0.25 (mean ± standard error over 4 episodes of one policy)" in text
    assert "Before training it was 0.25 ± 0.25 (4 episodes): a difference of 1.4 standard errors ." in text
    assert "policy 0.75 ± 0.25 4 episodes 75%" in text


def test_nothing_is_said_of_what_one_episode_or_none_can_not_tell(tmp_path: Path) -> None:
    text = text_of(write_report(write_run(tmp_path / "one", {0: [10], 500: [700]})))
    assert "return is 700 (of a single episode). Before training it was 10 (1 episodes)." in text
    assert "±" not in text.partition("Another seed")[0]
    lost = text_of(write_report(write_run(tmp_path / "lost", {250: [690, 720], 500: [700, 710]})))
    assert "What it was before training has not been kept." in lost
    assert "before training 7" not in lost


def test_what_came_out_fits_in_a_line(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs" / "mine", {0: [10, 30], 500: [150, 250]})
    write_report(run)
    assert result_line(run) == (
        f"{TASK}, ground-truth return at step 500: before training 20 ± 10, policy 200 ± 50 "
        "(± standard error over episodes of one policy)"
    )


def test_the_oracle_of_an_arm_is_that_of_its_own_task(tmp_path: Path) -> None:
    learned = {"video_model": {"path": "gone", "sha256": "1"}, "data": ""}
    settings = {**CONFIG["settings"], "sim_node": {"arm": "panda", "task": "lift"}}
    write_run(tmp_path / "panda_lift_oracle", {0: [0], 500: [1]})
    write_run(tmp_path / "lift_oracle", {0: [0], 500: [0]})
    run = write_run(tmp_path / "mine", {0: [0], 500: [1]}, task="lift", settings=settings, **learned)
    write_report(run)
    returns = json.loads((run / "report.json").read_text())["returns"]
    assert returns["Task_Oracle"]["episodes"] == [1]


def test_the_oracle_is_told_with_its_steps_and_left_out_where_it_is_damaged_or_of_another_action_repeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = {"video_model": {"path": "gone", "sha256": "1"}, "data": ""}
    settings = {**CONFIG["settings"], "sim_node": {"action_repeat": 4}}
    oracle = write_run(tmp_path / f"{TASK}_oracle", {0: [0], 250: [80, 100]}, settings=settings)
    run = write_run(tmp_path / "mine", {0: [0], 500: [1]}, settings=settings, **learned)
    monkeypatch.chdir(run)
    assert "Task Oracle, after 250 steps 90 ± 10 2 episodes" in text_of(write_report(Path()))
    with open(oracle / "metrics.jsonl", "a") as file:
        file.write("damaged\n")
    assert "Task Oracle" not in text_of(write_report(run))
    write_run(oracle, {0: [0], 250: [80, 100]}, settings={**settings, "sim_node": {"action_repeat": 2}})
    assert "Task Oracle" not in text_of(write_report(run))


def test_episodes_with_sampled_actions_are_told_beside_those_with_the_best_known(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs" / TASK, {0: [10], 500: [150, 250]})
    with open(run / "metrics.jsonl", "a") as file:
        for updates, value in ((0, 900), (0, 900), (8, 700), (9, 30), (10, 50)):
            record = {"step": 10, "train_return": value, "train_reward": 1.0, "updates": updates}
            file.write(json.dumps(record) + "\n")
    text = text_of(write_report(run))
    assert "policy 200 ± 50 2 episodes 20% policy with sampled actions 40 ± 10 2 episodes 4%" in text
    assert "Sampled actions are those of the last 2 episodes" in text
    assert json.loads((run / "report.json").read_text())["returns"]["policy_with_sampled_actions"]["episodes"] == [
        30,
        50,
    ]


def test_programs_find_in_report_json_what_the_page_says_and_all_that_made_the_run(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs" / TASK, {0: [10, 30], 500: [150, 250]})
    write_report(run)
    document = json.loads((run / "report.json").read_text())
    returns = document.pop("returns")
    assert document == {
        "sim": "dmc",
        "task": TASK,
        "steps": 500,
        "verdict": None,
        "seed": 7,
        "settings": CONFIG["settings"],
        "video_model": None,
        "versions": {"python": "3.11.2"},
    }
    assert returns == {
        "before_training": {
            "mean": 20,
            "standard_error_over_episodes": pytest.approx(10),
            "episodes": [10, 30],
            "normalised": pytest.approx(0.02),
        },
        "policy": {
            "mean": 200,
            "standard_error_over_episodes": pytest.approx(50),
            "episodes": [150, 250],
            "normalised": pytest.approx(0.2),
        },
    }


def test_a_run_that_learned_from_videos_is_told_with_its_rewards_its_check_and_the_task_oracle(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    model, data, run = tmp_path / "model", tmp_path / "data", tmp_path / "runs" / "mine"
    save_model(model, background=True)
    for name, length in (("expert/0", 20), ("expert/1", 16), ("random/0", 20)):
        frames = rng.integers(0, 256, (length, 32, 32, 3), np.uint8)
        task_reward = np.full(length, 2.0)
        task_reward[0] = 0  # no action led there
        write_npz(data / TASK / f"{name}.npz", frames, task_reward=task_reward)
    (model / "check.json").write_text(json.dumps({"tasks": {TASK: CHECK}}))
    of_model = {"path": str(model), "sha256": model_hash(model)}
    write_run(run, {0: [10, 30], 500: [150, 250]}, data=str(data), video_model=of_model)
    write_run(tmp_path / "runs" / f"{TASK}_oracle", {0: [0], 500: [800, 900]})
    for number in (0, 500):
        frames = rng.integers(0, 256, (12, 32, 32, 3), np.uint8)
        write_episode(run, number, frames, np.full(12, 0.25), np.ones(12))

    page = write_report(run)
    text = text_of(page)
    assert "Usable with a warning. Only 1 expert video held out." in text
    assert "What held-out videos earn in an episode of 99 frames." in text
    assert "frozen 5 20 40%" in text
    assert "Task Oracle 850 ± 50 2 episodes 85%" in text
    assert "expert 38 ± 0 2 episodes 4%" in text  # the shorter one would have gone on as it ended
    assert "200 ± 50 (mean ± standard error over 2 episodes of one policy), 526% of the expert's" in text
    assert "after training: reward 0.25 a frame" in text  # as it was rewarded
    (expert,) = load_dataset(data, 32).select("expert")
    scores = score_video(VideoModel.load(model), expert.frames, TASK, "ratio")  # which suits the task
    assert f"expert, not trained on: reward {scores.reward[1:].mean():.2f} a frame" in text
    assert page.read_text().count("data:video/mp4;base64,") == 3
    document = json.loads((run / "report.json").read_text())
    assert document["verdict"] == CHECK["verdict"]
    assert document["video_model"] == of_model
    assert set(document["returns"]) == {"before_training", "policy", "Task_Oracle", "expert", "random"}
    assert document["returns"]["Task_Oracle"]["mean"] == 850

    VideoSettings(crop=Crop(0, 0, 20, 20)).save(model, ())
    cropped = {"path": str(model), "sha256": model_hash(model)}
    write_run(run, {0: [10, 30], 500: [150, 250]}, data=str(data), video_model=cropped)
    assert "after training, as the policy saw it: reward 0.25 a frame" in text_of(write_report(run))

    shutil.rmtree(tmp_path / "runs" / f"{TASK}_oracle")
    write_run(tmp_path / "runs" / f"{TASK}_oracle", {0: [0], 1000: [900, 900]})
    assert "Task Oracle" not in text_of(write_report(run)), "it has learned for longer than the run"

    config = yaml.safe_load((run / "config.yaml").read_text())
    config["settings"]["reward_node"]["likelihood"] = "conditional"
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert "Usable" not in text_of(write_report(run)), "the check was of another form of the reward"


def test_a_run_that_learned_from_a_discriminator_is_told_so_beside_experts_and_the_task_oracle(tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "runs" / "mine"
    for number in range(2):
        frames, task_reward = np.zeros((20, 32, 32, 3), np.uint8), np.full(20, 2.0)
        write_npz(data / TASK / "expert" / f"{number}.npz", frames, task_reward=task_reward)
    compared = {"tasks": [TASK, "pendulum_swingup"], "videos": 48, "sha256": "1"}
    write_run(run, {0: [10, 30], 500: [150, 250]}, data=str(data), expert_videos=compared)
    write_run(tmp_path / "runs" / f"{TASK}_oracle", {0: [0], 500: [800, 900]})
    text = text_of(write_report(run))
    assert "learned by AMP" in text
    assert f"48 expert videos of {TASK}, pendulum_swingup" in text
    assert "likelihood" not in text
    assert "learned from the task's own reward" not in text
    assert "Task Oracle 850 ± 50 2 episodes 85%" in text
    assert "expert 38 ± 0 2 episodes 4%" in text  # no action led to the first frame


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ({"version": 1}, "is of another version of viper_ros: train again"),
        ({"version": None}, "is of another version of viper_ros: train again"),
        ({}, "nothing has been evaluated yet"),
    ],
)
def test_what_can_not_be_reported_is_told_in_one_line(tmp_path: Path, spoil: dict[str, int], said: str) -> None:
    run = write_run(tmp_path / "runs" / "mine", {0: [10]}, **spoil)
    (run / "metrics.jsonl").write_text('{"step": 20, "train_return": 3, "train_reward": 1}\n')
    with pytest.raises(UserError, match=said) as raised:
        write_report(run)
    assert "\n" not in str(raised.value)
    assert not (run / "report.html").exists()


@pytest.mark.parametrize(
    "content",
    [
        b'{"tasks": {"cartp',
        b"\xff\x00\xff",
        b"[]",
        b'{"tasks": []}',
        *(
            json.dumps({"tasks": {TASK: check}}).encode()
            for check in (
                {key: value for key, value in CHECK.items() if key != "form"},
                {**CHECK, "form": None},
                {**CHECK, "verdict": {"level": 3, "reasons": []}},
                {**CHECK, "episode_frames": "many"},
                {**CHECK, "return_correlation": float("nan")},
                {**CHECK, "kinds": {"frozen": CHECK["kinds"]["frozen"]}},
                {**CHECK, "kinds": {**CHECK["kinds"], "frozen": {"episode_reward": 5.0}}},
                {**CHECK, "kinds": {**CHECK["kinds"], "frozen": {"episode_reward": 5.0, "best_hack": "x"}}},
            )
        ),
    ],
)
def test_a_damaged_check_is_told_in_one_line(content: bytes, model_folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(model_folder, model)
    (model / "check.json").write_bytes(content)
    of_model = {"path": str(model), "sha256": model_hash(model)}
    run = write_run(tmp_path / "mine", {0: [10], 500: [150]}, video_model=of_model)
    with pytest.raises(UserError, match=r"check\.json can't be read: `viper check-reward` writes it again") as raised:
        write_report(run)
    assert "\n" not in str(raised.value)
    assert not (run / "report.html").exists()


@pytest.mark.parametrize(
    ("reward_node", "said"),
    [
        ({"likelihood": "auto", "reward_task": "nope"}, "knows no task 'nope'"),
        ({"reward_task": ""}, "config.yaml is damaged: settings.reward_node.likelihood is missing"),
    ],
)
def test_a_run_that_its_model_can_not_have_rewarded_is_told_in_one_line(
    reward_node: dict[str, str], said: str, model_folder: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(model_folder, model)
    (model / "check.json").write_text(json.dumps({"tasks": {TASK: CHECK}}))
    settings = {**CONFIG["settings"], "reward_node": reward_node}
    made_by = {"settings": settings, "video_model": {"path": str(model), "sha256": model_hash(model)}}
    with pytest.raises(UserError, match=said):
        write_report(write_run(tmp_path / "mine", {0: [10], 500: [150]}, **made_by))


def test_a_model_that_took_the_place_of_a_run_s_says_nothing_of_it(
    model_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model, run = tmp_path / "model", tmp_path / "mine"
    shutil.copytree(model_folder, model)
    (model / "check.json").write_text(json.dumps({"tasks": {TASK: {**CHECK, "form": "conditional"}}}))
    write_run(run, {0: [10], 500: [150]}, video_model={"path": str(model), "sha256": model_hash(model)})
    write_episode(run, 500, np.zeros((12, 32, 32, 3), np.uint8), np.full(12, 0.25), np.ones(12))
    write_video(model / "videos" / "imagined.mp4", np.zeros((4, 32, 32, 3), np.uint8), 15)
    text = text_of(write_report(run))
    assert "Usable with a warning" in text
    assert "What the video model imagines" in text
    assert not caplog.records
    write_run(run, {0: [10], 500: [150]}, video_model={"path": str(model), "sha256": "of an earlier fit"})
    text = text_of(write_report(run))
    assert "Usable" not in text
    assert "What the video model imagines" not in text
    assert "is not the video model that rewarded" in caplog.text


def test_the_improvement_is_told_in_standard_errors_of_the_difference() -> None:
    assert improvement(Score("", [0, 6]), Score("", [10, 18])) == pytest.approx(11 / 5)
    assert improvement(Score("", [1]), Score("", [2])) is None
    assert improvement(Score("", [0, 0]), Score("", [1, 1])) is None
    assert improvement(Score("", [0, 2]), Score("", [1, 1])) == 0
