"""SQLite files as rosbag2 writes them, of all its versions."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from viper_model.errors import ModelError
from viper_model.videos.bags.storage import END_OF_TIME, Topic, TopicKey


class SqliteFile:
    """A `Storage`. Raises ModelError where there is nothing to be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.cut_off = False
        # A journal is what a recorder that was killed had not yet moved into the database itself.
        journal = path.with_name(f"{path.name}-wal").exists()
        place = f"file:{quote(str(path.resolve()))}?{'mode=ro' if journal else 'immutable=1'}"
        with self._readable():
            self._database = sqlite3.connect(place, uri=True, check_same_thread=False)
        try:
            with self._readable():
                self._database.execute("PRAGMA writable_schema = ON")  # Or a file that breaks off is not read at all.
                self._numbered = self._read_topics()
            self.unnamed = self._topics_of_messages() - self._numbered.keys()
        except BaseException:
            self.close()
            raise

    @property
    def topics(self) -> Collection[Topic]:
        return list(self._numbered.values())

    def close(self) -> None:
        self._database.close()

    def messages(
        self, topics: Collection[TopicKey], start: int = 0, stop: int = END_OF_TIME
    ) -> Iterator[tuple[TopicKey, int, bytes]]:
        wanted = {number: topic.key for number, topic in self._numbered.items() if topic.key in topics}
        # The + keeps SQLite from sorting by the index of times, for which it would copy every message.
        query = (
            f"SELECT topic_id, timestamp, data FROM messages WHERE topic_id IN ({', '.join('?' * len(wanted))})"
            " AND +timestamp BETWEEN ? AND ? ORDER BY id"
        )
        count = 0
        with self._readable():
            rows = self._database.execute(query, (*wanted, start, stop))
        while True:
            try:
                row = rows.fetchone()
            except sqlite3.Error as error:
                if not count:
                    raise ModelError(f"{self._path.name} is damaged: {error}") from error
                self.cut_off = True
                return
            if row is None:
                return
            count += 1
            yield wanted[row[0]], row[1], row[2]

    def _topics_of_messages(self) -> set[int]:
        """Their numbers, as far as the file can be read."""
        numbers = set()
        with suppress(sqlite3.Error):
            for (number,) in self._database.execute("SELECT DISTINCT topic_id FROM messages"):
                numbers.add(number)
        return numbers

    def _read_topics(self) -> dict[int, Topic]:
        def columns(table: str) -> set[str]:
            return {row[1] for row in self._database.execute(f"PRAGMA table_info({table})")}

        if not columns("messages") or not columns("topics"):
            raise ModelError(f"{self._path.name} is not a recording of rosbag2: it has no table of messages")
        definitions = {}
        if columns("message_definitions"):
            for name, *definition in self._database.execute(
                "SELECT topic_type, encoded_message_definition, encoding FROM message_definitions"
            ):
                definitions[name] = definition
        there = columns("topics")
        optional = [name if name in there else "''" for name in ("offered_qos_profiles", "type_description_hash")]
        topics = {}
        for number, name, kind, serialization, qos, type_hash in self._database.execute(
            f"SELECT id, name, type, serialization_format, {', '.join(optional)} FROM topics ORDER BY id"
        ):
            definition, encoding = definitions.get(kind, ("", ""))
            topics[number] = Topic(name, kind, serialization, qos, definition, encoding, type_hash)
        return topics

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Raises ModelError where SQLite can't go on."""
        try:
            yield
        except sqlite3.Error as error:
            raise ModelError(f"{self._path.name} is damaged: {error}") from error
