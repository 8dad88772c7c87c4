"""Make an MCAP file whole that ended in the middle: after a full disk, a crash, a power cut.

    magic, header, chunk, indexes, chunk, indexes, … │ half a record     <- cut here
                                                     │ data end, summary, footer, magic

A file without a summary cannot be opened by ordinary readers, though all its chunks are good. `scan` walks
the records from the start and keeps what a summary needs; `append_summary` cuts what is broken and writes the
rest.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

from mcap.data_stream import ReadDataStream, RecordBuilder
from mcap.opcode import Opcode
from mcap.reader import SeekingReader
from mcap.records import (
    Channel,
    Chunk,
    ChunkIndex,
    DataEnd,
    Header,
    Message,
    MessageIndex,
    Metadata,
    MetadataIndex,
    Schema,
    Statistics,
)
from mcap.stream_reader import get_chunk_data_stream
from mcap.summary import Summary
from mcap.writer import MCAP0_MAGIC

from vla_mbpo_ros.data.bags.mcap_file import FACTS, ROSBAG2, summary_section
from vla_mbpo_ros.data.bags.yaml_text import from_yaml
from vla_mbpo_ros.errors import BagError

_HEAD = 9  # opcode and length before the content of every record [bytes]
_FOOTER_BYTES = _HEAD + 20
_NO_DATA = (0, Opcode.FOOTER, Opcode.DATA_END)  # no record of the data section begins so; 0: a gap in the disk


@dataclass
class Scan:
    """What is good in a file."""

    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    chunks: list[ChunkIndex] = field(default_factory=list)
    metadata: list[MetadataIndex] = field(default_factory=list)
    counts: Counter[int] = field(default_factory=Counter)  # channel id -> messages
    start_ns: int = 0
    end_ns: int = 0
    end: int = 0  # where the good records end [bytes]
    last_chunk: dict[int, MessageIndex] = field(default_factory=dict)  # channel id -> what must be indexed
    index_missing: bool = False  # of the last chunk
    custom_data: dict[str, str] = field(default_factory=dict)  # what is said of the episode, by the last record
    loose: int = 0  # messages outside chunks, which no index can hold

    def topic_counts(self) -> dict[str, int]:
        return {channel.topic: self.counts[key] for key, channel in self.channels.items()}


def scan(path: Path) -> Scan:
    """Everything that can be read of the data section of `path`."""
    found, size = Scan(), path.stat().st_size
    with path.open("rb") as stream:
        if stream.read(len(MCAP0_MAGIC)) != MCAP0_MAGIC:
            raise BagError(f"{path} is not an MCAP file.", "Only .mcap files can be read.")
        found.end = stream.tell()
        while _take_record(stream, size, found):
            found.end = stream.tell()
    _check_last_index(found)
    return found


def read_index(path: Path) -> Scan | None:
    """The same from the summary, without reading the messages; None where the file ends without a good one."""
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(size - len(MCAP0_MAGIC), 0))
        if size < 2 * len(MCAP0_MAGIC) or stream.read() != MCAP0_MAGIC:
            return None
        try:
            _check_summary(stream, size)
            stream.seek(0)
            reader = SeekingReader(stream)
            found = _from_summary(reader.get_summary())
            if found is not None:
                for record in reader.iter_metadata():
                    _note_facts(record, found)
        except Exception:  # a damaged summary may fail in any way of the decoder; the records before it are good
            return None
    return found


def append_summary(path: Path, found: Scan, library_metadata: dict[str, str] | None = None) -> None:
    """Cut `path` after its good records and write all that a reader looks for at the end."""
    with path.open("r+b") as stream:
        stream.truncate(found.end)
        stream.seek(found.end)
        builder = RecordBuilder()
        if found.index_missing:
            _write_last_index(builder, found)
        if library_metadata is not None:
            _write_metadata(builder, found, library_metadata)
        DataEnd(data_section_crc=0).write(builder)
        stream.write(_taken(builder))
        stream.write(_summary(found, stream.tell()))
        stream.write(MCAP0_MAGIC)
        stream.flush()
        os.fsync(stream.fileno())


def _check_summary(stream: BinaryIO, size: int) -> None:
    """By its checksum, where the writer has made one."""
    stream.seek(size - len(MCAP0_MAGIC) - _FOOTER_BYTES)
    footer = stream.read(_FOOTER_BYTES)
    start, checksum = int.from_bytes(footer[_HEAD : _HEAD + 8], "little"), int.from_bytes(footer[-4:], "little")
    if checksum and start:
        stream.seek(start)
        if crc32(stream.read(size - len(MCAP0_MAGIC) - 4 - start)) != checksum:
            raise ValueError("the summary is damaged")


def _from_summary(summary: Summary | None) -> Scan | None:
    if summary is None or summary.statistics is None:
        return None
    found = Scan(schemas=summary.schemas, channels=summary.channels, chunks=summary.chunk_indexes)
    found.counts.update(summary.statistics.channel_message_counts)
    found.start_ns = summary.statistics.message_start_time
    found.end_ns = summary.statistics.message_end_time
    return found


def _take_record(stream: BinaryIO, size: int, found: Scan) -> bool:
    """Note the next record; False where the data section or what is good of it ends."""
    offset, head = stream.tell(), stream.read(_HEAD)
    if len(head) < _HEAD:
        return False
    opcode, length = head[0], int.from_bytes(head[1:], "little")
    if opcode in _NO_DATA or length > size - stream.tell():
        return False
    body = stream.read(length)
    try:
        _note(opcode, body, offset, found)
    except Exception:  # each decompressor has errors of its own; nothing behind a damaged record is trusted
        return False
    return True


def _note(opcode: int, body: bytes, offset: int, found: Scan) -> None:
    content = ReadDataStream(BytesIO(body))
    if opcode == Opcode.HEADER:
        Header.read(content)
    elif opcode == Opcode.SCHEMA:
        schema = Schema.read(content)
        found.schemas[schema.id] = schema
    elif opcode == Opcode.CHANNEL:
        _note_channel(Channel.read(content), found.schemas, found.channels)
    elif opcode == Opcode.MESSAGE:
        found.counts[Message.read(content, len(body)).channel_id] += 1
        found.loose += 1
    elif opcode == Opcode.CHUNK:
        _note_chunk(Chunk.read(content), offset, _HEAD + len(body), found)
    elif opcode == Opcode.MESSAGE_INDEX and found.chunks:
        index, chunk = MessageIndex.read(content), found.chunks[-1]
        if sorted(index.records) != sorted(found.last_chunk[index.channel_id].records):
            raise ValueError("the index does not fit its chunk")
        chunk.message_index_offsets[index.channel_id] = offset
        chunk.message_index_length += _HEAD + len(body)
    elif opcode == Opcode.METADATA:
        record = Metadata.read(content)
        found.metadata.append(MetadataIndex(offset=offset, length=_HEAD + len(body), name=record.name))
        _note_facts(record, found)


def _note_channel(channel: Channel, schemas: dict[int, Schema], channels: dict[int, Channel]) -> None:
    _ = schemas[channel.schema_id]  # one without a schema cannot be read
    channels[channel.id] = channel


def _note_facts(record: Metadata, found: Scan) -> None:
    """Ours, or what rosbag2 keeps in a file that was closed; the last one is the newest."""
    if record.name == FACTS:
        found.custom_data = {name: value for name, value in record.metadata.items() if name}
    elif record.name == ROSBAG2:
        inside = from_yaml(record.metadata.get("serialized_metadata", "")) or {}
        said = inside.get("custom_data") or {}
        found.custom_data = {str(name): str(value) for name, value in said.items()} or found.custom_data


def _note_chunk(chunk: Chunk, offset: int, length: int, found: Scan) -> None:
    """All of it or nothing: a chunk that fails in the middle leaves no trace."""
    content, size = get_chunk_data_stream(chunk, validate_crc=True)
    schemas, channels = dict(found.schemas), dict(found.channels)
    indexes: dict[int, MessageIndex] = {}
    while content.count < size:
        place, opcode, record_length = content.count, content.read1(), content.read8()
        if opcode == Opcode.SCHEMA:
            schema = Schema.read(content)
            schemas[schema.id] = schema
        elif opcode == Opcode.CHANNEL:
            _note_channel(Channel.read(content), schemas, channels)
        elif opcode == Opcode.MESSAGE:
            message = Message.read(content, record_length)
            key = channels[message.channel_id].id  # a message without a topic cannot be read
            indexes.setdefault(key, MessageIndex(key, [])).records.append((message.log_time, place))
        else:
            content.read(record_length)
    found.schemas, found.channels, found.last_chunk = schemas, channels, indexes
    found.counts.update({key: len(index.records) for key, index in indexes.items()})
    first = not found.chunks
    found.start_ns = chunk.message_start_time if first else min(found.start_ns, chunk.message_start_time)
    found.end_ns = max(found.end_ns, chunk.message_end_time)
    found.chunks.append(_index_of(chunk, offset, length))


def _index_of(chunk: Chunk, offset: int, length: int) -> ChunkIndex:
    return ChunkIndex(
        chunk_length=length,
        chunk_start_offset=offset,
        compression=chunk.compression,
        compressed_size=len(chunk.data),
        message_end_time=chunk.message_end_time,
        message_index_length=0,
        message_index_offsets={},
        message_start_time=chunk.message_start_time,
        uncompressed_size=chunk.uncompressed_size,
    )


def _check_last_index(found: Scan) -> None:
    """A reader trusts the indexes behind a chunk: one that lacks a topic would hide its messages."""
    if found.chunks and found.chunks[-1].message_index_offsets.keys() != found.last_chunk.keys():
        chunk = found.chunks[-1]
        chunk.message_index_offsets, chunk.message_index_length = {}, 0
        found.end = chunk.chunk_start_offset + chunk.chunk_length
        found.index_missing = True


def _write_last_index(builder: RecordBuilder, found: Scan) -> None:
    chunk = found.chunks[-1]
    for key, index in found.last_chunk.items():
        chunk.message_index_offsets[key] = found.end + builder.count
        index.write(builder)
    chunk.message_index_length = builder.count


def _write_metadata(builder: RecordBuilder, found: Scan, values: dict[str, str]) -> None:
    record = Metadata(name="rosbag2", metadata=values)
    before = builder.count
    record.write(builder)
    found.metadata.append(MetadataIndex(found.end + before, builder.count - before, record.name))


def _summary(found: Scan, start: int) -> bytes:
    builder = RecordBuilder()
    for chunk in found.chunks:
        chunk.write(builder)
    chunks = [_taken(builder)]
    return summary_section(
        start, found.schemas.values(), found.channels.values(), _statistics(found), chunks, found.metadata
    )


def _taken(builder: RecordBuilder) -> bytes:
    """All records so far; the builder is empty afterwards."""
    return bytes(builder.end())


def _statistics(found: Scan) -> Statistics:
    return Statistics(
        attachment_count=0,
        channel_count=len(found.channels),
        channel_message_counts=dict(found.counts),
        chunk_count=len(found.chunks),
        message_count=found.counts.total(),
        message_start_time=found.start_ns,
        message_end_time=found.end_ns,
        metadata_count=len(found.metadata),
        schema_count=len(found.schemas),
    )
