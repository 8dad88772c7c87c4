"""What every gradient descent here shares: which rows a step takes, its learning rate, and the moving average.

All of it is a matter of (seed, step), so that a training that was interrupted goes on bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vla_mbpo_ros.models.randomness import mix

IntArray = npt.NDArray[np.int64]


class Schedule(Protocol):
    """The settings that a learning rate follows."""

    @property
    def steps(self) -> int: ...
    @property
    def lr(self) -> float: ...
    @property
    def last_lr(self) -> float: ...
    @property
    def warmup(self) -> int: ...


def learning_rate(step: int, cfg: Schedule) -> float:
    """Up in a line, then down along half a cosine."""
    if step < cfg.warmup:
        return cfg.lr * (step + 1) / cfg.warmup
    share = (step - cfg.warmup) / max(cfg.steps - cfg.warmup, 1)
    return cfg.lr * (cfg.last_lr + (1.0 - cfg.last_lr) * 0.5 * (1.0 + math.cos(math.pi * share)))


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


@torch.no_grad()
def follow(average: Sequence[Tensor], learning: Sequence[Tensor], step: int, ema: float) -> None:
    """The average comes nearer; early on faster, or it would remember the random start."""
    keep = min(ema, (1.0 + step) / (10.0 + step)) if ema else 0.0
    torch._foreach_lerp_(list(average), [each.detach() for each in learning], 1.0 - keep)
