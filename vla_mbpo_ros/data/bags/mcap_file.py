"""One .mcap file as it grows, written with as little work for each message as can be.

    magic, header, facts, schemas, channels │ chunk, indexes │ chunk, indexes │ …  │ data end, summary, footer, magic
                                              └ one system call each ┘

Messages of the open chunk stay where they are, as references, until the chunk is written: an image is read once
for the checksum and once by the operating system, and never copied here. Only compression joins them.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from zlib import crc32

from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    DataEnd,
    Footer,
    Header,
    McapRecord,
    Metadata,
    MetadataIndex,
    Schema,
    Statistics,
    SummaryOffset,
)
from mcap.writer import MCAP0_MAGIC

from vla_mbpo_ros.data.bags.definitions import load_definition
from vla_mbpo_ros.data.bags.metadata import BagTopic
from vla_mbpo_ros.data.bags.qos import qos_yaml
from vla_mbpo_ros.data.bags.sink import RecordSink
from vla_mbpo_ros.errors import UnknownName

COMPRESSIONS = ("none", "lz4", "zstd")
FACTS = "vla_mbpo_ros"  # name of the metadata records that say what the bag is about
ROSBAG2 = "rosbag2"  # of the one that rosbag2 reads
_PROFILE, _LIBRARY = "ros2", "vla_mbpo_ros"
_ENCODING, _SCHEMA_ENCODING = "cdr", "ros2msg"

_HEAD_BYTES = 9  # opcode and length before the content of every record
_MESSAGE = struct.Struct("<BQHIQQ")  # head, channel, sequence, log time, publish time
_CHUNK = struct.Struct("<BQQQQI")  # head, first and last time, size and checksum before compression
_INDEX = struct.Struct("<BQHI")  # head, channel, bytes of its entries
_CHUNK_INDEX = struct.Struct("<BQQQQQI")  # head, first and last time, place and length of the chunk, bytes of the map
_OFFSET = struct.Struct("<HQ")  # channel, place of its message index
_FOOTER_HEAD = 25  # what the checksum of the summary covers of the footer [bytes]


class NewMcapFile:
    """A new file at `path`. OSError when the disk does not take something; nothing of that is left then."""

    def __init__(self, path: Path, compression: str = "none", chunk_bytes: int = 1 << 20) -> None:
        self._compress = _compressor(compression)
        self._compression = compression.encode() if compression != "none" else b""
        self._chunk_bytes = chunk_bytes
        self.sink = RecordSink(path)
        self.counts: Counter[int] = Counter()  # channel id -> messages taken
        self.start_ns = self.end_ns = 0  # log times of all messages taken
        self._schemas: dict[str, Schema] = {}  # type -> schema
        self._channels: list[Channel] = []
        self._metadata: list[MetadataIndex] = []
        self._chunk_indexes: list[bytes] = []
        self._indexed_bytes = 0  # of all those
        self._chunk_start_ns = self._chunk_end_ns = 0
        self._clear_chunk()
        try:
            self.sink.write([MCAP0_MAGIC, _record(Header(_PROFILE, _LIBRARY))])
        except OSError:
            self.discard()
            raise

    @property
    def size(self) -> int:
        """With the open chunk [bytes]."""
        return self.sink.size + self._open_bytes

    @property
    def has_open_chunk(self) -> bool:
        return bool(self._pieces)

    @property
    def summary_bytes(self) -> int:
        """About what the index at the end will take."""
        return sum(len(schema.data) for schema in self._schemas.values()) + self._indexed_bytes + (64 << 10)

    def add_topic(self, topic: BagTopic) -> int:
        """The id of its channel. Written at once, so that a killed bag knows its topics."""
        schema, records = self._schemas.get(topic.type), []
        if schema is None:
            text = load_definition(topic.type).text.encode()
            schema = Schema(id=len(self._schemas) + 1, data=text, encoding=_SCHEMA_ENCODING, name=topic.type)
            records.append(_record(schema))
        channel = Channel(
            id=len(self._channels) + 1,
            topic=topic.name,
            message_encoding=_ENCODING,
            metadata={"offered_qos_profiles": qos_yaml(topic.qos), "topic_type_hash": topic.hash},
            schema_id=schema.id,
        )
        self.sink.write([*records, _record(channel)])
        self._schemas[topic.type] = schema
        self._channels.append(channel)
        return int(channel.id)

    def add_metadata(self, name: str, values: Mapping[str, str]) -> None:
        record, offset = _record(Metadata(name=name, metadata=dict(values))), self.sink.size
        self.sink.write([record])
        self._metadata.append(MetadataIndex(offset=offset, length=len(record), name=name))

    def add(self, channel: int, data: bytes, log_ns: int, publish_ns: int, sequence: int) -> None:
        """One message. `data` must not change any more."""
        head = _MESSAGE.pack(
            Opcode.MESSAGE, _MESSAGE.size - _HEAD_BYTES + len(data), channel, sequence, log_ns, publish_ns
        )
        if self._pieces:
            self._chunk_start_ns = min(self._chunk_start_ns, log_ns)
            self._chunk_end_ns = max(self._chunk_end_ns, log_ns)
        else:
            self._chunk_start_ns = self._chunk_end_ns = log_ns
        self._index.setdefault(channel, []).extend((log_ns, self._open_bytes))
        self._pieces += (head, data)
        self._open_bytes += len(head) + len(data)
        first = not self.counts
        self.counts[channel] += 1
        self.start_ns = log_ns if first else min(self.start_ns, log_ns)
        self.end_ns = log_ns if first else max(self.end_ns, log_ns)
        if self._open_bytes >= self._chunk_bytes:
            self.flush()

    def flush(self) -> None:
        """Hand the open chunk to the operating system."""
        if not self._pieces:
            return
        checksum = 0
        for piece in self._pieces:
            checksum = crc32(piece, checksum)
        content = self._compress(self._pieces)
        size = sum(map(len, content))
        head = self._chunk_head(size, checksum)
        indexes = [_message_index(channel, entries) for channel, entries in self._index.items()]
        offset = self.sink.size
        self.sink.write([head, *content, *indexes])
        self._note_chunk(offset, len(head) + size, size, indexes)
        self._clear_chunk()

    def finish(self, metadata: Mapping[str, str]) -> None:
        """Write all that a reader looks for at the end; `metadata` is what rosbag2 reads of the file itself."""
        self.flush()
        self.add_metadata(ROSBAG2, metadata)
        end = _record(DataEnd(data_section_crc=0))
        summary = summary_section(
            self.sink.size + len(end),
            self._schemas.values(),
            self._channels,
            self._statistics(),
            self._chunk_indexes,
            self._metadata,
        )
        self.sink.write([end, summary, MCAP0_MAGIC])

    def discard(self) -> None:
        """Close it and throw it away."""
        self.sink.close()
        self.sink.path.unlink(missing_ok=True)

    def _chunk_head(self, size: int, checksum: int) -> bytes:
        name = self._compression
        length = _CHUNK.size - _HEAD_BYTES + 4 + len(name) + 8 + size
        head = _CHUNK.pack(Opcode.CHUNK, length, self._chunk_start_ns, self._chunk_end_ns, self._open_bytes, checksum)
        return head + struct.pack("<I", len(name)) + name + struct.pack("<Q", size)

    def _note_chunk(self, offset: int, length: int, size: int, indexes: list[bytes]) -> None:
        """Keep what the summary says of a chunk as it is written there: an hour has 200 000 of them."""
        places, place = b"", offset + length
        for channel, index in zip(self._index, indexes, strict=True):
            places += _OFFSET.pack(channel, place)
            place += len(index)
        name = self._compression
        tail = struct.pack(f"<QI{len(name)}sQQ", place - offset - length, len(name), name, size, self._open_bytes)
        head = _CHUNK_INDEX.pack(
            Opcode.CHUNK_INDEX,
            _CHUNK_INDEX.size - _HEAD_BYTES + len(places) + len(tail),
            self._chunk_start_ns,
            self._chunk_end_ns,
            offset,
            length,
            len(places),
        )
        self._chunk_indexes.append(head + places + tail)
        self._indexed_bytes += len(self._chunk_indexes[-1])

    def _clear_chunk(self) -> None:
        self._pieces: list[bytes] = []  # head, data, head, data, …
        self._open_bytes = 0
        self._index: dict[int, list[int]] = {}  # channel id -> log time, place in the chunk, log time, …

    def _statistics(self) -> Statistics:
        return Statistics(
            attachment_count=0,
            channel_count=len(self._channels),
            channel_message_counts=dict(self.counts),
            chunk_count=len(self._chunk_indexes),
            message_count=sum(self.counts.values()),
            message_start_time=self.start_ns,
            message_end_time=self.end_ns,
            metadata_count=len(self._metadata),
            schema_count=len(self._schemas),
        )


def summary_section(
    start: int,
    schemas: Iterable[Schema],
    channels: Iterable[Channel],
    statistics: Statistics,
    chunk_indexes: Iterable[bytes],
    metadata: Iterable[MetadataIndex],
) -> bytes:
    """Summary and footer, to be written at offset `start`."""
    groups = {
        Opcode.SCHEMA: b"".join(map(_record, schemas)),
        Opcode.CHANNEL: b"".join(map(_record, channels)),
        Opcode.STATISTICS: _record(statistics),
        Opcode.CHUNK_INDEX: b"".join(chunk_indexes),
        Opcode.METADATA_INDEX: b"".join(map(_record, metadata)),
    }
    place, offsets = start, b""
    for opcode, content in groups.items():
        if content:
            offsets += _record(SummaryOffset(group_opcode=opcode, group_start=place, group_length=len(content)))
            place += len(content)
    summary = b"".join(groups.values()) + offsets
    footer = _record(Footer(summary_start=start, summary_offset_start=place, summary_crc=0))[:_FOOTER_HEAD]
    return summary + footer + crc32(footer, crc32(summary)).to_bytes(4, "little")


def _record(record: McapRecord) -> bytes:
    builder = RecordBuilder()
    record.write(builder)
    return bytes(builder.end())


def _message_index(channel: int, entries: list[int]) -> bytes:
    size = 8 * len(entries)
    head = _INDEX.pack(Opcode.MESSAGE_INDEX, _INDEX.size - _HEAD_BYTES + size, channel, size)
    return head + struct.pack(f"<{len(entries)}Q", *entries)


def _compressor(name: str) -> Callable[[list[bytes]], list[bytes]]:
    if name not in COMPRESSIONS:
        raise UnknownName("compression", name, COMPRESSIONS)
    if name == "lz4":
        import lz4.frame

        return lambda pieces: [lz4.frame.compress(b"".join(pieces))]
    if name == "zstd":
        import zstandard

        fast = zstandard.ZstdCompressor(level=1)
        return lambda pieces: [fast.compress(b"".join(pieces))]
    return lambda pieces: pieces
