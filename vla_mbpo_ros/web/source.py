"""What the page needs of the graph behind it: one object, asked by the page's own threads.

    cameras, newest_frame   what is seen now
    state                   everything in words and numbers, small: asked five times a second by every browser
    dreamed_picture         one picture of a dream
    ask, cancel, clear      what people want

Every method is called on the server's threads, several at a time. So each must be thread-safe and answer at once: a
lock around what is kept is enough. What takes long is only begun by `ask`; how it goes is told by `state`. An error of
our tree reaches who asked, word by word; any other is told as a defect, and the page lives on.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from vla_mbpo_ros.schema import Frame, ImageArray


class What(Enum):
    """What is to be imagined."""

    LATEST = "latest"  # the latest proposed chunk
    DO_NOTHING = "do_nothing"  # a chunk that keeps the robot where it is: the control


@dataclass(frozen=True)
class Model:
    """The world model that would answer."""

    version: str = ""  # empty: none is loaded
    loading: str = ""  # what is being loaded; empty: nothing
    problem: str = ""  # why there is none, for people


@dataclass(frozen=True)
class Running:
    """The request that is under way."""

    title: str
    steps_done: int
    steps_total: int  # samples x chunks


@dataclass(frozen=True)
class Dream:
    """One request's answer, as far as it is known."""

    key: str  # in addresses, never used twice in one process: letters, digits, - and _
    title: str  # "the latest chunk", "doing nothing"
    views: tuple[str, ...]  # the head first
    chunks: int  # that were asked for
    success: tuple[tuple[float, ...], ...]  # of each sample, one number a chunk imagined so far; NaN: not judged
    version: str = ""  # of the model
    elapsed_s: float = 0.0  # wall time so far


@dataclass(frozen=True)
class Reality:
    """A dream beside what then happened, in one view."""

    view: str
    dream_db: float  # PSNR of the dream
    still_db: float  # PSNR of the picture before, as if nothing had moved: what a dream must beat
    chunks: int = 1  # compared so far


@dataclass(frozen=True)
class Note:
    """Something to tell people."""

    text: str
    is_error: bool = False


@dataclass(frozen=True)
class PageState:
    model: Model
    instruction: str = ""
    running: Running | None = None
    dreams: tuple[Dream, ...] = ()  # the newest first
    reality: tuple[Reality, ...] = ()  # one for each view
    notes: tuple[Note, ...] = ()  # the newest last; a few


class PageSource(Protocol):
    """Who knows what the page shows."""

    def cameras(self) -> tuple[str, ...]: ...

    def newest_frame(self, camera: str) -> Frame | None:
        """None while there is none."""
        ...

    def state(self) -> PageState: ...

    def dreamed_picture(self, dream: str, sample: int, chunk: int, view: str) -> ImageArray | None:
        """After `chunk` chunks; after 0 it is the real picture that the dream began with. None if there is none."""
        ...

    def ask(self, what: What, samples: int) -> str:
        """Begin a dream; a sentence that says so, or an error."""
        ...

    def cancel(self) -> str:
        """Give up the dream that is under way; a sentence."""
        ...

    def clear(self) -> str:
        """Forget the dreams; a sentence."""
        ...
