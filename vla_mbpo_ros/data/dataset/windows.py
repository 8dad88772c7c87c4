"""Which windows of an episode are transitions.

    row       0    1    2    3    4    5    6    7    8          k = 3, success between 4 and 5
                                        ^
    o_0, a_0 a_1 a_2, o_3      reward 0
         o_1, a_1 a_2 a_3, o_4      reward 0
              o_2, a_2 a_3 a_4, o_5      reward 1, done     t < success <= t + k
                             o_5, …      no transition: it starts after the success

A window is done by success only. Where time runs out, or a gap comes, the windows that no other one can follow are
truncated: what comes after them is not 0, it is the value of o_{t+k}.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vla_mbpo_ros.data.episodes.episode import IndexArray

GAP_STEPS = 1.5  # a longer step between two rows is a gap
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Windows:
    """N windows of one episode."""

    rows: IndexArray  # (N,) where each starts
    done: BoolArray  # (N,) the success happens in it: its reward is 1, of all others 0
    truncated: BoolArray  # (N,) not done, and no window starts at its end or later, before the next gap
    skipped: Counter[str]  # reason -> windows


def find_windows(
    times_ns: IndexArray,
    dt_ns: int,
    starts: IndexArray,
    k: int,
    seen: BoolArray,
    success_ns: int | None = None,
) -> Windows:
    """`times_ns` (T,) of the rows, `starts` those rows where a window is wanted, `seen` (T,) where all cameras are."""
    segments = _segments(times_ns, dt_ns)
    reasons = _reasons(times_ns, segments, k, seen, success_ns)
    rows = np.array([row for row in starts if not reasons[row]], dtype=np.int64)
    ends = rows + k
    done = np.zeros(len(rows), dtype=bool) if success_ns is None else times_ns[ends] >= success_ns
    last = {int(segments[row]): int(row) for row in rows}  # segment -> its last window
    followed = np.array([last[int(segments[row])] >= row + k for row in rows], dtype=bool)
    return Windows(rows, done, ~done & ~followed, Counter(reasons[row] for row in starts if reasons[row]))


def _segments(times_ns: IndexArray, dt_ns: int) -> IndexArray:
    """(T,) the number of gaps before each row."""
    return np.concatenate([[0], np.cumsum(np.diff(times_ns) > GAP_STEPS * dt_ns)]).astype(np.int64)


def _reasons(times_ns: IndexArray, segments: IndexArray, k: int, seen: BoolArray, success_ns: int | None) -> list[str]:
    """(T,) why no window starts at a row; empty where one does."""
    rows, reasons = len(times_ns), []
    for row in range(rows):
        if success_ns is not None and times_ns[row] >= success_ns:
            reasons.append("they start after the success")
        elif row + k >= rows:
            reasons.append("they reach past the end of the episode")
        elif segments[row + k] != segments[row]:
            reasons.append("they cross a gap")
        elif not (seen[row] and seen[row + k]):
            reasons.append("a camera has no image at their start or end")
        else:
            reasons.append("")
    return reasons
