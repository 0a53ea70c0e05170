"""What a file answers between two times is what it holds between them, however it is stored."""

from __future__ import annotations

import sqlite3
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import lz4.frame
import pytest
from backports import zstd
from rosbags.rosbag2 import StoragePlugin

from tests.viper_model.videos.writers import numbered, numbers, write_camera
from viper_model.errors import ModelError
from viper_model.videos.bags.bag import opened
from viper_model.videos.bags.mcap import MAGIC
from viper_model.videos.dataset import read_recording

HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, DATA_END = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0F
PACKERS: dict[str, Callable[[bytes], bytes]] = {"": bytes, "lz4": lz4.frame.compress, "zstd": zstd.compress}
TIMES = [10**18 + number * 10**8 for number in range(20)]


def records(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The records of a file's content without its magic, those in its (unpacked) chunks included: kind and body."""
    at = 0
    while at < len(content):
        kind, length = struct.unpack_from("<BQ", content, at)
        body = content[at + 9 : at + 9 + length]
        if kind == CHUNK:
            yield from records(body[40:])
        else:
            yield kind, body
        at += 9 + length


def record(kind: int, body: bytes) -> bytes:
    return struct.pack("<BQ", kind, len(body)) + body


def write_mcap(path: Path, compression: str | None) -> None:
    """A camera's bag whose file has four chunks of five messages, with checksums, or None, and no summary
    (https://mcap.dev/spec)."""
    write_camera(path, numbered(20), received=TIMES)
    file = path / f"{path.name}.mcap"
    found: dict[int, list[bytes]] = {}
    for kind, body in records(file.read_bytes()[len(MAGIC) : -len(MAGIC)]):
        if kind == DATA_END:
            break
        found.setdefault(kind, []).append(body)
    definitions = record(SCHEMA, found[SCHEMA][0]) + record(CHANNEL, found[CHANNEL][0])
    out = MAGIC + record(HEADER, found[HEADER][0])
    for begin in range(0, 20, 5):
        plain = definitions + b"".join(record(MESSAGE, message) for message in found[MESSAGE][begin : begin + 5])
        if compression is None:
            out += plain
            continue
        head = struct.pack("<QQQI", TIMES[begin], TIMES[begin + 4], len(plain), zlib.crc32(plain))
        packed = PACKERS[compression](plain)
        name = struct.pack("<I", len(compression)) + compression.encode()
        out += record(CHUNK, head + name + struct.pack("<Q", len(packed)) + packed)
    file.write_bytes(out + record(DATA_END, bytes(4)) + record(FOOTER, bytes(20)) + MAGIC)


def test_messages_of_a_channel_that_a_file_does_not_describe_are_told(tmp_path: Path) -> None:
    write_mcap(tmp_path / "bag", None)
    file = tmp_path / "bag" / "bag.mcap"
    content = file.read_bytes()
    message = record(MESSAGE, struct.pack("<HIQQ", 77, 0, TIMES[0], TIMES[0]) + bytes(12))
    file.write_bytes(content.replace(record(DATA_END, bytes(4)), message + record(DATA_END, bytes(4))))
    with opened(tmp_path / "bag") as bag:
        assert len(list(bag.messages(bag.topics))) == 20
        assert bag.gaps == ["bag.mcap has messages of topics that it doesn't name: left out"]


def loose_messages(path: Path) -> None:
    write_mcap(path, None)


def sqlite_file(path: Path) -> None:
    write_camera(path, numbered(20), received=TIMES, storage=StoragePlugin.SQLITE3)


def lz4_chunks(path: Path) -> None:
    write_mcap(path, "lz4")


@pytest.mark.parametrize("make", [loose_messages, lz4_chunks, sqlite_file])
@pytest.mark.parametrize(("first", "last"), [(0, 19), (4, 4), (5, 9), (4, 10), (19, 19), (0, 0)])
def test_both_ends_of_a_span_belong_to_it(make: Callable[[Path], None], first: int, last: int, tmp_path: Path) -> None:
    make(tmp_path / "bag")
    with opened(tmp_path / "bag") as bag:
        assert [received for _, received, _ in bag.messages(bag.topics)] == TIMES
        heard = [received for _, received, _ in bag.messages(bag.topics, TIMES[first], TIMES[last])]
        assert heard == TIMES[first : last + 1]
        assert list(bag.messages(bag.topics, TIMES[-1] + 1)) == []


@pytest.mark.parametrize("compression", PACKERS)
def test_chunks_are_read_and_a_damaged_one_is_told_by_its_place(compression: str, tmp_path: Path) -> None:
    write_mcap(tmp_path / "bag", compression)
    assert numbers(read_recording(tmp_path / "bag").frames) == list(range(20))
    file = tmp_path / "bag" / "bag.mcap"
    content = bytearray(file.read_bytes())
    at, ends = len(MAGIC), []
    while at < len(content) - len(MAGIC):
        kind, length = struct.unpack_from("<BQ", content, at)
        at += 9 + length
        ends += [at] if kind == CHUNK else []
    content[ends[1] - 1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelError, match=r"bag\.mcap is damaged"):
        read_recording(tmp_path / "bag")


def test_what_a_killed_recorder_had_not_yet_moved_into_its_database_is_read(tmp_path: Path) -> None:
    """SQLite's write-ahead log, beside the file."""
    sqlite_file(tmp_path / "bag")
    database = sqlite3.connect(tmp_path / "bag" / "bag.db3")
    last = database.execute("SELECT topic_id, timestamp, data FROM messages ORDER BY id DESC LIMIT 1").fetchone()
    database.execute("DELETE FROM messages WHERE id = (SELECT MAX(id) FROM messages)")
    database.commit()
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("INSERT INTO messages (topic_id, timestamp, data) VALUES (?, ?, ?)", last)
    database.commit()
    (tmp_path / "killed").mkdir()
    for file in (tmp_path / "bag").glob("bag.db3*"):
        (tmp_path / "killed" / file.name.replace("bag", "killed")).write_bytes(file.read_bytes())
    database.close()
    assert (tmp_path / "killed" / "killed.db3-wal").stat().st_size
    assert numbers(read_recording(tmp_path / "killed").frames) == list(range(20))


def test_a_chunk_that_is_damaged_is_not_looked_into_for_a_span_elsewhere(tmp_path: Path) -> None:
    write_mcap(tmp_path / "bag", "")
    file = tmp_path / "bag" / "bag.mcap"
    content = file.read_bytes()
    definitions = [
        record(kind, body) for kind, body in records(content[len(MAGIC) : -len(MAGIC)]) if kind in (SCHEMA, CHANNEL)
    ]
    header = len(MAGIC) + 9 + struct.unpack_from("<Q", content, len(MAGIC) + 1)[0]
    spoilt = bytearray(content[:header] + b"".join(definitions[:2]) + content[header:])
    spoilt[-len(MAGIC) - 9 - 20 - 9 - 4 - 1] ^= 1  # The last chunk's last byte, before the records of the end.
    file.write_bytes(spoilt)
    with opened(tmp_path / "bag") as bag:
        assert len(list(bag.messages(bag.topics, TIMES[0], TIMES[14]))) == 15
        with pytest.raises(ModelError, match=r"bag\.mcap is damaged"):
            list(bag.messages(bag.topics, TIMES[0], TIMES[15]))
