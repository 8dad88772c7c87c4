"""A file that only ever ends where a record ends, the thread that waits for the disk, and room kept for an index.

When a record cannot be written, because the disk is full, what was written of it is cut off again: everything
before it stays readable. A file that is being written is locked; the lock goes with the process that holds it.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

RESERVE_FILE = ".reserve"
RESERVE_BYTES = 4 << 20  # grows with the index
_MOST_PIECES = 1024  # that one call of the system takes: IOV_MAX of Linux


class RecordSink:
    """Where whole records go. Nothing is buffered here: every write reaches the operating system."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0  # [bytes]; always the end of a record
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def write(self, pieces: Sequence[bytes]) -> int:
        """One or more whole records in pieces, which are not copied together. The number of bytes."""
        total = 0
        try:
            for first in range(0, len(pieces), _MOST_PIECES):
                total += self._write(pieces[first : first + _MOST_PIECES])
        except OSError:
            self._cut()
            raise
        self.size += total
        return total

    def sync(self) -> None:
        """Wait until the disk has everything."""
        os.fdatasync(self._fd)
        self.let_go()

    def let_go(self) -> None:
        """Have the disk begin with what it lacks, and free the memory of what it has: a bag of gigabytes would push
        everything else out. Done every few megabytes it also halves the cost of writing, as the system gets memory
        back that is still in the processor's caches."""
        os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _write(self, pieces: Sequence[bytes]) -> int:
        wanted = sum(map(len, pieces))
        done = os.writev(self._fd, pieces)
        if done < wanted:
            rest = memoryview(b"".join(pieces))[done:]  # rare: the disk is full, or a signal came
            while rest:
                rest = rest[os.writev(self._fd, [rest]) :]
        return wanted

    def _cut(self) -> None:
        os.ftruncate(self._fd, self.size)
        os.lseek(self._fd, self.size, os.SEEK_SET)


class Syncer:
    """Waits for the disk on a thread of its own, so that recording never does. Its failure is kept for `check`."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[tuple[str, RecordSink] | None] = SimpleQueue()
        self._waiting: set[tuple[str, RecordSink]] = set()  # so that a slow disk is not asked again and again
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._work, name="bag_sync", daemon=True)
        self._thread.start()

    def let_go(self, sink: RecordSink) -> None:
        """Soon."""
        self._ask("let go", sink)

    def sync(self, sink: RecordSink) -> None:
        """Soon."""
        self._ask("sync", sink)

    def finish(self, sink: RecordSink) -> None:
        """Soon: wait for the disk and close it. Nothing more may be written to it."""
        self._ask("finish", sink)

    def check(self) -> None:
        """The first failure since the start, once for all."""
        if self._failure:
            raise self._failure

    def close(self) -> None:
        """Wait until everything asked for is done."""
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join()

    def _ask(self, what: str, sink: RecordSink) -> None:
        if (what, sink) not in self._waiting:
            self._waiting.add((what, sink))
            self._jobs.put((what, sink))

    def _work(self) -> None:
        while job := self._jobs.get():
            self._waiting.discard(job)
            try:
                self._do(*job)
            except OSError as error:
                self._failure = self._failure or error
            if job[0] == "finish":
                job[1].close()

    @staticmethod
    def _do(what: str, sink: RecordSink) -> None:
        if what == "let go":
            sink.let_go()
            return
        sink.sync()
        _sync_folder(sink.path.parent)


class Reserve:
    """Disk space held back while recording, so that the index still fits on a full disk."""

    def __init__(self, folder: Path, size: int = RESERVE_BYTES) -> None:
        self._path = folder / RESERVE_FILE
        self._size = 0
        if size:
            self._grow(size)

    def at_least(self, size: int) -> None:
        """The index has grown. Does nothing where no reserve was asked for."""
        if 0 < self._size < size:
            self._grow(max(size, 2 * self._size))

    def release(self) -> None:
        self._path.unlink(missing_ok=True)

    def _grow(self, size: int) -> None:
        with self._path.open("ab") as stream:
            os.posix_fallocate(stream.fileno(), 0, size)
        self._size = size


def is_being_written(path: Path) -> bool:
    """Whether a process that lives holds the file."""
    with path.open("rb") as stream:
        try:
            fcntl.flock(stream.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # no locks here: nothing is known
            return False
    return False


def _sync_folder(folder: Path) -> None:
    """So that a power cut does not take the file's name away."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
