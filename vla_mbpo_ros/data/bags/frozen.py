"""A camera that died often goes on sending: the same picture, or the same frame number, again and again.

    real camera     its noise makes every picture different: equal ones for longer than its age limit are frozen
    simulated       a still scene is drawn equal, bit for bit: the frame numbers alone decide

A picture counts as equal when all its bytes are; most differ in the first few that are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

MAX_AGE_S = 0.2  # as `cameras.<name>.max_age_s` by default: older images are refused as an observation
_LEAST = 3  # of a kind in a row; two may be an accident of a slow camera
_STRIDE = 4099  # bytes between those that are looked at first; prime, so that they do not form a column
_NS = 1e9


@dataclass(frozen=True)
class Run:
    """Neighbours that are the same."""

    first: int
    last: int

    @property
    def count(self) -> int:
        return self.last - self.first + 1


@dataclass
class Pictures:
    """Which pictures of one camera equal the one before."""

    same: list[bool] = field(default_factory=list)
    _last: Any = None  # uint8 array

    def add(self, data: Any) -> None:
        """`data` is the message's own array of bytes; it must not be changed later."""
        pixels, last = np.asarray(data), self._last
        self.same.append(
            last is not None
            and pixels.shape == last.shape
            and np.array_equal(pixels[::_STRIDE], last[::_STRIDE])
            and np.array_equal(pixels, last)
        )
        self._last = pixels

    def skip(self) -> None:
        """A message that could not be read equals no other."""
        self.same.append(False)
        self._last = None


def runs(same: Sequence[bool], times_ns: Sequence[int], longer_than_s: float = MAX_AGE_S) -> tuple[Run, ...]:
    """Those that last longer than that; `same[i]` tells whether i equals i - 1."""
    found, first = [], 0
    for index in range(1, len(same) + 1):
        if index < len(same) and same[index]:
            continue
        run = Run(first, index - 1)
        if run.count >= _LEAST and seconds(run, times_ns) > longer_than_s:
            found.append(run)
        first = index
    return tuple(found)


def standing(numbers: Sequence[int]) -> list[bool]:
    """`same` for frame numbers."""
    return [False, *(a == b for a, b in pairwise(numbers))] if numbers else []


def seconds(run: Run, times_ns: Sequence[int]) -> float:
    return (times_ns[run.last] - times_ns[run.first]) / _NS
