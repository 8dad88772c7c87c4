"""Which rows a step takes, and a look."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vla_mbpo_ros.models.randomness import mix

IntArray = npt.NDArray[np.int64]


class Epochs:
    """The rows of an epoch are a shuffle of all, and a step may reach into the next one."""

    def __init__(self, rows: int, seed: int, stream: int) -> None:
        self._rows, self._seed, self._stream = rows, seed, stream
        self._order: tuple[int, IntArray] = (-1, np.zeros(0, dtype=np.int64))

    def step(self, step: int, batch: int) -> IntArray:
        """(B,) of this step."""
        return np.array([self._row(place) for place in range(step * batch, (step + 1) * batch)], dtype=np.int64)

    def _row(self, place: int) -> int:
        epoch, offset = divmod(place, self._rows)
        if self._order[0] != epoch:
            shuffled = np.random.default_rng(mix(self._seed, self._stream, epoch)).permutation(self._rows)
            self._order = epoch, shuffled.astype(np.int64)
        return int(self._order[1][offset])


def evenly(count: int, at_most: int) -> IntArray:
    """So many of `count` rows at most, spread over all of them: for a look that is always at the same ones."""
    return np.linspace(0, count - 1, min(count, at_most)).round().astype(np.int64)
