"""Bags of other storages through the same interface, and the one door to all bags.

    bag = open_bag(path)     MCAP: BagReader            sqlite3, compressed files or messages: ForeignBag

Foreign bags are read by `rosbags`, everywhere alike. A storage that it does not know is refused, and the error
says how to convert it where its plugin is.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import Reader, ReaderError

from vla_mbpo_ros.data.bags.bag import FOREVER_NS, Bag, BagMessage, Integers, Positions, TopicInfo, merge_topics
from vla_mbpo_ros.data.bags.metadata import FILE_NAME, read_metadata
from vla_mbpo_ros.data.bags.qos import Qos, qos_yaml
from vla_mbpo_ros.data.bags.reader import BagReader
from vla_mbpo_ros.errors import BagError

_LANGUAGES = {"MSG": "ros2msg", "IDL": "ros2idl"}
_CURE = "Convert it on the machine that recorded it: `ros2 bag convert`, to MCAP."


def open_bag(path: Path) -> Bag:
    """The right reader for whatever lies at `path`."""
    if path.suffix == ".bag":
        cure = f"Convert it: `rosbags-convert --src {path} --dst {path.with_suffix('')} --dst-storage mcap`."
        raise BagError(f"{path} is a bag of ROS 1.", cure)
    if path.is_file():
        return ForeignBag(path) if path.suffix == ".db3" else BagReader(path)
    if (path / FILE_NAME).exists():
        return BagReader(path) if _is_plain_mcap(read_metadata(path)) else ForeignBag(path)
    if path.is_dir() and not any(path.glob("*.mcap")):
        return _without_metadata(path)
    return BagReader(path)


def _is_plain_mcap(metadata: dict[str, Any]) -> bool:
    mode = str(metadata.get("compression_mode") or "none").lower()
    return metadata.get("storage_identifier", "mcap") == "mcap" and mode in ("none", "storage")


def _without_metadata(path: Path) -> Bag:
    """A sqlite3 recorder that was killed left its files alone, if at all."""
    files = sorted(path.glob("*.db3"))
    if len(files) == 1:
        return ForeignBag(files[0], complete=False)
    if files:
        raise BagError(f"{path} has {len(files)} .db3 files and no {FILE_NAME}.", "Run `ros2 bag reindex` on it.")
    return BagReader(path)  # says what is wrong


class ForeignBag(Bag):
    """Read by `rosbags`, which is kept open in each process that reads."""

    def __init__(self, path: Path, *, complete: bool = True) -> None:
        super().__init__(path)
        self.complete = complete
        self._open: tuple[int, Reader] | None = None  # process, and its reader
        metadata = self._reader.storage.metadata
        self.custom_data = {str(name): str(value) for name, value in (metadata.custom or {}).items()}

    @cached_property
    def topics(self) -> dict[str, TopicInfo]:
        return merge_topics(_topic(connection) for connection in self._reader.connections)

    @property
    def start_ns(self) -> int:
        return int(self._reader.start_time) if self._reader.message_count else 0

    @property
    def end_ns(self) -> int:
        return int(self._reader.end_time) - 1 if self._reader.message_count else 0  # `rosbags` says what is behind it

    @property
    def size_bytes(self) -> int:
        files = [self.path] if self.path.is_file() else self.path.iterdir()
        return sum(file.stat().st_size for file in files if file.suffix in (".db3", ".mcap", ".zstd"))

    def messages(
        self, topics: Collection[str] | None = None, start_ns: int = 0, end_ns: int = FOREVER_NS
    ) -> Iterator[BagMessage]:
        self.require(topics)
        return self._messages(topics, start_ns, end_ns)

    def locate(self, topic: str) -> Positions:
        """Reads everything of the topic once: these storages have no index of their messages."""
        self.require([topic])
        number, rows = list(self.topics).index(topic), []
        for log_ns, same in groupby(self._messages([topic], 0, FOREVER_NS), lambda message: message.log_ns):
            rows += [(log_ns, log_ns, (number, log_ns, turn, 0), message.data) for turn, message in enumerate(same)]
        return Positions.of(rows)

    def read(self, ref: Sequence[int] | Integers) -> BagMessage:
        number, log_ns, turn, _ = map(int, ref)
        topic = list(self.topics)[number]
        found = next(islice(self._messages([topic], log_ns, log_ns), turn, None), None)
        if found is None:
            raise BagError(f"{self.path} has changed while it was read.", "Read it again.")
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_open": None}

    @property
    def _reader(self) -> Reader:
        """Opened anew in a forked process: two must not share one handle of a data base."""
        if self._open is None or self._open[0] != os.getpid():
            try:
                reader = Reader(self.path)
                reader.open()
            except Exception as error:  # `rosbags` meets files of any kind
                raise self._unreadable(error) from error
            self._open = (os.getpid(), reader)
        return self._open[1]

    def _messages(self, topics: Collection[str] | None, start_ns: int, end_ns: int) -> Iterator[BagMessage]:
        wanted = [found for found in self._reader.connections if topics is None or found.topic in topics]
        if not wanted:
            return
        stop_ns = min(end_ns, FOREVER_NS - 1) + 1
        rows = self._reader.messages(wanted, start_ns, stop_ns)
        while True:
            try:
                connection, log_ns, data = next(rows)
            except StopIteration:
                return
            except Exception as error:
                raise self._unreadable(error) from error
            yield BagMessage(connection.topic, int(log_ns), int(log_ns), 0, bytes(data))

    def _unreadable(self, error: Exception) -> BagError:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        cure = _CURE if isinstance(error, ReaderError) else "Copy it again, or leave this bag out."
        return BagError(f"{self.path} cannot be read: {reason}.", cure)


def _topic(connection: Any) -> TopicInfo:
    return TopicInfo(
        name=connection.topic,
        type=connection.msgtype,
        hash=connection.digest,
        qos_yaml=_qos_yaml(connection.ext.offered_qos_profiles),
        definition=connection.msgdef.data,
        count=connection.msgcount,
        encoding=connection.ext.serialization_format,
        language=_LANGUAGES.get(connection.msgdef.format.name, ""),
    )


def _qos_yaml(profiles: Sequence[Any]) -> str:
    return qos_yaml([_qos(profile) for profile in profiles]) if profiles else ""


def _qos(profile: Any) -> Qos:
    """rosbags' enumerations have the names of rmw."""
    return Qos(
        history=profile.history.name.lower(),
        depth=profile.depth,
        reliability=profile.reliability.name.lower(),
        durability=profile.durability.name.lower(),
        deadline_ns=_nanoseconds(profile.deadline),
        lifespan_ns=_nanoseconds(profile.lifespan),
        liveliness=profile.liveliness.name.lower(),
        liveliness_lease_ns=_nanoseconds(profile.liveliness_lease_duration),
        avoid_ros_namespace_conventions=profile.avoid_ros_namespace_conventions,
    )


def _nanoseconds(time: Any) -> int:
    return int(time.sec) * 10**9 + int(time.nsec)
