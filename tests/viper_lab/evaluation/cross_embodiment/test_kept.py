from __future__ import annotations

from pathlib import Path

import numpy as np

from viper_lab.evaluation.cross_embodiment.kept import kept


def test_arrays_are_made_once_for_what_they_are_made_of_and_again_where_the_file_is_damaged(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> dict[str, np.ndarray]:
        made.append(len(made))
        return {"a/0": np.full(3, made[-1])}

    path = tmp_path / "panda" / "lift.npz"
    assert kept(path, {"model": "x"}, make)["a/0"].tolist() == [0, 0, 0]
    assert kept(path, {"model": "x"}, make)["a/0"].tolist() == [0, 0, 0]
    assert kept(path, {"model": "y"}, make)["a/0"].tolist() == [1, 1, 1]
    path.write_bytes(path.read_bytes()[:100])
    assert kept(path, {"model": "y"}, make)["a/0"].tolist() == [2, 2, 2]
    assert set(kept(path, {"model": "y"}, make)) == {"a/0"}
    assert made == [0, 1, 2]
