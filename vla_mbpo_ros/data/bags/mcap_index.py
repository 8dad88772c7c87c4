"""Where the messages of one .mcap file lie: from its summary, or by walking its records where there is none.

    magic, header │ chunk, indexes │ chunk, indexes │ message, message, … │ data end, summary, footer, magic
                    └ a block ┘      └ a block ┘      └ a block, bare ─┘

Messages outside chunks are gathered into blocks as well, so that one way of reading serves all.
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

import yaml
from mcap.data_stream import ReadDataStream
from mcap.reader import SeekingReader
from mcap.records import ChunkIndex, Header
from mcap.records import Metadata as MetadataRecord
from mcap.writer import MCAP0_MAGIC

from vla_mbpo_ros.data.bags import salvage
from vla_mbpo_ros.data.bags.bag import TopicInfo
from vla_mbpo_ros.data.bags.yaml_text import from_yaml
from vla_mbpo_ros.errors import BagError

RECORD_HEAD = struct.Struct("<BQ")  # opcode, length
MESSAGE_HEAD = struct.Struct("<BQHIQQ")  # opcode, length, channel, sequence, log time, publish time
MESSAGE = 0x05  # opcode
_FOOTER = struct.Struct("<BQQQI")  # opcode, length, start of the summary, of its offsets, checksum
_FOOTER_OPCODE = 0x02
_CHUNK_FIXED = 49  # what a chunk has before its content, without the name of its compression [bytes]
_BARE_BYTES = 1 << 20  # about the size of a block of messages outside chunks
OUR_FACTS, ROSBAG2 = "vla_mbpo_ros", "rosbag2"  # names of the Metadata records that say something of the episode
Range = tuple[int, int]


@dataclass(frozen=True)
class Block:
    """Messages that lie together."""

    start: int  # of its first record in the file [bytes]
    size: int  # in the file [bytes]
    content: int  # where its messages begin [bytes]
    compression: str  # of the content; empty: none
    unpacked: int  # size of the content [bytes]
    start_ns: int
    end_ns: int
    bare: int = 0  # how many messages, if they lie outside chunks
    index: int = 0  # where its message indexes begin [bytes]
    index_size: int = 0  # [bytes]; 0: it has none
    channels: frozenset[int] | None = None  # those that have messages in it; None: not known


@dataclass(frozen=True)
class FileIndex:
    """One file."""

    complete: bool  # False: it ends in the middle
    topics: dict[int, TopicInfo]  # by channel
    blocks: tuple[Block, ...]  # in the order of the file
    count: int  # of all messages
    start_ns: int = 0
    end_ns: int = 0
    custom_data: dict[str, str] = field(default_factory=dict)


def read_index(path: Path) -> FileIndex:
    """As far as the file is good; BagError where nothing of it is."""
    try:
        with path.open("rb") as stream:
            body = _check_head(path, stream)
            footer = _read_footer(stream)
            found = _from_summary(stream, footer) if footer and footer.summary else None
            good = found is not None or (footer is not None and not footer.summary)
            found = found or salvage.scan(path)
            bare = _bare_blocks(stream, body, found)
            said = found.custom_data or _custom_data(stream, found)
            return _assemble(found, bare, complete=good, custom_data=said)
    except OSError as error:
        raise BagError(f"Cannot read {path}: {error.strerror}.", "Check that the bag is whole.") from None


def _check_head(path: Path, stream: BinaryIO) -> int:
    """Where the records behind the header begin."""
    magic = stream.read(len(MCAP0_MAGIC))
    if not magic:
        raise BagError(f"{path} is empty.", "Nothing was written to it; leave it out.")
    if magic != MCAP0_MAGIC:
        raise BagError(f"{path} is not an MCAP file.", "Give a bag of ROS 2, with .mcap or .db3 files.")
    try:
        records = ReadDataStream(stream)
        length = RECORD_HEAD.unpack(records.read(RECORD_HEAD.size))[1]
        profile = Header.read(records).profile
    except Exception:  # cut off within the header: the scan says that nothing is in it
        return stream.tell()
    if profile == "ros1":
        cure = "Convert the ROS 1 bag that it came from: `rosbags-convert --src OLD.bag --dst NEW --dst-storage mcap`."
        raise BagError(f"{path} holds messages of ROS 1, which are encoded differently.", cure)
    return len(MCAP0_MAGIC) + RECORD_HEAD.size + int(length)


# -- summary -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Footer:
    place: int  # in the file [bytes]
    summary: int  # where it begins; 0: there is none
    crc: int  # 0: not given


def _read_footer(stream: BinaryIO) -> _Footer | None:
    """None where the file ends in the middle."""
    size = stream.seek(0, os.SEEK_END)
    place = size - _FOOTER.size - len(MCAP0_MAGIC)
    if place < len(MCAP0_MAGIC):
        return None
    stream.seek(place)
    data = stream.read()
    opcode, length, summary, _, crc = _FOOTER.unpack_from(data)
    good = data.endswith(MCAP0_MAGIC) and (opcode, length) == (_FOOTER_OPCODE, _FOOTER.size - RECORD_HEAD.size)
    return _Footer(place, summary, crc) if good and summary <= place else None


def _from_summary(stream: BinaryIO, footer: _Footer) -> salvage.Scan | None:
    """None where it is damaged or does not say everything; the records before it are read then."""
    stream.seek(footer.summary)
    head = stream.read(footer.place - footer.summary + _FOOTER.size - 4)
    if footer.crc and crc32(head) != footer.crc:
        return None
    stream.seek(0)
    try:
        summary = SeekingReader(stream).get_summary()
    except Exception:  # a damaged summary may fail in any way of the decoder
        return None
    if summary is None or summary.statistics is None:
        return None
    statistics = summary.statistics
    found = salvage.Scan(schemas=summary.schemas, channels=summary.channels, chunks=summary.chunk_indexes)
    found.counts.update(statistics.channel_message_counts)
    found.start_ns, found.end_ns = statistics.message_start_time, statistics.message_end_time
    found.metadata, found.end = list(summary.metadata_indexes), footer.summary
    known = found.counts.keys() <= found.channels.keys() and len(found.chunks) == statistics.chunk_count
    described = all(not channel.schema_id or channel.schema_id in found.schemas for channel in found.channels.values())
    return found if known and described else None


def _custom_data(stream: BinaryIO, found: salvage.Scan) -> dict[str, str]:
    """What Metadata records say of the episode: ours, else what rosbag2 keeps a copy of."""
    said: dict[str, dict[str, str]] = {}
    for index in found.metadata:
        if index.name in (OUR_FACTS, ROSBAG2):
            try:
                stream.seek(index.offset + RECORD_HEAD.size)
                said.setdefault(index.name, {}).update(MetadataRecord.read(ReadDataStream(stream)).metadata)
            except Exception:  # a damaged record: said by nobody
                continue
    return said.get(OUR_FACTS) or _from_rosbag2(said.get(ROSBAG2, {}))


def _from_rosbag2(values: dict[str, str]) -> dict[str, str]:
    try:
        said = from_yaml(values.get("serialized_metadata", "")) or {}
        return {str(name): str(value) for name, value in (said.get("custom_data") or {}).items()}
    except (yaml.YAMLError, AttributeError):
        return {}


# -- messages outside chunks -----------------------------------------------------------------------------------------


def _bare_blocks(stream: BinaryIO, body: int, found: salvage.Scan) -> list[Block]:
    """Only what no chunk covers is walked: in most files a few records, in a file without chunks everything."""
    counts: Counter[int] = Counter()
    blocks = [block for span in _gaps(body, found) for block in _walk(stream, span, counts)]
    for key, count in counts.items():
        found.counts[key] = max(found.counts[key], count)
    return blocks


def _gaps(start: int, found: salvage.Scan) -> Iterator[Range]:
    for chunk in sorted(found.chunks, key=lambda chunk: chunk.chunk_start_offset):
        if chunk.chunk_start_offset > start:
            yield start, chunk.chunk_start_offset
        start = chunk.chunk_start_offset + chunk.chunk_length + chunk.message_index_length
    if found.end > start:
        yield start, found.end


def _walk(stream: BinaryIO, span: Range, counts: Counter[int]) -> Iterator[Block]:
    """Blocks of the messages that follow each other within `span`."""
    place, end = span
    block: Block | None = None
    while place + RECORD_HEAD.size <= end:
        stream.seek(place)
        head = stream.read(MESSAGE_HEAD.size)
        opcode, length = RECORD_HEAD.unpack_from(head)
        size = RECORD_HEAD.size + length
        if place + size > end:
            break
        if opcode == MESSAGE and len(head) == MESSAGE_HEAD.size:
            _, _, channel, _, log_ns, _ = MESSAGE_HEAD.unpack(head)
            counts[channel] += 1
            block = _longer(block or _bare(place, log_ns), size, log_ns)
        if block and (opcode != MESSAGE or block.size >= _BARE_BYTES):
            yield block
            block = None
        place += size
    if block:
        yield block


def _bare(place: int, log_ns: int) -> Block:
    return Block(place, 0, place, "", 0, log_ns, log_ns)


def _longer(block: Block, size: int, log_ns: int) -> Block:
    whole = block.size + size
    first, last = min(block.start_ns, log_ns), max(block.end_ns, log_ns)
    return replace(block, size=whole, unpacked=whole, start_ns=first, end_ns=last, bare=block.bare + 1)


# -- together --------------------------------------------------------------------------------------------------------


def _assemble(found: salvage.Scan, bare: list[Block], *, complete: bool, custom_data: dict[str, str]) -> FileIndex:
    blocks = sorted([*map(_block, found.chunks), *bare], key=lambda block: block.start)
    spans = [(found.start_ns, found.end_ns)] if found.chunks or found.end_ns else []
    spans += [(block.start_ns, block.end_ns) for block in bare]
    return FileIndex(
        complete=complete,
        topics={key: _topic(key, found) for key in found.channels},
        blocks=tuple(blocks),
        count=found.counts.total(),
        start_ns=min((start for start, _ in spans), default=0),
        end_ns=max((end for _, end in spans), default=0),
        custom_data=dict(custom_data),
    )


def _block(chunk: ChunkIndex) -> Block:
    return Block(
        start=chunk.chunk_start_offset,
        size=chunk.chunk_length,
        content=chunk.chunk_start_offset + _CHUNK_FIXED + len(chunk.compression.encode()),
        compression=chunk.compression,
        unpacked=chunk.uncompressed_size,
        start_ns=chunk.message_start_time,
        end_ns=chunk.message_end_time,
        index=chunk.chunk_start_offset + chunk.chunk_length,
        index_size=chunk.message_index_length,
        channels=frozenset(chunk.message_index_offsets) if chunk.message_index_length else None,
    )


def _topic(key: int, found: salvage.Scan) -> TopicInfo:
    channel = found.channels[key]
    schema = found.schemas.get(channel.schema_id)
    return TopicInfo(
        name=channel.topic,
        type=schema.name if schema else "",
        hash=channel.metadata.get("topic_type_hash", ""),
        qos_yaml=channel.metadata.get("offered_qos_profiles", ""),
        definition=schema.data.decode(errors="replace") if schema else "",
        count=found.counts[key],
        encoding=channel.message_encoding,
        language=schema.encoding if schema else "",
    )
