"""What is behind the last good record of a file that ended in the middle: whether it is worth keeping, and where."""

from __future__ import annotations

import os
from pathlib import Path

from mcap.opcode import Opcode
from mcap.writer import MCAP0_MAGIC

CUT = ".cut"
_READ_BYTES = 1 << 20
_HEAD_BYTES = 9  # opcode and length of a record
_OPCODES = frozenset(int(opcode) for opcode in Opcode)


def save_tail(path: Path, start: int) -> str:
    target = unused_name(path)
    with path.open("rb") as source, target.open("xb") as copy:
        source.seek(start)
        while block := source.read(_READ_BYTES):
            copy.write(block)
        copy.flush()
        os.fsync(copy.fileno())
    return target.name


def unused_name(path: Path) -> Path:
    """`<path>.cut`, or the next name of that kind that is free."""
    names = [f"{path.name}{CUT}", *(f"{path.name}{CUT}{number}" for number in range(2, 1000))]
    return next(path.with_name(name) for name in names if not path.with_name(name).exists())


def may_hold_records(path: Path, start: int) -> bool:
    """Whether more is there than zeros, half a record or an index, which is made again."""
    size, place = path.stat().st_size, start
    with path.open("rb") as stream:
        while True:
            stream.seek(place)
            head = stream.read(_HEAD_BYTES)
            if len(head) < _HEAD_BYTES or head[0] in (Opcode.DATA_END, Opcode.FOOTER):
                return False
            following = place + _HEAD_BYTES + int.from_bytes(head[1:], "little")
            if following > size and head[0] in _OPCODES:
                return False
            if head[0] != Opcode.MESSAGE_INDEX:
                return not _is_zero(path, place)
            place = following


def is_empty(path: Path) -> bool:
    """Not even the first bytes of a file, or what a power cut made of them: zeros."""
    with path.open("rb") as stream:
        start = stream.read(len(MCAP0_MAGIC)).rstrip(b"\0")
    return len(start) < len(MCAP0_MAGIC) and MCAP0_MAGIC.startswith(start) and _is_zero(path, len(start))


def _is_zero(path: Path, start: int) -> bool:
    with path.open("rb") as stream:
        stream.seek(start)
        while block := stream.read(_READ_BYTES):
            if block.count(0) != len(block):
                return False
    return True
