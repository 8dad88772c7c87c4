"""TFRecord files and tf.train.Example, read by hand.

    record     length (u64) · its checksum (u32) · data · checksum of the data (u32)
    Example    1: Features { 1: map<string, Feature> }      Feature { 1: bytes | 2: floats | 3: int64s }

The checksum of each length is verified: it tells a foreign or damaged file at once. That of the data is not: in
Python it would take longer than everything else; pictures that are damaged do not decode.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from vla_mbpo_ros.errors import ContractError

Values = list[bytes] | npt.NDArray[np.float32] | npt.NDArray[np.int64]

_HEAD = struct.Struct("<QI")
_TAIL_BYTES = 4
_CASTAGNOLI, _MASK_ADD = 0x82F63B78, 0xA282EAD8
_BYTES, _FLOATS = 1, 2  # fields of a Feature; the third is int64s
_VARINT, _FIXED64, _BLOCK, _FIXED32 = 0, 1, 2, 5  # wire types
_FIXED = {_FIXED64: 8, _FIXED32: 4}  # bytes


def read_records(path: Path) -> Iterator[bytes]:
    """ContractError where the file is cut off, or is none."""
    with _opened(path) as stream:
        while head := stream.read(_HEAD.size):
            if len(head) < _HEAD.size:
                raise ContractError(f"{path} is cut off.", "Get the file again.")
            length, checksum = _HEAD.unpack(head)
            if _masked_crc(head[:8]) != checksum:
                raise ContractError(f"{path} is no TFRecord file, or is damaged.", "Get the file again.")
            data = stream.read(length)
            if len(data) < length or len(stream.read(_TAIL_BYTES)) < _TAIL_BYTES:
                raise ContractError(f"{path} is cut off.", "Get the file again.")
            yield data


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise ContractError(f"{path} cannot be read: {error.strerror}.", "Get the file again.") from error


def parse_example(data: bytes) -> dict[str, Values]:
    """Feature name -> its flat list."""
    try:
        found: dict[str, Values] = {}
        for features in _blocks(data, 1):
            for entry in _blocks(features, 1):
                name = next(iter(_blocks(entry, 1)), b"").decode()
                found[name] = _values(next(iter(_blocks(entry, 2)), b""))
        return found
    except (IndexError, struct.error, UnicodeDecodeError, ValueError) as error:
        raise ContractError(f"A record is no tf.train.Example: {error}.", "Get the file again.") from error


def _values(feature: bytes) -> Values:
    for kind, wire, block in _fields(feature):
        if wire != _BLOCK or not isinstance(block, bytes):
            raise ValueError("a feature has no list")
        if kind == _BYTES:
            return list(_blocks(block, 1))
        return _numbers(block, floating=kind == _FLOATS)
    return []


def _numbers(block: bytes, floating: bool) -> Values:
    """Packed, as all writers do it, or one by one, as readers must also take them."""
    parts: list[Values] = []
    for _, _, value in _fields(block):
        if isinstance(value, int):
            parts.append(np.array([value], dtype=np.uint64).view(np.int64))
        else:
            parts.append(np.frombuffer(value, dtype=np.float32) if floating else _varints(value))
    if not parts:
        return np.zeros(0, dtype=np.float32)
    numbers: Values = np.concatenate(parts)
    return numbers


def _varints(block: bytes) -> npt.NDArray[np.int64]:
    values, at = [], 0
    while at < len(block):
        value, at = _varint(block, at)
        values.append(value)
    return np.array(values, dtype=np.uint64).view(np.int64)


def _blocks(data: bytes, number: int) -> Iterator[bytes]:
    for field, wire, value in _fields(data):
        if field == number and wire == _BLOCK and isinstance(value, bytes):
            yield value


def _fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Number, wire type and value of each field of a message."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire = key & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield key >> 3, wire, value
            continue
        size = _FIXED.get(wire, -1)
        if wire == _BLOCK:
            size, at = _varint(data, at)
        if size < 0 or at + size > len(data):
            raise ValueError("a field is longer than its message")
        yield key >> 3, wire, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The value and what comes after it."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7


def _masked_crc(data: bytes) -> int:
    crc = 0xFFFF_FFFF
    for byte in data:
        crc = _table()[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFF_FFFF
    return ((crc >> 15 | crc << 17) + _MASK_ADD) & 0xFFFF_FFFF


@cache
def _table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_CASTAGNOLI if value & 1 else 0)
        table.append(value)
    return tuple(table)
