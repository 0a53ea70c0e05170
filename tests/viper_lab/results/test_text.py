from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from viper_lab.results.text import write_csv, write_text
from viper_model.errors import ModelError


def test_a_table_and_a_page_hold_a_name_that_is_not_utf_8(tmp_path: Path) -> None:
    name = os.fsdecode(b"lat\xe9, ")
    write_text(tmp_path / "page.html", name)
    write_csv(tmp_path / "table.csv", [["video", "frames"], [name, 3]])
    assert (tmp_path / "page.html").read_text("utf-8") == "lat\\udce9, "
    with open(tmp_path / "table.csv", newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["video", "frames"], ["lat\\udce9, ", "3"]]


def test_a_full_disk_leaves_the_old_table(tmp_path: Path) -> None:
    write_csv(tmp_path / "table.csv", [["old"]])
    (tmp_path / ".table.csv.part").symlink_to("/dev/full")
    with pytest.raises(ModelError, match=r"cannot save .*table\.csv: the disk is full"):
        write_csv(tmp_path / "table.csv", [["new"]])
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old\n"]
