"""What a process that was killed may leave in Fast DDS's shared memory, and how others are freed from it.

    /dev/shm/fastrtps_port7004      a port: whoever listens or sends opens it, and makes it where it is missing

A process that is killed while it makes a port leaves a file without a header, and whoever opens that waits for the
header for ever (Fast DDS 2.14, Boost): a node that lives stands still in its next message, one that starts does so at
once, in any graph of this machine. A header that says "corrupted" sets them free, and the port is made anew.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from pathlib import Path

FOLDER = Path("/dev/shm")
_PORT = re.compile(r"fast(rtps|dds)_port\d+")
# The first word of a managed segment of Boost tells how far it is: 0 and 1 while it is made, then one of these.
_READY, _CORRUPTED = 2, 3
_HEADER = _CORRUPTED.to_bytes(4, "little").ljust(4096, b"\0")
_PATIENCE_S = 1.0  # a port is made within a millisecond


def free_half_made_ports(folder: Path = FOLDER) -> list[str]:
    """Their names. Call it before taking part in ROS; it takes a second if there is such a port, else nothing."""
    suspects = {port: inode for port in _ports(folder) if (inode := _half_made(port))}
    if not suspects:
        return []
    time.sleep(_PATIENCE_S)
    return sorted(port.name for port, inode in suspects.items() if _half_made(port) == inode and _free(port))


def _ports(folder: Path) -> list[Path]:
    with suppress(OSError):
        return [path for path in folder.iterdir() if _PORT.fullmatch(path.name)]
    return []


def _half_made(port: Path) -> int:
    """Its inode; 0 if it is whole, gone, or another user's."""
    with suppress(OSError), port.open("rb") as file:
        word = file.read(4).ljust(4, b"\0")
        if int.from_bytes(word, "little") not in (_READY, _CORRUPTED):
            return os.fstat(file.fileno()).st_ino
    return 0


def _free(port: Path) -> bool:
    with suppress(OSError), port.open("r+b", buffering=0) as file:
        empty = not os.fstat(file.fileno()).st_size
        file.write(_HEADER if empty else _HEADER[:4])  # a process that waits for a size looks at the header next
        port.unlink()
        return True
    return False
