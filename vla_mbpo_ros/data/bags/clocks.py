"""Whose clock is right? The stamp inside a message, written by its sender, against the bag's own time.

    log − stamp   0 0 0 0 0 0           all is well: how long messages take
                  0 0 .3 .2 .1 0        messages came late, then caught up: no jump
                  0 0 0 −5 −5 −5        the sender's clock went forward by 5 s and stayed: a jump

What arrives can be late, never early; so a jump is a change of the least distance around it. A bag of a
simulation may have been written at another speed than it ran: a distance that changes evenly is no jump.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

JUMP_S = 0.1
EPOCH_S = 10.0  # no message takes so long: this is another clock
_AROUND_S = 1.0  # a delay that is over within this time is no jump
_LEAST = 3  # messages on each side, before anything is said
_MOST = 200
_FAR = 10  # messages between two distances that are compared for their drift; delays weigh less so
_NS = 1e9

_Stamps = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Jump:
    """A sender's clock against the bag's."""

    index: int  # of the first message behind it
    size_s: float  # positive: the sender's clock went forward


def find_jumps(stamps_ns: Sequence[int], log_ns: Sequence[int]) -> tuple[Jump, ...]:
    """Both (T,), in the order of recording."""
    stamps, logs = np.array(stamps_ns, dtype=np.int64), np.array(log_ns, dtype=np.int64)
    if len(stamps) < 2 * _LEAST:
        return ()
    steps_s = np.diff(logs - stamps) / _NS - _drift_s(logs - stamps)  # (T - 1,)
    distance_s = np.concatenate([[0.0], np.cumsum(steps_s)])
    near = _window(logs)
    jumps = []
    for index in np.flatnonzero(np.abs(steps_s) > JUMP_S) + 1:
        before, after = distance_s[max(index - near, 0) : index], distance_s[index : index + near]
        size_s = float(before.min() - after.min())
        if min(len(before), len(after)) >= _LEAST and abs(size_s) > JUMP_S:
            jumps.append(Jump(int(index), size_s))
    return tuple(jumps)


def other_epoch_s(stamps_ns: Sequence[int], log_ns: Sequence[int]) -> float:
    """How far the stamps are behind the bag's time, if they are of another clock altogether; else 0."""
    if not stamps_ns:
        return 0.0
    distance_s = (np.array(log_ns, dtype=np.int64) - np.array(stamps_ns, dtype=np.int64)) / _NS
    nearest = float(distance_s[np.abs(distance_s).argmin()])
    return nearest if abs(nearest) > EPOCH_S else 0.0


def _drift_s(distance_ns: _Stamps) -> float:
    """How much the distance grows with each message where the bag ran at another speed; else 0, whatever delays do."""
    apart = min(_FAR, len(distance_ns) // (2 * _LEAST))
    grown_s = float(np.median(distance_ns[apart:] - distance_ns[:-apart])) / _NS
    return grown_s / apart if abs(grown_s) > JUMP_S else 0.0


def _window(logs_ns: _Stamps) -> int:
    """Messages in the time within which a delay must be over."""
    period_s = float(np.median(np.diff(logs_ns))) / _NS
    return _MOST if period_s <= 0.0 else int(np.clip(np.ceil(_AROUND_S / period_s), _LEAST, _MOST))
