"""Who gets the next episodes: tasks of which most can still be learnt.

A sparse reward speaks where success and failure both occur, so a task's need is p (1 - p) of its recent success p,
and a floor: a task that always or never succeeds is still looked at.

    weight(task) = floor + p (1 - p)          p <- p + rate (found - p), from 1/2
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


class Need:
    """Recent success of every task, and how episodes are shared out by it."""

    def __init__(self, tasks: Sequence[str], floor: float, rate: float) -> None:
        self._floor, self._rate = floor, rate
        self.success = dict.fromkeys(tasks, 0.5)

    def share(self, episodes: int) -> dict[str, int]:
        """`episodes` in all; parts of one go to those with the largest, in order."""
        weights = np.array([self._floor + p * (1.0 - p) for p in self.success.values()])
        exact = episodes * weights / weights.sum()
        counts = np.floor(exact).astype(np.int64)
        first = np.argsort(counts - exact, kind="stable")[: episodes - int(counts.sum())]
        counts[first] += 1
        return dict(zip(self.success, map(int, counts), strict=True))

    def see(self, found: Mapping[str, float]) -> None:
        """The success of a round; tasks that were not played keep theirs."""
        for task, share in found.items():
            self.success[task] += self._rate * (share - self.success[task])
