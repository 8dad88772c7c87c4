"""A rosbag2 directory (or one .mcap file) -> raw messages in time order, and decoded ones.

    bag = BagReader(path)
    for message in bag.messages(["/joint_states"]):
        state = bag.decode(message)

A file that ended in the middle, without an index, is read as far as it is good; `complete` is False then.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from mcap.data_stream import ReadDataStream
from mcap.reader import SeekingReader
from mcap.records import Channel, Chunk, ChunkIndex, Message
from mcap.stream_reader import breakup_chunk
from mcap.writer import MCAP0_MAGIC

from vla_mbpo_ros.data.bags import salvage
from vla_mbpo_ros.data.bags.decode import Decoder
from vla_mbpo_ros.data.bags.metadata import FILE_NAME, read_metadata
from vla_mbpo_ros.errors import BagError, UnknownName

_CHUNK_HEAD = 9  # opcode and length [bytes]


class BagMessage(NamedTuple):
    """One raw message."""

    topic: str
    log_ns: int  # the bag's own time
    publish_ns: int
    sequence: int  # counted by the publisher; 0 if unknown
    data: bytes  # CDR


@dataclass(frozen=True)
class TopicInfo:
    """What a bag says of one topic."""

    name: str
    type: str
    hash: str
    qos_yaml: str
    definition: str
    count: int


class BagReader:
    """Reads; never changes anything."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.complete = True
        self.custom_data: dict[str, str] = {}
        self._decoders: dict[str, Decoder] = {}
        self._files = [_File(file) for file in self._find_files()]
        self.complete = self.complete and all(file.complete for file in self._files)

    @cached_property
    def topics(self) -> dict[str, TopicInfo]:
        """By fully qualified name, sorted."""
        found: dict[str, TopicInfo] = {}
        for info in (info for file in self._files for info in file.topics()):
            before = found[info.name].count if info.name in found else 0
            found[info.name] = TopicInfo(**{**vars(info), "count": info.count + before})
        return dict(sorted(found.items()))

    @property
    def start_ns(self) -> int:
        return min((file.index.start_ns for file in self._files if file.index.chunks), default=0)

    @property
    def end_ns(self) -> int:
        return max((file.index.end_ns for file in self._files), default=0)

    @property
    def size_bytes(self) -> int:
        return sum(file.path.stat().st_size for file in self._files)

    def messages(
        self, topics: Collection[str] | None = None, start_ns: int = 0, end_ns: int = 2**63 - 1
    ) -> Iterator[BagMessage]:
        """Messages of `topics` (all, if None) with start_ns <= log_ns <= end_ns, in order of log_ns."""
        for name in topics or ():
            if name not in self.topics:
                raise UnknownName("topic", name, self.topics, str(self.path))
        for file in self._files:
            yield from file.messages(topics, start_ns, end_ns)

    def decoder(self, topic: str) -> Decoder:
        """Made once for each type, from the definition in the bag."""
        if topic not in self.topics:
            raise UnknownName("topic", topic, self.topics, str(self.path))
        info = self.topics[topic]
        if info.type not in self._decoders:
            self._decoders[info.type] = Decoder(info.type, info.definition)
        return self._decoders[info.type]

    def decode(self, message: BagMessage) -> Any:
        return self.decoder(message.topic)(message.data)

    def _find_files(self) -> list[Path]:
        if self.path.is_file():
            return [self.path]
        if not self.path.is_dir():
            raise BagError(f"{self.path} does not exist.", "Give the folder of a bag.")
        if (self.path / FILE_NAME).exists():
            metadata = read_metadata(self.path)
            self.custom_data = dict(metadata.get("custom_data") or {})
            return [self.path / Path(name).name for name in metadata["relative_file_paths"]]
        self.complete = False
        files = sorted(self.path.glob("*.mcap"))
        if not files:
            cause = f"{self.path} is not a bag: it has no {FILE_NAME} and no .mcap file."
            raise BagError(cause, "Give the folder of a bag.")
        return files


