"""What a run's directory tells: its configuration, its records and the episodes that its reward thought best."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.viper_lab.results.runs import CONFIG, write_episode, write_run
from viper_lab.errors import UserError
from viper_lab.results.run_files import BEST_REWARDED, best_rewarded_videos, read_config, read_metrics


def test_a_run_s_configuration_is_what_was_written(tmp_path: Path) -> None:
    assert read_config(write_run(tmp_path / "run", {})) == CONFIG


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (yaml.safe_dump({"sim": "dmc", "task": "walker_walk", "environments": ["env_0"]}), "is of another version"),
        (yaml.safe_dump({**CONFIG, "version": 1}), "is of another version of viper_ros: train again, or read it with"),
        ("- a list", "no run in"),
        ("task: walker_walk", "no run in"),
        ("", "no run in"),
        ("a: [b: {", "no run in"),
        (yaml.safe_dump(CONFIG) + "task: other", "no run in .*: line .*: 'task' is there twice"),
        ("\x80", "no run in"),
        (None, "no run in"),
    ],
)
def test_another_configuration_is_refused_in_one_line(tmp_path: Path, content: str | None, said: str) -> None:
    """The first is what a run's config.yaml was before it had a version."""
    if content is not None:
        (tmp_path / "config.yaml").write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=said) as raised:
        read_config(tmp_path)
    assert "\n" not in str(raised.value)


POLICY = CONFIG["settings"]["policy_node"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"sim": 3}, "sim must be text"),
        ({"task": None}, "task must be text"),
        ({"task": ["walker_walk"]}, "task must be text"),
        ({"return_range": [0]}, "return_range must be two finite numbers, the lower one first"),
        ({"return_range": [0, float("nan")]}, "return_range must be"),
        ({"return_range": [0, 10**400]}, "return_range must be"),
        ({"return_range": [1, 1]}, "return_range must be"),
        ({"return_range": {0: 1, 1: 2}}, "return_range must be"),
        ({"data": ["a"]}, "data must be a folder, or null"),
        ({"video_model": "models/walker"}, "video_model must be a mapping with the model's path, or null"),
        ({"video_model": {"path": None}}, "video_model must be"),
        ({"expert_videos": {"tasks": 3}}, "expert_videos must be"),
        ({"settings": None}, "settings must be a mapping of sections to their settings"),
        ({"settings": [1]}, "settings must be"),
        ({"settings": {"policy_node": POLICY, "fit": "tiny"}}, "settings must be"),
        ({"settings": {}}, "settings.policy_node.agent must be text"),
        ({"settings": {"policy_node": {**POLICY, "seed": None}}}, "settings.policy_node.seed must be a whole number"),
        ({"settings": {"policy_node": {**POLICY, "steps": "many"}}}, "settings.policy_node.steps must be"),
        ({"settings": {"policy_node": POLICY, "sim_node": {"arm": 3}}}, "settings.sim_node.arm must be text"),
        ({"settings": {"policy_node": POLICY, "sim_node": {"task": []}}}, "settings.sim_node.task must be text"),
        ({"settings": {"policy_node": POLICY, "reward_node": {"reward_task": {}}}}, "reward_task must be text"),
        ({"settings": {"policy_node": POLICY, "reward_node": {"likelihood": 1}}}, "likelihood must be text"),
        ({"versions": []}, "versions must be a mapping"),
    ],
)
def test_a_damaged_configuration_is_told_by_its_key(changed: dict[str, Any], said: str, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {}, **changed)
    with pytest.raises(UserError, match=rf"config\.yaml is damaged: .*{said}") as raised:
        read_config(run)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("key", ["task", "return_range", "data", "video_model", "settings", "versions"])
