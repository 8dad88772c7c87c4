"""Worker processes and the way to them. A list of jobs goes in, the answers come back in the same order.

Each worker is started by this Python with one thread for everything, also for drawing; it inherits the choice of
OpenGL. A program needs no `if __name__ == "__main__"` for it, and what the program has imported is not imported again.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import weakref
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import vla_mbpo_ros
from vla_mbpo_ros.errors import ConfigError, DeviceError
from vla_mbpo_ros.sim.render import backend

# imported, not run as __main__: its classes must have the names that we know them by
_PROGRAM = "from vla_mbpo_ros.sim.tabletop.worker import main; main()"
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LP_NUM_THREADS")
_END_S = 5.0  # a worker that is told to end does so within this
_DIES_S = 2.0  # its connection breaks first, and on a busy machine its code comes so much later

Job = tuple[str, tuple[Any, ...]]  # (operation, arguments) of worker.py


class Crew:
    """Some worker processes. A broken crew stays closed."""

    def __init__(self, workers: int, width: int, height: int) -> None:
        if workers < 1:
            raise ConfigError(f"{workers} workers.", "Give a number from 1 on; one for each core is a good one.")
        backend()  # tried once, here; the workers inherit it
        self._members = [_start(width, height) for _ in range(workers)]
        self._finalizer = weakref.finalize(self, _end, self._members)

    @property
    def size(self) -> int:
        return len(self._members)

    @property
    def pids(self) -> tuple[int, ...]:
        return tuple(process.pid for process, _ in self._members)

    def do(self, jobs: Sequence[Job]) -> list[Any]:
        """The answer of every job. An error of one is raised once all workers are idle again."""
        if not self._finalizer.alive:
            raise DeviceError("The tabletop's workers have ended.", "Make a new Pool.")
        answers: list[Any] = [None] * len(jobs)
        todo = list(enumerate(jobs))[::-1]
        busy: dict[Connection, int] = {}
        free = [connection for _, connection in self._members]
        failure: BaseException | None = None
        try:
            while busy or (todo and failure is None):
                while todo and free and failure is None:
                    index, job = todo.pop()
                    free[-1].send(job)
                    busy[free.pop()] = index
                for connection in wait(list(busy)):
                    assert isinstance(connection, Connection)
                    word, answer = connection.recv()
                    failure = answer if word == "error" else failure
                    answers[busy.pop(connection)] = answer
                    free.append(connection)
        except (EOFError, OSError) as error:
            raise self._lost() from error
        except BaseException:  # Ctrl-C between two messages: nobody knows any more who answers what
            self.close()
            raise
        if failure is not None:
            raise failure
        return answers

    def close(self) -> None:
        """End the workers."""
        self._finalizer()

    def _lost(self) -> DeviceError:
        """Say which worker has died, and end the others."""
        codes = []
        for process, _ in self._members:
            try:
                codes.append(f"process {process.pid} ended with code {process.wait(_DIES_S)}")
            except subprocess.TimeoutExpired:
                continue
        self.close()
        return DeviceError(
            f"A tabletop worker has died ({'; '.join(codes) or 'its connection broke'}).",
            "Code -9 is often a lack of memory: use fewer workers. What it said is on standard error. Make a new Pool.",
        )


_Member = tuple["subprocess.Popen[bytes]", Connection]


def _start(width: int, height: int) -> _Member:
    ours, theirs = socket.socketpair()
    root = str(Path(vla_mbpo_ros.__file__).parents[1])  # the worker is of the same tree as we
    path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", "")) if part)
    environment = {**os.environ, **dict.fromkeys(_ONE_THREAD, "1"), "PYTHONPATH": path}
    command = [sys.executable, "-c", _PROGRAM, str(theirs.fileno()), str(width), str(height)]
    process = subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
    theirs.close()
    return process, Connection(ours.detach())


def _end(members: list[_Member]) -> None:
    """A worker ends when its connection is closed."""
    for _, connection in members:
        connection.close()
    for process, _ in members:
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
