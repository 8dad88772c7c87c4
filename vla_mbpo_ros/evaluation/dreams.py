"""What was imagined for people to look at, and how near it came to what the cameras saw then.

    asked ──> Dream: before, imagined ──> its first chunk is over ──> Dream with a Check: truth, errors
                └────────────── DreamLog: the last ones, the mean errors ──────────────┘

A node fills the log and another room shows it, perhaps in a thread of its own: what is in it never changes, it is
replaced.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock

import numpy as np

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.evaluation.images import changed_psnr, psnr, ssim
from vla_mbpo_ros.schema import FloatArray, ImageArray

KEPT = 16  # dreams of a log
REMEMBERED = 5  # notes of a log
View = str
Pictures = Mapping[View, ImageArray]  # (H, W, 3) each


@dataclass(frozen=True)
class Errors:
    """Of one view; the mean over the samples of a dream."""

    psnr: float  # [dB]
    ssim: float
    changed_psnr: float  # [dB] over the pixels that changed; NaN where none did


@dataclass(frozen=True)
class Check:
    """A dream's first chunk beside what came, or why they are not compared."""

    errors: Mapping[View, Errors]  # empty: not compared
    truth: Pictures
    why_not: str = ""


@dataclass(frozen=True)
class Dream:
    """S samples of C chunks that begin at one observation."""

    how: str  # what was asked for, in words
    observed_ns: int  # where it begins
    chunk_ns: int  # how long a chunk takes
    before: Pictures  # what the model saw
    imagined: tuple[tuple[Pictures, ...], ...]  # (S)(C)
    success: FloatArray  # (S, C) probability that the task is done then; NaN if the model does not judge
    model_version: str
    chunk_id: int = 0  # of the policy's chunk; 0: it was no policy's
    instruction: str = ""
    seed: int = 0
    elapsed_s: float = 0.0  # from the request to the reply
    asked: bool = True  # by a person; False: by itself, for the comparison
    number: int = 0  # counts the dreams of a log, from 1
    check: Check | None = None  # None: its chunk is not over yet

    @property
    def views(self) -> tuple[View, ...]:
        return tuple(self.before)

    @property
    def title(self) -> str:
        """What was asked for, with the number of its chunk."""
        return f"{self.how} {self.chunk_id % 2**32}" if self.chunk_id else self.how  # above: the policy's session

    @property
    def samples(self) -> int:
        return len(self.imagined)

    @property
    def chunks(self) -> int:
        return len(self.imagined[0])

    @property
    def last_success(self) -> float:
        """After the last chunk, the mean of the samples that are judged; NaN if none is."""
        judged = self.success[:, -1][~np.isnan(self.success[:, -1])]
        return float(judged.mean()) if len(judged) else math.nan

    def __post_init__(self) -> None:
        counts = {len(sample) for sample in self.imagined}
        if len(counts) != 1 or not min(counts) or self.success.shape != (len(self.imagined), min(counts)):
            cause = f"A dream of {[len(sample) for sample in self.imagined]} chunks, judged {self.success.shape}."
            raise ContractError(cause, "Give as many chunks for every sample, and a probability for each.")


def as_seen(image: ImageArray, like: ImageArray) -> ImageArray:
    """A camera's image as the model sees it, whose own is `like`."""
    if image.shape == like.shape:
        return image
    # imported late: it brings torch, which pictures of the right size do not need
    from vla_mbpo_ros.models.pictures import fit

    return fit(image, like.shape[0])


def compare(dream: Dream, truth: Pictures) -> Check:
    """The first chunk of every sample beside what the cameras saw at its end."""
    errors = {}
    for view in dream.views:
        made = np.stack([sample[0][view] for sample in dream.imagined])
        true = np.broadcast_to(truth[view], made.shape)
        before = np.broadcast_to(dream.before[view], made.shape)
        errors[view] = Errors(
            psnr=float(psnr(true, made).mean()),
            ssim=float(ssim(true, made).mean()),
            changed_psnr=float(changed_psnr(before, true, made).mean()),
        )
    return Check(errors, truth)


@dataclass(frozen=True)
class Note:
    """Something that people should know."""

    text: str
    is_error: bool = False


class DreamLog:
    """The last dreams, and the errors of the last `compared` that reality could be held against; what goes on now."""

    def __init__(self, compared: int, kept: int = KEPT) -> None:
        self._lock = Lock()
        self._dreams: deque[Dream] = deque(maxlen=kept)
        self._checks: deque[Mapping[View, Errors]] = deque(maxlen=compared)
        self._count = 0
        self.said = ""  # what was said last, for people
        self.notes: tuple[Note, ...] = ()  # the last ones, the newest last
        self.under_way = ""  # what is being imagined; empty: nothing
        self.progress = (0, 0)  # of it: steps done, steps in all
        self.outcomes: Counter[str] = Counter()  # "compared" and "not compared"
        self.why_not = ""  # why the last one was not compared

    def add(self, dream: Dream) -> Dream:
        """The same with its number."""
        with self._lock:
            self._count += 1
            numbered = replace(dream, number=self._count)
            self._dreams.append(numbered)
        return numbered

    def close(self, number: int, check: Check) -> Dream | None:
        """What came of a dream; None if it is forgotten already, and its errors count all the same."""
        with self._lock:
            if check.errors:
                self._checks.append(check.errors)
            self.outcomes["compared" if check.errors else "not compared"] += 1
            self.why_not = check.why_not or self.why_not
            for index, dream in enumerate(self._dreams):
                if dream.number == number:
                    self._dreams[index] = replace(dream, check=check)
                    return self._dreams[index]
        return None

    def note(self, text: str, is_error: bool = False) -> None:
        """For people, and for longer than the next word."""
        self.notes = (*self.notes, Note(text, is_error))[-REMEMBERED:]

    def clear(self) -> None:
        """Forget the dreams. The errors stay: they are the model's."""
        with self._lock:
            self._dreams.clear()

    @property
    def dreams(self) -> Sequence[Dream]:
        """Oldest first."""
        with self._lock:
            return tuple(self._dreams)

    @property
    def newest(self) -> Dream | None:
        with self._lock:
            return self._dreams[-1] if self._dreams else None

    def last(self) -> Mapping[View, Errors]:
        """Of the newest comparison; empty before the first."""
        with self._lock:
            return self._checks[-1] if self._checks else {}

    def means(self) -> Mapping[View, Errors]:
        """Over the last comparisons; a view's changed PSNR over those where something changed."""
        with self._lock:
            checks = tuple(self._checks)
        views = dict.fromkeys(view for check in checks for view in check)
        return {view: _mean([check[view] for check in checks if view in check]) for view in views}


def _mean(errors: Sequence[Errors]) -> Errors:
    told = [error.changed_psnr for error in errors if not math.isnan(error.changed_psnr)]
    return Errors(
        psnr=float(np.mean([error.psnr for error in errors])),
        ssim=float(np.mean([error.ssim for error in errors])),
        changed_psnr=float(np.mean(told)) if told else math.nan,
    )
