"""rosbag2 recordings as recorders leave them, whatever is missing: a folder, with or without its metadata.yaml, or a
single .mcap or .db3 file. All that is asked of metadata.yaml is in which order the files come."""

from __future__ import annotations

import logging
import re
import struct
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from backports import zstd
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from viper_model.errors import ModelError
from viper_model.videos.bags.mcap import McapFile
from viper_model.videos.bags.sqlite import SqliteFile
from viper_model.videos.bags.storage import END_OF_TIME, Storage, Topic, TopicKey

logger = logging.getLogger(__name__)

STORAGES: dict[str, Callable[[Path], Storage]] = {".mcap": McapFile, ".db3": SqliteFile}
METADATA = "metadata.yaml"
MARK = b"rosbag2_bagfile_information"
"""What metadata.yaml says of itself."""
ZSTD = b"\x28\xb5\x2f\xfd"
"""How what zstd packed begins, and no message does."""
PACKED = (".zstd", ".zst")
ROS_1 = ".bag"
PIECE = 2**20
"""Bytes that are unpacked at a time."""
DAMAGE = (OSError, EOFError, ValueError, struct.error, zstd.ZstdError)
"""What reading bytes that are none of ours raises."""


def holds(path: Path) -> bool:
    """Whether a file or folder is a recording, broken or not.

    A folder without metadata.yaml is one where its files are called as recorders call them, after the folder. Otherwise
    each of them is a recording of its own.
    """
    if path.is_file():
        return bool(_stem(path)) or path.suffix == ROS_1
    if not path.is_dir():
        return False
    metadata = path / METADATA
    if metadata.is_file() and MARK in metadata.read_bytes():
        return True
    stems = [_stem(file) for file in path.iterdir() if _stem(file)]
    return bool(stems) and all(re.fullmatch(rf"{re.escape(path.resolve().name)}(_\d+)?", stem) for stem in stems)


def storage_files(path: Path) -> tuple[list[Path], list[str]]:
    """The files of a recording, in order, and in a line each how metadata.yaml lists others. Raises ModelError without
    any."""
    if path.suffix == ROS_1 and path.is_file():
        target = path.with_suffix("")
        raise ModelError(
            f"it is a bag of ROS 1: `rosbags-convert --src {path} --dst {target}` makes one of ROS 2 of it"
        )
    if path.is_file():
        return [path], []
    present = sorted((file for file in path.iterdir() if _stem(file)), key=_in_order)
    listed = [path / name for name in _listed(path / METADATA)]
    files = [file for file in listed if file in present] or present
    if not files:
        raise ModelError(f"it cannot be read as a bag: it holds no {' or '.join(STORAGES)} file")
    # As many as are listed, under other names, are they: renamed, packed or listed with the folders of another system.
    missing = [file.name for file in listed if file not in present] if len(files) < len(listed) else []
    known = {_stem(file) for file in listed}  # Under another ending it is the same file, unpacked or converted.
    unlisted = [file.name for file in present if file not in files and _stem(file) not in known]
    return files, [
        *(f"{name} is missing, which {METADATA} lists: the other files are used" for name in missing),
        *(f"{name} is not listed in {METADATA}: left out" for name in unlisted),
    ]


