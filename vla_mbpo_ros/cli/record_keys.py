"""Single keys of a terminal, without Enter, and what each means. The terminal is put back whatever happens."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

HELP = "s start   y success   n failure   d discard   l label the last one   p snapshot   q quit"
LABEL_HELP = "label it: y success   n failure   d discarded   u unknown   any other key: leave it"
_OUTCOMES = {"u": 0, "y": 1, "n": 2, "d": 3}  # as in EpisodeStatus.msg


@dataclass(frozen=True)
class Command:
    """What is to be done: "start", "stop", "discard", "label", "snapshot", "quit", or "" with a text to show."""

    name: str = ""
    outcome: int = 0
    text: str = ""


class Keys:
    """Keys one after the other; `l` and `q` may ask for a second one."""

    def __init__(self) -> None:
        self._pending = ""

    @property
    def help(self) -> str:
        return LABEL_HELP if self._pending == "l" else HELP

    def press(self, key: str, recording: bool) -> Command:
        pending, self._pending = self._pending, ""
        if pending == "l":
            return Command("label", _OUTCOMES[key]) if key in _OUTCOMES else Command(text="Not labelled.")
        if key == "q":
            return self._quit(recording and pending != "q")
        if key == "l":
            self._pending = "l"
            return Command()
        return _simple(key)

    def _quit(self, ask: bool) -> Command:
        if not ask:
            return Command("quit")
        self._pending = "q"
        return Command(text="Still recording: end it by y, n or d, or press q again to leave it running.")


def _simple(key: str) -> Command:
    if key in ("y", "n"):
        return Command("stop", _OUTCOMES[key])
    names = {"s": "start", "d": "discard", "p": "snapshot"}
    return Command(names[key]) if key in names else Command(text=f"{key!r} does nothing.")


@contextmanager
def single_keys(stream: Any = None) -> Iterator[int]:
    """The file descriptor of a terminal that gives every key at once and shows none; Ctrl-C still interrupts."""
    descriptor = (stream or sys.stdin).fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield descriptor
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def read_key(descriptor: int, limit_s: float = 0.0) -> str:
    """The next key in lower case, or "" when there is none. A terminal that is gone counts as `q`."""
    ready, _, _ = select.select([descriptor], [], [], limit_s)
    if not ready:
        return ""
    try:
        data = os.read(descriptor, 1)
    except OSError:
        data = b""
    return data.decode("utf-8", "replace").lower() if data else "q"
