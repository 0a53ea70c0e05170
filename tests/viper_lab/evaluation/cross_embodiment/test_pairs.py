from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import sim
from benchmarks.experts.arms import ARMS, read_table
from sim import SimError
from tests import ROOT
from viper_lab.config import config_directory
from viper_lab.errors import UserError
from viper_lab.evaluation.cross_embodiment.fitting import make_plans
from viper_lab.evaluation.cross_embodiment.pairs import Pair, Pairs, load_pairs

SEEN = "seen: {panda: [lift, stack], sawyer: [lift, stack, door]}"
UNSEEN = "unseen: {panda: [door]}"


def load(folder: Path, *lines: str, simulator: str = "robosuite") -> Pairs:
    path = folder / "mine.yaml"
    path.write_text("\n".join(lines))
    return load_pairs(str(path), simulator)


def test_a_model_learns_from_seen_pairs_only_and_one_without_an_arm_from_the_others(tmp_path: Path) -> None:
    pairs = load(tmp_path, SEEN, UNSEEN, "settings: [record.episodes=12]")
    assert pairs.name == "mine"
    assert (pairs.arms, pairs.tasks) == (("panda", "sawyer"), ("door", "lift", "stack"))
    assert pairs.trained_on() == ("panda/lift", "panda/stack", "sawyer/door", "sawyer/lift", "sawyer/stack")
    assert pairs.trained_on(without="panda") == ("sawyer/door", "sawyer/lift", "sawyer/stack")
    assert not {str(pair) for pair in pairs.unseen} & set(pairs.trained_on())


def test_a_wrong_label_is_of_another_task_that_the_arm_was_seen_at(tmp_path: Path) -> None:
    pairs = load(tmp_path, SEEN, UNSEEN)
    for pair in pairs.all:
        wrong = pairs.wrong_label(pair)
        assert wrong != pair.task
        assert Pair(pair.arm, wrong) in pairs.seen
    assert pairs.wrong_label(Pair("sawyer", "stack")) == "door"  # the last one's is the first


def test_a_wrong_label_is_of_a_task_of_the_same_scene_where_the_arm_was_seen_at_one(tmp_path: Path) -> None:
    pairs = load(tmp_path, SEEN, UNSEEN, "same_scene: [[door, stack]]")
    assert pairs.wrong_label(Pair("sawyer", "door")) == "stack"  # the next by name is lift
    assert pairs.wrong_label(Pair("panda", "door")) == "stack"
    assert pairs.wrong_label(Pair("panda", "stack")) == "lift"  # the panda was not seen at the door
    assert pairs.begin_alike("door", "stack")
    assert not pairs.begin_alike("lift", "stack")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["seen: {panda: [lift, stak], sawyer: [lift, stack]}", "unseen: {panda: [door]}"], "did you mean stack"),
        (["seen: {pandah: [lift, stack]}", UNSEEN], "did you mean panda"),
        (["seen: {panda: [lift, stack, door], sawyer: [lift, door]}", UNSEEN], "panda/door is both seen and unseen"),
        (["seen: {panda: [lift, stack], sawyer: [lift, stack]}", UNSEEN], "no arm is seen at door"),
        (["seen: {panda: [lift], sawyer: [lift, door]}", UNSEEN], "let panda be seen at two tasks"),
        (["seen: {panda: [lift, lift]}", UNSEEN], "panda/lift is named twice"),
        ([SEEN, "unseen: {}"], "no pair is unseen"),
        ([SEEN], "`unseen` names tasks by arm"),
        (["seen: [lift]", UNSEEN], "`seen` names tasks by arm"),
        ([SEEN, UNSEEN, "unsen: {}"], "it may have seen, unseen, settings, same_scene"),
        ([SEEN, UNSEEN, "settings: {record.episodes: 3}"], "a list such as"),
        ([SEEN, UNSEEN, "same_scene: [lift, stack]"], "a list of groups of tasks"),
        ([SEEN, UNSEEN, "same_scene: [[lift]]"], "a list of groups of tasks"),
        ([SEEN, UNSEEN, "same_scene: [[lift, reach_target]]"], "reach_target is named in `same_scene`"),
        (["{"], r"mine\.yaml can't be read: line 1"),
        ([SEEN, UNSEEN, SEEN], r"mine\.yaml can't be read: line 3: 'seen' is there twice"),
    ],
)
def test_pairs_that_make_no_sense_are_refused_in_one_line(lines: list[str], words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=words) as refusal:
        load(tmp_path, *lines)
    assert "\n" not in str(refusal.value)


def test_what_is_no_file_or_has_no_arms_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no pairs in smal: give a YAML file, or one of .*small"):
        load_pairs("smal", "robosuite")
    with pytest.raises(UserError, match="dmc has no arm 'panda'"):
        load(tmp_path, SEEN, UNSEEN, simulator="dmc")
    with pytest.raises(SimError, match="robosuite"):
        load(tmp_path, SEEN, UNSEEN, simulator="robosuit")


@pytest.mark.parametrize("path", sorted((config_directory() / "cross_embodiment").glob("*.yaml")), ids=lambda p: p.stem)
def test_the_pairs_that_come_with_the_package_can_be_used(path: Path) -> None:
    pairs = load_pairs(path.stem, "robosuite")
    assert set(make_plans(pairs, "robosuite", Path(), ())) == set(pairs.all)
    for group in pairs.same_scene:
        first, *others = (first_frame(task) for task in group)
        assert all(np.array_equal(first, other) for other in others)


def test_the_papers_numbers_of_pairs_all_with_experts_that_solve_their_tasks() -> None:
    """30 tasks with the Panda, 23 with the Sawyer, 20 with both; pairs that are not seen have an expert to judge by."""
    pairs = load_pairs("paper", "robosuite")
    panda, sawyer = ({pair.task for pair in pairs.seen if pair.arm == arm} for arm in ("panda", "sawyer"))
    assert (len(panda), len(sawyer), len(panda & sawyer), len(panda | sawyer)) == (30, 23, 20, 33)
    assert set(pairs.all) == {Pair(arm, task) for arm in ("panda", "sawyer") for task in panda | sawyer}
    solved = read_table(ROOT / "benchmarks" / "results" / "expert_table_arms.md")
    weak = [pair for pair in pairs.all if solved[pair.task][ARMS.index(pair.arm)] < 18]
    assert not weak


def first_frame(task: str) -> np.ndarray:
    with sim.make("robosuite", task, arm="sawyer", image_size=(48, 48), seed=3) as environment:
        return environment.reset().image


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("record.episodes=9", "10 videos at least"),
        ("record.other_episodes=1", "2 videos at least"),
        ("record.background_episodes=0", "2 videos at least"),
        ("fit.background=none", "choose another"),
        ("fit.size=tinny", "one of: tiny"),
    ],
)
def test_too_few_videos_and_wrong_settings_are_refused_before_anything_is_recorded(
    assignment: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=words):
        make_plans(load(tmp_path, SEEN, UNSEEN), "robosuite", tmp_path, [assignment])


def test_settings_are_the_files_and_then_the_commands(tmp_path: Path) -> None:
    pairs = load(tmp_path, SEEN, UNSEEN, "settings: [record.episodes=12, fit.seed=3]")
    for pair, plan in make_plans(pairs, "robosuite", tmp_path, ["fit.seed=4"]).items():
        assert (plan.data, plan.task) == (tmp_path / "data" / "robosuite" / pair.arm, pair.task)
        assert plan.settings["record"]["episodes"] == 12
        assert plan.settings["fit"]["seed"] == 4
