"""RLBench's tasks are asked for by the same pairs, in CoppeliaSim or what stands in for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.record import list_episodes
from tests.sim.test_rlbench import coppeliasim as coppeliasim
from viper_lab.evaluation.cross_embodiment.fitting import make_plans
from viper_lab.evaluation.cross_embodiment.pairs import load_pairs
from viper_lab.experiment.preparation import record_videos


@pytest.mark.usefixtures("coppeliasim")
def test_the_pairs_of_robosuite_are_recorded_in_rlbench(tmp_path: Path) -> None:
    pairs = load_pairs("small", "rlbench")
    plans = make_plans(pairs, "rlbench", tmp_path, ["sim_node.action_repeat=5"])
    for pair in pairs.unseen:
        assert record_videos(plans[pair], "expert", 1) == [1]
        [(path, episode)] = list_episodes(tmp_path).items()
        assert path.parent == tmp_path / "data" / "rlbench" / pair.arm / pair.task / "expert"
        assert (episode.sim, episode.task, episode.options["arm"]) == ("rlbench", pair.task, pair.arm)
        path.unlink()
