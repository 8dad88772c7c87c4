"""Smooth motion in joint space: moves one after the other, each starting and ending at rest.

Within a move the joints follow straight pieces between `points`; the way along them has minimum jerk in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vla_mbpo_ros.schema import FloatArray

_PEAK = 1.875  # greatest speed of a minimum-jerk move, as a multiple of its mean


@dataclass(frozen=True)
class Move:
    """`points` (M, N) are passed at equal shares of the way; M is at least 2."""

    points: FloatArray
    duration_s: float

    def at(self, time_s: float) -> FloatArray:
        """(N,) joints at `time_s` since the move began."""
        way = minimum_jerk(time_s / self.duration_s) * (len(self.points) - 1)
        piece = min(int(way), len(self.points) - 2)
        share = way - piece
        return np.asarray((1.0 - share) * self.points[piece] + share * self.points[piece + 1])


@dataclass(frozen=True)
class Path:
    """Moves, and the graph's time at which the first begins."""

    moves: tuple[Move, ...]
    start_ns: int

    @property
    def duration_s(self) -> float:
        return sum(move.duration_s for move in self.moves)

    def at(self, stamp_ns: int) -> FloatArray:
        """(N,) joints at a moment; before the path its first point, after it its last."""
        left_s = max(0.0, (stamp_ns - self.start_ns) * 1e-9)
        for move in self.moves:
            if left_s < move.duration_s:
                return move.at(left_s)
            left_s -= move.duration_s
        end: FloatArray = self.moves[-1].points[-1]
        return end

    def is_over(self, stamp_ns: int) -> bool:
        return (stamp_ns - self.start_ns) * 1e-9 >= self.duration_s


def minimum_jerk(share_of_time: float) -> float:
    """Share of the way: 0 to 1 with speed and acceleration zero at both ends."""
    t = min(max(share_of_time, 0.0), 1.0)
    return t**3 * (10.0 - 15.0 * t + 6.0 * t * t)


def move(points: Sequence[FloatArray], max_velocity: FloatArray, least_s: float) -> Move:
    """The move through `points` that keeps joints within `max_velocity` (N,) and lasts `least_s` or more."""
    stacked = np.stack(points)
    steepest = np.abs(np.diff(stacked, axis=0)).max(axis=0) * (len(points) - 1)  # (N,) for the whole way
    return Move(stacked, max(least_s, float((_PEAK * steepest / max_velocity).max())))