class _File:
    """One .mcap file and its index."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as stream:
                index = _read_index(stream)
            self.complete = index is not None
            self.index = index or salvage.scan(path)
        except OSError as error:
            raise BagError(f"Cannot read {path}: {error.strerror}.", "Check that the bag is whole.") from None
        if self.index.counts.total() and not self.index.chunks:
            raise BagError(f"{path} has messages outside chunks.", "Convert it with `ros2 bag convert`.")

    def topics(self) -> Iterator[TopicInfo]:
        for key, channel in self.index.channels.items():
            schema = self.index.schemas[channel.schema_id]
            yield TopicInfo(
                name=channel.topic,
                type=schema.name,
                hash=channel.metadata.get("topic_type_hash", ""),
                qos_yaml=channel.metadata.get("offered_qos_profiles", ""),
                definition=schema.data.decode(),
                count=self.index.counts[key],
            )

    def messages(self, topics: Collection[str] | None, start_ns: int, end_ns: int) -> Iterator[BagMessage]:
        wanted = {
            key: channel for key, channel in self.index.channels.items() if topics is None or channel.topic in topics
        }
        chunks = [chunk for chunk in self.index.chunks if _may_hold(chunk, wanted, start_ns, end_ns)]
        waiting: list[tuple[int, int, int, BagMessage]] = []  # a heap: log time, then place in the file
        with self.path.open("rb") as stream:
            for chunk in sorted(chunks, key=lambda chunk: chunk.message_start_time):
                while waiting and waiting[0][0] < chunk.message_start_time:
                    yield heapq.heappop(waiting)[-1]
                for place, record in enumerate(_read_chunk(self.path, stream, chunk)):
                    if not isinstance(record, Message) or record.channel_id not in wanted:
                        continue
                    if start_ns <= record.log_time <= end_ns:
                        message = _message(record, wanted[record.channel_id])
                        heapq.heappush(waiting, (message.log_ns, chunk.chunk_start_offset, place, message))
        while waiting:
            yield heapq.heappop(waiting)[-1]


def _read_index(stream: BinaryIO) -> salvage.Scan | None:
    """From the summary; None where the file ends without a good one."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(size - len(MCAP0_MAGIC), 0))
    if size < 2 * len(MCAP0_MAGIC) or stream.read() != MCAP0_MAGIC:
        return None
    stream.seek(0)
    try:
        summary = SeekingReader(stream).get_summary()
    except Exception:  # a damaged summary may fail in any way of the decoder; the records before it are good
        return None
    if summary is None or summary.statistics is None:
        return None
    found = salvage.Scan(schemas=summary.schemas, channels=summary.channels, chunks=summary.chunk_indexes)
    found.counts.update(summary.statistics.channel_message_counts)
    found.start_ns = summary.statistics.message_start_time
    found.end_ns = summary.statistics.message_end_time
    return found


def _may_hold(chunk: ChunkIndex, wanted: dict[int, Channel], start_ns: int, end_ns: int) -> bool:
    if chunk.message_end_time < start_ns or chunk.message_start_time > end_ns:
        return False
    return not chunk.message_index_offsets or any(key in wanted for key in chunk.message_index_offsets)


def _read_chunk(path: Path, stream: BinaryIO, chunk: ChunkIndex) -> list[Any]:
    stream.seek(chunk.chunk_start_offset + _CHUNK_HEAD)
    records: list[Any]
    try:
        records = breakup_chunk(Chunk.read(ReadDataStream(stream)), validate_crc=True)
    except Exception as error:  # each decompressor has errors of its own
        cause = f"{path} is damaged at byte {chunk.chunk_start_offset}: {error}."
        raise BagError(cause, "Copy it again, or leave this bag out.") from error
    return records


def _message(record: Message, channel: Channel) -> BagMessage:
    return BagMessage(channel.topic, record.log_time, record.publish_time, record.sequence, record.data)
