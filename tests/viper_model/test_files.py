from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from viper_model.errors import ModelError
from viper_model.files import locked, replace_file, replacing


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    replace_file(tmp_path / "file", b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ModelError, match="the disk is full"):
        replace_file(tmp_path / "file", b"new")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit, ValueError])
def test_what_is_interrupted_leaves_the_old_file_alone(end: type[BaseException], tmp_path: Path) -> None:
    def write_half() -> None:
        with replacing(tmp_path / "file") as part:
            part.write_bytes(b"ha")
            raise end

    replace_file(tmp_path / "file", b"old")
    with pytest.raises(end):
        write_half()
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_a_file_where_a_folder_would_be_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "in the way").touch()
    with pytest.raises(ModelError, match=r"cannot save .*in the way/file: File exists"):
        replace_file(tmp_path / "in the way" / "file", b"new")


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK])
def test_a_file_system_without_locks_is_told_in_one_line(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", unknown)
    said = rf"cannot lock .*/\.lock, {os.strerror(number)}: put {tmp_path} on a local disk, or link it there"
    with pytest.raises(ModelError, match=said), locked(tmp_path / ".lock", pytest.fail):
        pytest.fail("it was locked")
