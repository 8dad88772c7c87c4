"""What the page needs of the graph behind it: one object, asked by the page's own threads.

    cameras, state                  stamps, words and numbers, small: asked five times a second by every browser
    newest_frame                    what a camera sees now; asked once for each stamp
    dreamed_picture, true_picture   what was imagined, and what came of it
    ask, cancel, clear              what people want

Every method is called on the server's threads, several at a time. So each must be thread-safe and answer at once: a
lock around what is kept is enough. What takes long is only begun by `ask`; how it goes is told by `state`. An error of
our tree reaches who asked, word by word; any other is told as a defect, and the page lives on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from vla_mbpo_ros.evaluation.dreams import Note
from vla_mbpo_ros.schema import Frame, ImageArray


class What(Enum):
    """What is to be imagined."""

    LATEST = "latest"  # the latest proposed chunk
    DO_NOTHING = "do_nothing"  # a chunk that keeps the robot where it is: the control


@dataclass(frozen=True)
class Model:
    """The world model that would answer."""

    version: str = ""  # or its kind, while that is not known yet; empty: nobody can be asked, and the buttons rest
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
    title: str  # "chunk 42", "4 samples of nothing commanded"
    views: tuple[str, ...]  # the head first
    chunks: int  # that were asked for
    success: tuple[tuple[float, ...], ...]  # of each sample, one number a chunk imagined so far; NaN: not judged
    version: str = ""  # of the model
    elapsed_s: float = 0.0  # wall time so far
    has_truth: bool = False  # whether it is known what the cameras saw after its first chunk
    verdict: str = ""  # what is known of how near it came, or why it is not compared; for people


@dataclass(frozen=True)
class Reality:
    """How near dreams came to what the cameras saw then, in one view: the last that was compared, and their mean."""

    view: str
    psnr_db: float
    mean_psnr_db: float  # of the last comparisons
    ssim: float
    changed_psnr_db: float  # over the pixels that changed; NaN where none did


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

    def cameras(self) -> Mapping[str, int | None]:
        """Camera name -> stamp of its newest picture [ns]; None while there is none."""
        ...

    def newest_frame(self, camera: str) -> Frame | None:
        """Of one of `cameras`; None while there is none."""
        ...

    def state(self) -> PageState: ...

    def dreamed_picture(self, dream: str, sample: int, chunk: int, view: str) -> ImageArray | None:
        """After `chunk` chunks; after 0 it is the real picture that the dream began with. None if there is none."""
        ...

    def true_picture(self, dream: str, view: str) -> ImageArray | None:
        """What the camera saw after the dream's first chunk, as the model sees it; None while that is not known."""
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
