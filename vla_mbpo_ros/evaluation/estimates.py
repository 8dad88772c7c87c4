"""A number with its interval, by drawing whole episodes anew: what belongs to one episode is not independent.

    rows (N, S) of summands ──by episode──> (G, S) ──1000 draws of G episodes──> sums (1000, S) ──statistic──> 95 %

Every statistic here is a function of sums: a mean of (x, 1), F1 of (hit, false alarm, missed), a correlation of
(1, x, y, xx, yy, xy). So a draw costs a product of two matrices.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.schema import FloatArray

DRAWS = 1000
_SEED = 0  # the same draws for every model: their differences are not a matter of luck
Groups = npt.NDArray[np.int64]
Statistic = Callable[[FloatArray], FloatArray]  # sums (…, S) -> (…,)


@dataclass(frozen=True)
class Estimate:
    """NaN where there is nothing to say it of."""

    value: float
    low: float  # 95 % of the draws lie between
    high: float
    n: int  # rows
    groups: int  # episodes

    def __str__(self) -> str:
        return f"{self.value:.3g} ({self.low:.3g} to {self.high:.3g}, n {self.n} of {self.groups} episodes)"

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))


def estimate(summands: FloatArray, groups: Groups, statistic: Statistic, draws: int = DRAWS) -> Estimate:
    """`summands` (N, S), `groups` (N,) which episode each row is of. Rows with a NaN do not count."""
    summands, groups = np.asarray(summands, dtype=np.float64), np.asarray(groups)
    if summands.ndim != 2 or groups.shape != summands.shape[:1]:
        cause = f"{summands.shape} summands came with {groups.shape} episodes."
        raise ContractError(cause, "Give a row of summands and an episode for each.")
    known = ~np.isnan(summands).any(axis=1)
    summands, groups = summands[known], groups[known]
    names, own = np.unique(groups, return_inverse=True)
    if not len(names):
        return Estimate(math.nan, math.nan, math.nan, 0, 0)
    by_group = np.zeros((len(names), summands.shape[1]))
    np.add.at(by_group, own, summands)
    drawn = np.random.default_rng(_SEED).multinomial(len(names), np.full(len(names), 1.0 / len(names)), draws)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(statistic(by_group.sum(axis=0)))
        others = np.asarray(statistic(drawn @ by_group))
    low, high = np.nanquantile(others, (0.025, 0.975)) if np.isfinite(others).any() else (math.nan, math.nan)
    return Estimate(value, float(low), float(high), len(summands), len(names))


def mean(values: FloatArray, groups: Groups, draws: int = DRAWS) -> Estimate:
    """Of values (N,)."""
    values = np.asarray(values, dtype=np.float64)
    return estimate(np.stack([values, np.ones_like(values)], axis=1), groups, _ratio, draws)


def correlation(x: FloatArray, y: FloatArray, groups: Groups, draws: int = DRAWS) -> Estimate:
    """Pearson's, of (N,) each."""
    return estimate(np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1), groups, _pearson, draws)


def _ratio(sums: FloatArray) -> FloatArray:
    return np.asarray(sums[..., 0] / sums[..., 1])


def _pearson(sums: FloatArray) -> FloatArray:
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    return np.asarray((n * xy - x * y) / np.sqrt((n * xx - x * x) * (n * yy - y * y)))