def test_a_configuration_that_lacks_something_is_told_what(key: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({name: CONFIG[name] for name in CONFIG if name != key}))
    with pytest.raises(UserError, match=f"config.yaml is damaged: {key} "):
        read_config(tmp_path)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"round": 10, "evaluation_return": "x"}, "evaluation_return must be a finite number"),
        ({"round": 10, "evaluation_return": float("nan")}, "evaluation_return must be a finite number"),
        ({"evaluation_return": 2.0}, "round is missing"),
        ({"round": 10.5, "evaluation_return": 2.0}, "round must be a whole number"),
        ({"train_return": float("inf"), "train_reward": 1.0}, "train_return must be a finite number"),
        ({"train_return": 1.0}, "train_reward is missing"),
        ({"train_return": 1.0, "train_reward": [1.0]}, "train_reward must be a number"),
        ({"train_return": 1.0, "train_reward": 1.0, "critic_loss": "x"}, "critic_loss must be a number"),
    ],
)
def test_a_damaged_record_is_told_by_its_line(record: dict[str, Any], said: str, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {0: [1.0]})
    with open(run / "metrics.jsonl", "a") as file:
        file.write(json.dumps({"step": 10, **record}) + "\n")
    with pytest.raises(UserError, match=rf"metrics\.jsonl, line 2, is damaged: {said}") as raised:
        read_metrics(run)
    assert "\n" not in str(raised.value)


def test_a_loss_that_is_lost_is_no_damage(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {0: [1.0]})
    with open(run / "metrics.jsonl", "a") as file:
        file.write('{"step": 10, "train_return": 1.0, "train_reward": 1.0, "critic_loss": NaN}\n')
    assert len(read_metrics(run)) == 2


def test_the_half_line_of_a_process_that_is_writing_is_left_out(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {0: [1.0], 10: [2.0]})
    with open(run / "metrics.jsonl", "a") as file:
        file.write('{"step": 20, "rou')
    assert [record["round"] for record in read_metrics(run)] == [0, 10]
    (run / "metrics.jsonl").write_text("")
    with pytest.raises(UserError, match="nothing has happened yet"):
        read_metrics(run)


def test_the_episodes_that_the_reward_thought_best_are_those_of_the_highest_sums(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {0: [1.0]})
    # The reward of an episode's first frame is nobody's doing.
    sums = {0: 3.0, 10: -5.0, 20: 9.0, 30: 1.0, 40: 7.0}
    for number, total in sums.items():
        image = np.full((5, 24, 24, 3), number, np.uint8)
        write_episode(run, number, image, np.array([100.0 - total, 0, 0, 0, total]), np.full(5, number))
    best = best_rewarded_videos(run, 16)
    assert len(best) == BEST_REWARDED
    assert {int(video.frames[0, 0, 0, 0]) for video in best} == {0, 20, 40}
    for video in best:
        assert video.frames.shape == (5, 16, 16, 3)
        assert video.task_reward is not None
        np.testing.assert_array_equal(video.task_reward, video.frames[:, 0, 0, 0])
    with pytest.raises(UserError, match="24 pixels a side, and the model looks at 32"):
        best_rewarded_videos(run, 32)


def test_a_run_without_episodes_and_a_damaged_one_are_told_in_one_line(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {0: [1.0]})
    with pytest.raises(UserError, match="has kept no episodes"):
        best_rewarded_videos(run, 16)
    write_episode(run, 0, np.zeros((5, 24, 24, 3), np.uint8), np.zeros(5), np.zeros(5))
    (run / "episodes" / "evaluation_00000010.npz").write_bytes(b"PK\x03\x04 half")
    with pytest.raises(UserError, match=r"evaluation_00000010\.npz") as raised:
        best_rewarded_videos(run, 16)
    assert "\n" not in str(raised.value)
    for rewards in (np.float32(1), np.array(["1"] * 5), np.array([1, np.nan, 1, 1, 1]), np.zeros((5, 1))):
        np.savez(run / "episodes" / "evaluation_00000010.npz", image=np.zeros((5, 24, 24, 3), np.uint8), reward=rewards)
        with pytest.raises(UserError, match="no row of finite numbers"):
            best_rewarded_videos(run, 16)
