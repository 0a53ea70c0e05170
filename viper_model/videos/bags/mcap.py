"""MCAP files (https://mcap.dev/spec) as rosbag2 writes them: whole, or cut off where the recorder was killed.

A file is looked through from its front, record by record, without unpacking its chunks. The summary at its end tells
the topics; where there is none, the chunks do.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import lz4.frame
from backports import zstd

from viper_model.errors import ModelError
from viper_model.videos.bags.storage import END_OF_TIME, Topic, TopicKey

MAGIC = b"\x89MCAP0\r\n"
FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK = 0x02, 0x03, 0x04, 0x05, 0x06
HEAD = struct.Struct("<BQ")
"""Of a record: what it is, and how many bytes follow."""


@dataclass
class Region:
    """A chunk, or consecutive messages outside of chunks."""

    begin: int
    """Byte of the file, like `end`."""
    end: int
    first: int = 0
    """When its messages were received, in nanoseconds, like `last`."""
    last: int = END_OF_TIME
    chunk: bool = False


class McapFile:
    """A `Storage`. Raises ModelError where there is nothing to be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb")
        self._regions: list[Region] = []
        self._schemas: dict[int, tuple[str, str, str]] = {}
        self._channels: dict[int, Topic] = {}
        self.cut_off = True
        self.unnamed: set[int] = set()
        try:
            self._look_through()
            if self.cut_off or not self._channels:
                self._look_into_chunks()
        except BaseException:
            self.close()
            raise

    @property
    def topics(self) -> Collection[Topic]:
        return list(self._channels.values())

    def close(self) -> None:
        self._file.close()

    def messages(
        self, topics: Collection[TopicKey], start: int = 0, stop: int = END_OF_TIME
    ) -> Iterator[tuple[TopicKey, int, bytes]]:
        wanted = {channel: topic.key for channel, topic in self._channels.items() if topic.key in topics}
        for region in self._regions:
            if region.last < start or region.first > stop:
                continue
            for kind, record in self._records(region):
                if kind != MESSAGE:
                    continue
                channel, _, received = struct.unpack_from("<HIQ", record)
                if channel not in self._channels:
                    self.unnamed.add(channel)
                if channel in wanted and start <= received <= stop:
                    yield wanted[channel], received, record[22:]

    def _look_through(self) -> None:
        size = self._file.seek(0, 2)
        self._file.seek(0)
        if not size:
            raise ModelError(f"{self._path.name} is empty")
        if self._file.read(len(MAGIC)) != MAGIC:
            raise ModelError(f"{self._path.name} is not MCAP, whatever its name says")
        at = len(MAGIC)
        while at + HEAD.size <= size:
            self._file.seek(at)
            kind, length = HEAD.unpack(self._file.read(HEAD.size))
            end = at + HEAD.size + length
            if kind == FOOTER:
                self.cut_off = False
                break
            if kind == 0 or end > size:  # Where a recorder was killed the file ends, or goes on with zeros.
                break
            if kind == CHUNK:
                first, last = struct.unpack("<QQ", self._file.read(16))
                self._regions.append(Region(at + HEAD.size, end, first, last, chunk=True))
            elif kind == MESSAGE:
                if not self._regions or self._regions[-1].chunk:
                    self._regions.append(Region(at, end))
                self._regions[-1].end = end
            elif kind in (SCHEMA, CHANNEL):
                self._define(kind, self._file.read(length))
            at = end
        if not self._regions and self.cut_off:
            raise ModelError(f"{self._path.name} ends before its first message: the recorder was stopped too early")

    def _look_into_chunks(self) -> None:
        for region in self._regions:
            for kind, record in self._records(region):
                if kind in (SCHEMA, CHANNEL):
                    self._define(kind, record)

    def _define(self, kind: int, record: bytes) -> None:
        stream = BytesIO(record)
        (number,) = struct.unpack("<H", stream.read(2))
        if kind == SCHEMA:
            name, encoding, definition = (_text(stream) for _ in range(3))
            self._schemas[number] = name, encoding, definition
            return
        (schema,) = struct.unpack("<H", stream.read(2))
        kind_of, encoding, definition = self._schemas.get(schema, ("", "", ""))
        name, serialization = _text(stream), _text(stream)
        (length,) = struct.unpack("<I", stream.read(4))
        end, metadata = stream.tell() + length, {}
        while stream.tell() < end:
            key = _text(stream)
            metadata[key] = _text(stream)
        self._channels[number] = Topic(
            name,
            kind_of,
            serialization,
            metadata.get("offered_qos_profiles", ""),
            definition,
            encoding,
            metadata.get("topic_type_hash", ""),
        )

    def _records(self, region: Region) -> Iterator[tuple[int, bytes]]:
        stream: BinaryIO = self._file
        at, end = region.begin, region.end
        if region.chunk:
            unpacked = self._unpacked(region)
            stream, at, end = BytesIO(unpacked), 0, len(unpacked)
        while at < end:
            stream.seek(at)  # Others read from the file, too.
            kind, length = HEAD.unpack(stream.read(HEAD.size))
            yield kind, stream.read(length)
            at += HEAD.size + length

    def _unpacked(self, region: Region) -> bytes:
        try:
            self._file.seek(region.begin + 16)
            size, checksum = struct.unpack("<QI", self._file.read(12))
            compression = _text(self._file)
            (length,) = struct.unpack("<Q", self._file.read(8))
            packed = self._file.read(length)
            unpacked = {"": bytes, "lz4": lz4.frame.decompress, "zstd": zstd.decompress}[compression](packed)
        except (KeyError, RuntimeError, ValueError, struct.error, zstd.ZstdError) as error:
            raise ModelError(f"{self._path.name} is damaged at byte {region.begin}: {error}") from error
        if len(unpacked) != size or (checksum and zlib.crc32(unpacked) != checksum):
            raise ModelError(f"{self._path.name} is damaged at byte {region.begin}: its checksum is another")
        return unpacked


def _text(stream: BinaryIO) -> str:
    (length,) = struct.unpack("<I", stream.read(4))
    return stream.read(length).decode()
