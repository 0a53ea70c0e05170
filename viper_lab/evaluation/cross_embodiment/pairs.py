"""Which pairs of arm and task a model learns from, and which it is asked for without having seen them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sim as environments
from viper_lab.config import config_directory
from viper_lab.errors import UserError, did_you_mean
from viper_model.videos.find import pair_name
from viper_model.yaml_files import YamlError, read_yaml

KEYS = ("seen", "unseen", "settings", "same_scene")


@dataclass(frozen=True, order=True)
class Pair:
    """An arm at a task."""

    arm: str
    task: str

    def __str__(self) -> str:
        """As the videos' folders name it: `panda/lift`."""
        return pair_name(self.arm, self.task)


@dataclass(frozen=True)
class Pairs:
    """A file of pairs."""

    name: str
    seen: tuple[Pair, ...]
    """The model learns from their videos."""
    unseen: tuple[Pair, ...]
    """The model learns from none of their videos, which exist to judge it."""
    settings: tuple[str, ...] = ()
    """Assignments to settings of the simulator's parameter file: see `plan.make_plan`."""
    same_scene: tuple[tuple[str, ...], ...] = ()
    """Groups of tasks whose episodes begin alike, so that nothing but the label tells them apart."""

    @property
    def all(self) -> tuple[Pair, ...]:
        """Sorted by arm and task."""
        return tuple(sorted((*self.seen, *self.unseen)))

    @property
    def arms(self) -> tuple[str, ...]:
        return tuple(sorted({pair.arm for pair in self.all}))

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(sorted({pair.task for pair in self.all}))

    def trained_on(self, without: str = "") -> tuple[str, ...]:
        """The names of the pairs that a model learns from, those of the arm `without` left out."""
        return tuple(str(pair) for pair in sorted(self.seen) if pair.arm != without)

    def wrong_label(self, pair: Pair) -> str:
        """Another task, to ask for in the pair's place: the next by name of those that its arm was seen at, so that an
        unfamiliar pair of arm and label is not what makes it unlikely. Tasks of the same scene come first."""
        others = sorted(each.task for each in self.seen if each.arm == pair.arm and each.task != pair.task)
        others = [task for task in others if self.begin_alike(pair.task, task)] or others
        return next((task for task in others if task > pair.task), others[0])

    def begin_alike(self, task: str, other: str) -> bool:
        """Whether two tasks are in one group of `same_scene`."""
        return any(task in group and other in group for group in self.same_scene)


def load_pairs(source: str, sim: str) -> Pairs:
    """The pairs in a YAML file, or in config/cross_embodiment/<source>.yaml, for a simulator.

        seen: {panda: [lift, stack], sawyer: [lift, stack, door]}
        unseen: {panda: [door]}
        settings: [record.episodes=40, fit.size=tiny]     # may be left out
        same_scene: [[reach_target, reach_blue_target]]   # may be left out: see `Pairs`

    Raises UserError for a file that can't be read as this, an arm or a task that the simulator doesn't have, a pair
    that is both seen and unseen, no unseen pair or one whose task no other arm is seen at, an arm that is seen at
    fewer than two tasks, and a task in `same_scene` that is in no pair. Raises SimError for an unknown simulator.
    """
    folder = config_directory() / "cross_embodiment"
    known = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    path = known.get(source, Path(source).expanduser())
    try:
        document = read_yaml(path)
    except OSError as error:
        raise UserError(f"no pairs in {source}: give a YAML file, or one of {', '.join(known)}") from error
    except YamlError as error:
        raise UserError(f"the pairs in {path} can't be read: {error}") from error
    if not isinstance(document, dict) or not set(document) <= set(KEYS):
        raise UserError(f"{path} is no file of pairs: it may have {', '.join(KEYS)}")
    settings = document.get("settings") or []
    if not isinstance(settings, list) or not all(isinstance(each, str) for each in settings):
        raise UserError(f"{path}: `settings` is a list such as [record.episodes=40]")
    groups = document.get("same_scene") or []
    if not isinstance(groups, list) or not all(isinstance(group, list) and len(group) > 1 for group in groups):
        raise UserError(f"{path}: `same_scene` is a list of groups of tasks such as [[lift, stack]]")
    seen, unseen = (_read(path, document, key) for key in ("seen", "unseen"))
    pairs = Pairs(path.stem, seen, unseen, tuple(settings), tuple(map(tuple, groups)))
    _check(path, pairs, sim)
    return pairs


def _read(path: Path, document: dict[str, Any], key: str) -> tuple[Pair, ...]:
    by_arm = document.get(key)
    if not isinstance(by_arm, dict) or not all(
        isinstance(tasks, list) and tasks and all(isinstance(name, str) for name in (arm, *tasks))
        for arm, tasks in by_arm.items()
    ):
        raise UserError(f"{path}: `{key}` names tasks by arm, as in {{panda: [lift, stack]}}")
    pairs = [Pair(arm, task) for arm, tasks in by_arm.items() for task in tasks]
    for pair in pairs:
        if pairs.count(pair) > 1:
            raise UserError(f"{path}: {pair} is named twice in `{key}`")
    return tuple(sorted(pairs))


def _check(path: Path, pairs: Pairs, sim: str) -> None:
    tasks, arms = environments.tasks(sim), environments.arms_of(sim)
    for pair in pairs.all:
        _check_name(path, "arm", pair.arm, arms, sim)
        _check_name(path, "task", pair.task, tasks, sim)
    for pair in pairs.unseen:
        if pair in pairs.seen:
            raise UserError(f"{path}: {pair} is both seen and unseen: leave it in one of the two")
        if all(pair.task != each.task for each in pairs.seen):
            raise UserError(f"{path}: no arm is seen at {pair.task}, so that no model could be asked for {pair}")
    for task in itertools.chain(*pairs.same_scene):
        if task not in pairs.tasks:
            raise UserError(f"{path}: {task} is named in `same_scene` and is in no pair: leave it out there")
    for arm in pairs.arms:
        if len([pair for pair in pairs.seen if pair.arm == arm]) < 2:
            raise UserError(f"{path}: let {arm} be seen at two tasks or more, of which one is the other's wrong label")
    if not pairs.unseen:
        raise UserError(f"{path}: no pair is unseen, so there is nothing to ask: name some in `unseen`")


def _check_name(path: Path, kind: str, name: str, known: Iterable[str], sim: str) -> None:
    known = sorted(known)
    if name not in known:
        raise UserError(f"{path}: {sim} has no {kind} '{name}': {did_you_mean(name, known or ['another simulator'])}")