class Bag:
    """A recording, open. Its messages come in the order in which they were recorded."""

    def __init__(self, path: Path) -> None:
        """Raises ModelError where it can't be read."""
        self.files, self._listing = storage_files(path)
        self._stack = ExitStack()
        self._storages: dict[Path, Storage] = {}
        self._unread: list[ModelError] = []
        try:
            for file in self.files:
                self._add(file)
        except BaseException:
            self.close()
            raise
        self.topics = _together(topic for storage in self._storages.values() for topic in storage.topics)
        self._default = get_typestore(Stores.ROS2_KILTED)
        self._own = _types_of(self.topics)

    def close(self) -> None:
        self._stack.close()

    @property
    def gaps(self) -> list[str]:
        """What of the recording can't be read, a line each. Known once all messages were read."""
        cut = [file.name for file, storage in self._storages.items() if storage.cut_off]
        lines = [f"{name} breaks off: what was recorded until then is used" for name in cut]
        lines += [
            f"{file.name} has messages of topics that it doesn't name: left out"
            for file, storage in self._storages.items()
            if storage.unnamed
        ]
        lines += [f"{error}: the other files are used" for error in self._unread]
        return lines + self._listing

    def messages(
        self, topics: Collection[Topic], start: int = 0, stop: int = END_OF_TIME
    ) -> Iterator[tuple[Topic, int, bytes]]:
        """Messages received from `start` to `stop`, nanoseconds: topic, when it was received, and what.

        Raises ModelError where the recording is damaged, perhaps after some messages.
        """
        wanted: dict[TopicKey, Topic] = {topic.key: topic for topic in topics}
        for file, storage in self._storages.items():
            messages = storage.messages(wanted.keys(), start, stop)
            while True:
                try:
                    message = next(messages, None)
                    if message is None:
                        break
                    key, received, data = message
                    plain = zstd.decompress(data) if data.startswith(ZSTD) else data
                except DAMAGE as error:
                    raise ModelError(f"{file.name} is damaged: {_line(error)}") from error
                yield wanted[key], received, plain

    def types_with(self, kind: str) -> Typestore | None:
        """What knows a type of message: the recording's own definitions before those of ROS 2; None where none does."""
        return next((store for store in (self._own, self._default) if kind in store.fielddefs), None)

    def deserialize(self, topic: Topic, data: bytes) -> Any:
        """A message. Raises ModelError where it is damaged or of an unknown type."""
        store = self.types_with(topic.type)
        if store is None:
            raise ModelError(f"{topic.name} has {topic.type} messages, and the bag does not define that type")
        try:
            return store.deserialize_cdr(data, topic.type)
        except Exception as error:  # It raises whatever damaged bytes lead it to, assertions included.
            raise ModelError(f"a message on {topic.name} is damaged: {_line(error)}") from error

    def _add(self, file: Path) -> None:
        """Open a file. One of several that holds nothing is passed over: a recorder that was killed leaves its last so.

        Raises ModelError where all hold nothing.
        """
        try:
            storage = self._open(file)
        except ModelError as error:
            self._unread.append(error)
            if len(self._unread) == len(self.files):
                raise
        else:
            self._storages[file] = storage

    def _open(self, file: Path) -> Storage:
        try:
            if file.suffix in PACKED:
                file = self._unpacked(file)
            storage = STORAGES[file.suffix](file)
        except DAMAGE as error:
            raise ModelError(f"{file.name} cannot be read: {_line(error)}") from error
        self._stack.callback(storage.close)
        return storage

    def _unpacked(self, file: Path) -> Path:
        target = Path(self._stack.enter_context(TemporaryDirectory())) / file.stem
        with zstd.open(file, "rb") as packed, target.open("wb") as plain:
            while piece := packed.read(PIECE):
                try:
                    plain.write(piece)
                except OSError as error:
                    why = f"{error.strerror}: make room, or set TMPDIR"
                    raise ModelError(f"{file.name} cannot be unpacked to {target.parent}, {why}") from error
        return target


@contextmanager
def opened(path: Path) -> Iterator[Bag]:
    """A recording to read from. Raises ModelError where it can't be read, now or later."""
    bag = Bag(path)
    try:
        yield bag
    finally:
        bag.close()


def _line(error: Exception) -> str:
    why = error.strerror if isinstance(error, OSError) else str(error)
    return (why or type(error).__name__).partition("\n")[0]


def _stem(file: Path) -> str:
    """The name of a recorder's file without its endings; empty for any other file."""
    plain = file.with_suffix("") if file.suffix in PACKED else file
    return plain.stem if plain.suffix in STORAGES else ""


def _in_order(file: Path) -> tuple[str, int]:
    """Sorts the tenth file of a recording behind its second."""
    name, _, number = _stem(file).rpartition("_")
    return (name, int(number)) if number.isdecimal() else (_stem(file), -1)


def _listed(metadata: Path) -> list[str]:
    """The names of the files that metadata.yaml lists; none where it does not, or is none."""
    try:
        document = yaml.safe_load(metadata.read_bytes())
        return [PurePath(name).name for name in document["rosbag2_bagfile_information"]["relative_file_paths"]]
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError):
        return []


def _together(topics: Iterator[Topic]) -> list[Topic]:
    """Each topic once, with what any file knows of its type."""
    merged: dict[TopicKey, Topic] = {}
    for topic in topics:
        first = merged.get(topic.key, topic)
        known = first if first.definition else topic
        merged[topic.key] = replace(known, qos=first.qos or topic.qos)
    return list(merged.values())


def _types_of(topics: Collection[Topic]) -> Typestore:
    """The types that a recording defines itself. Those whose definition can't be read are left out."""
    types: dict[str, Any] = {}
    for topic in topics:
        if not topic.definition:
            continue
        try:
            if topic.definition_format == "ros2msg":
                types |= get_types_from_msg(topic.definition, topic.type)
            elif topic.definition_format == "ros2idl":
                for part in re.split(r"^={80}\nIDL: .*\n", topic.definition, flags=re.MULTILINE):
                    types |= get_types_from_idl(part) if part.strip() else {}
        except Exception as error:  # Its parser raises many kinds of errors.
            logger.debug("%s: %s", topic.type, error)
    store = get_typestore(Stores.EMPTY)
    store.register(types)
    return store
