"""Messages out of the blocks of an .mcap file: all of a block at once, or single ones.

Files are read with `pread` and opened for the time of one call only: nothing is shared with a forked process,
nothing runs out when a thousand bags are in use, and a file that is cut short meanwhile is an error and not a
signal, which it would be with a memory map.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from vla_mbpo_ros.data.bags.bag import BagMessage
from vla_mbpo_ros.data.bags.mcap_index import MESSAGE, MESSAGE_HEAD, RECORD_HEAD, Block, FileIndex, read_index
from vla_mbpo_ros.errors import BagError

STAMP_BYTES = 12  # of a message, for the time in front of it
_CHUNK_HEAD = struct.Struct("<BQQQQI")  # opcode, length, first and last time, size and checksum of the content
_CHUNK = 0x06  # opcode
_INDEX_HEAD = struct.Struct("<BQHI")  # opcode, length, channel, bytes of entries
_INDEX_ENTRY = struct.Struct("<QQ")  # log time, place in the content
# Data below this is copied out of its chunk, so that keeping a joint state does not keep a chunk in memory.
_OWN_BYTES = 16 << 10
# To look at one message alone takes about as long as to read this much in one go.
_LOOK_BYTES = 4 << 10
_ILL_FORMED = (struct.error, KeyError, ValueError, IndexError, OverflowError)
Row = tuple[int, int, int, int, BagMessage]  # log time, file, block, place, message: sorts by the first four
Read = Callable[[int, int], "bytes | memoryview"]  # place in the content, size


class Head(NamedTuple):
    """What is known of a message without its data. Sorts as `Row` does."""

    log_ns: int
    file: int
    block: int  # number in the file
    place: int  # of the record, in the content of the block
    size: int  # of the record [bytes]
    publish_ns: int
    stamp: bytes  # the first bytes of its data


class McapFile:
    """One file of a bag. `number` is its place among them."""

    def __init__(self, path: Path, number: int = 0, verify: bool = True) -> None:
        self.path, self.number, self.verify = path, number, verify
        self.index: FileIndex = read_index(path)
        self._unpacked: tuple[int, bytes] = (-1, b"")  # the compressed block that was last looked into

    def rows(self, number: int, channels: Collection[int], start_ns: int, end_ns: int) -> list[Row]:
        """Every wanted message of block `number`, in the order of the file."""
        content = self._content(number)
        with self._well_formed(number):
            return list(self._rows(number, content, channels, start_ns, end_ns))

    def heads(self, number: int, channels: Collection[int]) -> list[Head]:
        """Of the wanted messages of block `number`. Where its content is not read, its checksum is not looked at."""
        block = self.index.blocks[number]
        with self._well_formed(number):
            places = self._places(block, channels) if block.index_size else None
            looks = block.bare if places is None else len(places)
            whole = (places is None and not block.bare) or looks * _LOOK_BYTES > block.size
            with self._source(number, whole) as read:
                found = [self._head(read, number, place) for place in places or _walk(read, block.unpacked)]
        return [head for channel, head in found if channel in channels]

    def message(self, number: int, place: int, size: int) -> BagMessage:
        """One message, by its head; nothing else is read of a block that is not compressed."""
        with self._well_formed(number), self._source(number) as read:
            record = memoryview(read(place, size))
            if len(record) != size or RECORD_HEAD.unpack_from(record) != (MESSAGE, size - RECORD_HEAD.size):
                raise ValueError("the message that was there has gone")
            _, _, channel, sequence, log_ns, publish_ns = MESSAGE_HEAD.unpack_from(record)
            data = record[MESSAGE_HEAD.size :]
            return BagMessage(self.index.topics[channel].name, log_ns, publish_ns, sequence, _own(data))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_unpacked": (-1, b"")}

    def _rows(
        self, number: int, content: memoryview, channels: Collection[int], start_ns: int, end_ns: int
    ) -> Iterator[Row]:
        place, end, head_bytes = 0, len(content), RECORD_HEAD.size
        names = {key: info.name for key, info in self.index.topics.items()}
        while place < end:
            opcode, length = RECORD_HEAD.unpack_from(content, place)
            after = place + head_bytes + length
            if after > end:
                raise ValueError(f"a record of {length} bytes does not fit")
            if opcode == MESSAGE:
                _, _, channel, sequence, log_ns, publish_ns = MESSAGE_HEAD.unpack_from(content, place)
                name = names[channel]
                if channel in channels and start_ns <= log_ns <= end_ns:
                    data = _own(content[place + MESSAGE_HEAD.size : after])
                    yield log_ns, self.number, number, place, BagMessage(name, log_ns, publish_ns, sequence, data)
            place = after

    def _head(self, read: Read, number: int, place: int) -> tuple[int, Head]:
        """And its channel; -1 for a record that is no message."""
        data = read(place, MESSAGE_HEAD.size + STAMP_BYTES)
        opcode, length = RECORD_HEAD.unpack_from(data)
        size = RECORD_HEAD.size + length
        if opcode != MESSAGE:
            return -1, Head(0, self.number, number, place, size, 0, b"")
        _, _, channel, _, log_ns, publish_ns = MESSAGE_HEAD.unpack_from(data)
        stamp = bytes(data[MESSAGE_HEAD.size : min(size, MESSAGE_HEAD.size + STAMP_BYTES)])
        return channel, Head(log_ns, self.number, number, place, size, publish_ns, stamp)

    # -- bytes -------------------------------------------------------------------------------------------------------

    def _content(self, number: int) -> memoryview:
        """The records of a block, decompressed, their checksum compared."""
        block = self.index.blocks[number]
        with self._opened() as fd:
            data = memoryview(os.pread(fd, block.size, block.start))
        with self._well_formed(number):
            if len(data) != block.size:
                raise ValueError("the file ends there")
            return data if block.bare else self._unpack(data, block)

    def _unpack(self, data: memoryview, block: Block) -> memoryview:
        opcode, length, _, _, size, crc = _CHUNK_HEAD.unpack_from(data)
        if opcode != _CHUNK or length != block.size - RECORD_HEAD.size:
            raise ValueError("there is no chunk")
        content = _decompress(data[block.content - block.start :], block.compression, size)
        if len(content) != size:
            raise ValueError(f"{len(content)} bytes of content instead of {size}")
        if self.verify and crc and crc32(content) != crc:
            raise ValueError("its checksum does not fit")
        return memoryview(content)

    @contextmanager
    def _source(self, number: int, whole: bool = False) -> Iterator[Read]:
        """A way to read from the content of a block; `whole`: all of it at once, and then from memory."""
        block = self.index.blocks[number]
        if block.compression:
            if self._unpacked[0] != number:
                self._unpacked = (number, bytes(self._content(number)))
            content = memoryview(self._unpacked[1])
            yield lambda place, size: content[place : place + size]
        elif whole:
            everything = self._content(number)
            yield lambda place, size: everything[place : place + size]
        else:
            with self._opened() as fd:
                yield lambda place, size: os.pread(fd, size, block.content + place)

    def _places(self, block: Block, channels: Collection[int]) -> list[int]:
        """Where the wanted messages begin, by the indexes behind the chunk."""
        with self._opened() as fd:
            data = os.pread(fd, block.index_size, block.index)
        found, place = [], 0
        while place < len(data):
            _, length, channel, size = _INDEX_HEAD.unpack_from(data, place)
            entries = place + _INDEX_HEAD.size
            if channel in channels:
                found += [start for _, start in _INDEX_ENTRY.iter_unpack(data[entries : entries + size])]
            place += RECORD_HEAD.size + length
        return found

    @contextmanager
    def _opened(self) -> Iterator[int]:
        try:
            fd = os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise BagError(f"Cannot read {self.path}: {error.strerror}.", "Check that the bag is whole.") from error
        try:
            yield fd
        except OSError as error:
            raise BagError(f"Cannot read {self.path}: {error.strerror}.", "Check the disk.") from error
        finally:
            os.close(fd)

    @contextmanager
    def _well_formed(self, number: int) -> Iterator[None]:
        """Around all that trusts what is in the file."""
        try:
            yield
        except _ILL_FORMED as error:
            cause = f"{self.path} is damaged at byte {self.index.blocks[number].start}: {_reason(error)}."
            raise BagError(cause, "Copy it again, or leave this bag out.") from error


def _walk(read: Read, size: int) -> Iterator[int]:
    """Where each record of a content begins."""
    place = 0
    while place < size:
        yield place
        place += RECORD_HEAD.size + RECORD_HEAD.unpack_from(read(place, RECORD_HEAD.size))[1]


def _own(data: memoryview) -> bytes | memoryview:
    return data if len(data) > _OWN_BYTES else bytes(data)


def _decompress(data: memoryview, compression: str, size: int) -> bytes | memoryview:
    if not compression:
        return data
    try:
        if compression == "lz4":
            import lz4.frame

            return bytes(lz4.frame.decompress(data))
        if compression == "zstd":
            import zstandard

            return bytes(zstandard.ZstdDecompressor().decompress(data, max_output_size=size))
    except Exception as error:  # each decompressor has errors of its own
        raise ValueError(f"it cannot be decompressed ({error})") from error
    raise ValueError(f"its compression '{compression}' is unknown, known are lz4 and zstd")


def _reason(error: Exception) -> str:
    return f"a record names channel {error}, which is not described" if isinstance(error, KeyError) else str(error)
