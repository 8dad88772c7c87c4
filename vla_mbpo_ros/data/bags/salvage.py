"""Make an MCAP file whole that ended in the middle: after a full disk, a crash, a power cut.

    magic, header, chunk, indexes, chunk, indexes, … │ half a record     <- cut here
                                                     │ data end, summary, footer, magic

A file without a summary cannot be opened by ordinary readers, though all its chunks are good. `scan` walks
the records from the start and keeps what a summary needs; `append_summary` cuts what is broken and writes the
rest.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

from mcap.data_stream import ReadDataStream, RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    Chunk,
    ChunkIndex,
    DataEnd,
    Footer,
    Message,
    MessageIndex,
    Metadata,
    MetadataIndex,
    Schema,
    Statistics,
)
from mcap.stream_reader import get_chunk_data_stream
from mcap.writer import MCAP0_MAGIC

from vla_mbpo_ros.errors import BagError

_HEAD = 9  # opcode and length before the content of every record [bytes]
_FOOTER_HEAD = 25  # what the checksum of the summary covers of the footer [bytes]


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

    def topic_counts(self) -> dict[str, int]:
        return {channel.topic: self.counts[key] for key, channel in self.channels.items()}


def scan(path: Path) -> Scan:
    """Everything that can be read of the data section of `path`."""
    found = Scan()
    with path.open("rb") as stream:
        if stream.read(len(MCAP0_MAGIC)) != MCAP0_MAGIC:
            raise BagError(f"{path} is not an MCAP file.", "Only .mcap files can be read.")
        found.end = stream.tell()
        while _take_record(stream, found):
            found.end = stream.tell()
    _check_last_index(found)
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


def _take_record(stream: BinaryIO, found: Scan) -> bool:
    """Note the next record; False where the data section or what is good of it ends."""
    offset, head = stream.tell(), stream.read(_HEAD)
    if len(head) < _HEAD:
        return False
    opcode, length = head[0], int.from_bytes(head[1:], "little")
    if opcode in (Opcode.DATA_END, Opcode.FOOTER):
        return False
    body = stream.read(length)
    if len(body) < length:
        return False
    try:
        _note(opcode, body, offset, found)
    except Exception:  # each decompressor has errors of its own; nothing behind a damaged record is trusted
        return False
    return True


def _note(opcode: int, body: bytes, offset: int, found: Scan) -> None:
    content = ReadDataStream(BytesIO(body))
    if opcode == Opcode.SCHEMA:
        schema = Schema.read(content)
        found.schemas[schema.id] = schema
    elif opcode == Opcode.CHANNEL:
        channel = Channel.read(content)
        found.channels[channel.id] = channel
    elif opcode == Opcode.CHUNK:
        _note_chunk(Chunk.read(content), offset, _HEAD + len(body), found)
    elif opcode == Opcode.MESSAGE_INDEX and found.chunks:
        index, chunk = MessageIndex.read(content), found.chunks[-1]
        chunk.message_index_offsets[index.channel_id] = offset
        chunk.message_index_length += _HEAD + len(body)
    elif opcode == Opcode.METADATA:
        name = Metadata.read(content).name
        found.metadata.append(MetadataIndex(offset=offset, length=_HEAD + len(body), name=name))


def _note_chunk(chunk: Chunk, offset: int, length: int, found: Scan) -> None:
    found.last_chunk.clear()
    content, size = get_chunk_data_stream(chunk, validate_crc=True)
    while content.count < size:
        place, opcode, record_length = content.count, content.read1(), content.read8()
        if opcode == Opcode.SCHEMA:
            schema = Schema.read(content)
            found.schemas[schema.id] = schema
        elif opcode == Opcode.CHANNEL:
            channel = Channel.read(content)
            found.channels[channel.id] = channel
        elif opcode == Opcode.MESSAGE:
            _note_message(Message.read(content, record_length), place, found)
        else:
            content.read(record_length)
    first = not found.chunks
    found.start_ns = chunk.message_start_time if first else min(found.start_ns, chunk.message_start_time)
    found.end_ns = max(found.end_ns, chunk.message_end_time)
    found.chunks.append(
        ChunkIndex(
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
    )


def _note_message(message: Message, place: int, found: Scan) -> None:
    key = message.channel_id
    found.counts[key] += 1
    found.last_chunk.setdefault(key, MessageIndex(key, [])).records.append((message.log_time, place))


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
    """Summary and footer, to be written at offset `start`."""
    builder = RecordBuilder()
    for record in (*found.schemas.values(), *found.channels.values(), _statistics(found)):
        record.write(builder)
    for index in (*found.chunks, *found.metadata):
        index.write(builder)
    summary = _taken(builder)
    Footer(summary_start=start, summary_offset_start=0, summary_crc=0).write(builder)
    head = _taken(builder)[:_FOOTER_HEAD]
    checksum = crc32(head, crc32(summary))
    return summary + head + checksum.to_bytes(4, "little")


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
