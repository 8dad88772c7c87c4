"""SIGINT and SIGTERM end a node in order: while rclpy still works, so that last messages and files are written.

rclpy's own handlers invalidate the context at once, and a plain Python handler does not run while the executor
waits in C. A wake-up descriptor is written by the C-level handler immediately; a small thread reads it.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable


def _nothing() -> None:
    pass


class StopRequest:
    """Whether the process was asked to end. Make it in the main thread, before anything that takes time."""

    def __init__(self) -> None:
        self.wake: Callable[[], None] = _nothing  # called from another thread as soon as it is asked
        self._asked = threading.Event()
        read_end, write_end = os.pipe()
        os.set_blocking(write_end, False)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)  # a handler must exist for the descriptor to be written
        threading.Thread(target=self._watch, args=(read_end,), name="signals", daemon=True).start()

    @property
    def is_set(self) -> bool:
        return self._asked.is_set()

    @staticmethod
    def ignore_more() -> None:
        """Everything is in order; Python would fall back to dying of a second signal while it takes itself apart."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)

    def _watch(self, read_end: int) -> None:
        while os.read(read_end, 1)[0] not in (signal.SIGINT, signal.SIGTERM):
            pass
        self._asked.set()
        self.wake()
