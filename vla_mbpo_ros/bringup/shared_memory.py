"""What a process that was killed may leave in Fast DDS's shared memory, and how others are freed from it.

    /dev/shm/fastrtps_port7004      a port: whoever listens or sends opens it, and makes it where it is missing

A process that is killed while it makes a port leaves a file without a header, and whoever opens that waits for the
header for ever (Fast DDS 2.14, Boost): a node that lives stands still in its next message, one that starts does so at
once, in any graph of this machine. A header that says "corrupted" sets them free, and the port is made anew.
"""

from __future__ import annotations

import fcntl
import os
import re
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

FOLDER = Path("/dev/shm")
_PORT = re.compile(r"fast(rtps|dds)_port\d+")
# The first word of a managed segment of Boost tells how far it is: 0 and 1 while it is made, then one of these.
_READY, _CORRUPTED = 2, 3
_HEADER = _CORRUPTED.to_bytes(4, "little").ljust(4096, b"\0")
_PATIENCE_S = 3.0  # a port is made within a millisecond; so long no process is kept from it


def free_half_made_ports(folder: Path = FOLDER) -> list[str]:
    """Their names, which it also says. Call it before taking part in ROS; without such a port it costs no time."""
    suspects = {port: inode for port in _ports(folder) if (inode := _half_made(port))}
    if not suspects:
        return []
    time.sleep(_PATIENCE_S)
    freed = sorted(port.name for port, inode in suspects.items() if _free(port, inode))
    for name in freed:
        print(f"Freed {name} in shared memory: a process was killed while it made that port.", file=sys.stderr)
    return freed


def _ports(folder: Path) -> list[Path]:
    with suppress(OSError):
        return [path for path in folder.iterdir() if _PORT.fullmatch(path.name)]
    return []


def _half_made(port: Path) -> int:
    """Its inode; 0 if it is whole, gone, or not ours to mend."""
    with suppress(OSError), port.open("r+b", buffering=0) as file:
        return 0 if _is_whole(file) else os.fstat(file.fileno()).st_ino
    return 0


def _is_whole(file: BinaryIO) -> bool:
    word = os.pread(file.fileno(), 4, 0).ljust(4, b"\0")
    return int.from_bytes(word, "little") in (_READY, _CORRUPTED)


def _free(port: Path, inode: int) -> bool:
    """If it is the same and still not whole. One process at a time: what another has freed is made anew by then."""
    with suppress(OSError), port.open("r+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        facts = os.fstat(file.fileno())
        if facts.st_ino != inode or not facts.st_nlink or _is_whole(file):
            return False
        port.unlink()  # before anybody goes on, who would find the name taken
        os.pwrite(file.fileno(), _HEADER if not facts.st_size else _HEADER[:4], 0)
        return True
    return False
