"""A file that only ever ends where a record ends, and that keeps some room for its own index.

The MCAP library hands over whole records. When one cannot be written, because the disk is full, what was
written of it is cut off again: everything before it stays readable.
"""

from __future__ import annotations

import os
from pathlib import Path

RESERVE_FILE = ".reserve"
RESERVE_BYTES = 4 << 20  # the index of about half an hour at ten chunks a second


class RecordSink:
    """What the MCAP writer writes to. Unbuffered: chunks are large enough."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0  # [bytes]; always the end of a record
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)

    def write(self, data: bytes) -> int:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError:
            self._cut()
            raise
        self.size += len(data)
        return len(data)

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        """Nothing is buffered here; see `sync`."""

    def sync(self) -> None:
        """Wait until the disk has everything."""
        os.fsync(self._fd)

    def close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _cut(self) -> None:
        os.ftruncate(self._fd, self.size)
        os.lseek(self._fd, self.size, os.SEEK_SET)


class Reserve:
    """Disk space held back while recording, so that the index still fits on a full disk."""

    def __init__(self, folder: Path, size: int = RESERVE_BYTES) -> None:
        self._path = folder / RESERVE_FILE
        if size:
            with self._path.open("wb") as stream:
                os.posix_fallocate(stream.fileno(), 0, size)

    def release(self) -> None:
        self._path.unlink(missing_ok=True)
