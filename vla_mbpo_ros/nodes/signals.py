"""SIGINT and SIGTERM end a node in order: while rclpy still works, so that last messages and files are written.

rclpy's own handlers invalidate the context at once, and a plain Python handler does not run while the executor
waits in C. A wake-up descriptor is written by the C-level handler immediately; a small thread reads it.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable


def on_stop_signal(callback: Callable[[], None]) -> None:
    """Call `callback` from another thread when the process is asked to end. Main thread only."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # a handler must exist for the descriptor to be written
    threading.Thread(target=_watch, args=(read_end, callback), name="signals", daemon=True).start()


def _watch(read_end: int, callback: Callable[[], None]) -> None:
    while os.read(read_end, 1)[0] not in (signal.SIGINT, signal.SIGTERM):
        pass
    callback()
