"""Between the robot's units and the network's numbers.

        normalised = (x - zero) / scale          each column by itself

| kind | zero | scale | what it does |
|---|---|---|---|
| quantile | between q01 and q99 | half their distance | the middle 98 % lie in [-1, 1] |
| z-score | mean | standard deviation | about zero, in standard deviations |

The kind is part of the weights: a network that has learnt one kind is useless with the other, and nothing would
say so. So it is saved with them and checked when they are loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vla_mbpo_ros.errors import ContractError, NotFinite, UnknownName
from vla_mbpo_ros.schema import FloatArray

QUANTILE, Z_SCORE = "quantile", "z-score"
KINDS = (QUANTILE, Z_SCORE)
FORMAT = 1


@dataclass(frozen=True)
class Columns:
    """N columns and how each is moved and scaled."""

    names: tuple[str, ...]
    zero: tuple[float, ...]
    scale: tuple[float, ...]

    def __post_init__(self) -> None:
        if not len(self.names) == len(self.zero) == len(self.scale):
            widths = f"{len(self.names)} names, {len(self.zero)} zeros and {len(self.scale)} scales"
            raise ContractError(f"Statistics have {widths}.", "Give one of each for every column.")
        if not np.isfinite([*self.zero, *self.scale]).all():
            raise NotFinite("Statistics hold a NaN or an infinity.", "Make them anew from the data.")
        if min(self.scale, default=1.0) <= 0.0:
            raise ContractError("Statistics have a scale that is not above 0.", "Make them anew from the data.")

    @property
    def width(self) -> int:
        return len(self.names)

    def normalise(self, values: FloatArray) -> FloatArray:
        """(…, N) in the robot's units -> (…, N)"""
        return np.asarray((values - np.array(self.zero)) / np.array(self.scale))

    def restore(self, values: FloatArray) -> FloatArray:
        """The inverse: (…, N) in the robot's units."""
        return np.asarray(values * np.array(self.scale) + np.array(self.zero))


@dataclass(frozen=True)
class Normalisation:
    """Of a policy's state and actions."""

    kind: str
    state: Columns
    action: Columns

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UnknownName("kind of statistics", self.kind, KINDS)

    def check_kind(self, wanted: str, who: str) -> None:
        """ContractError unless they are of the kind that `who` has learnt with."""
        if self.kind != wanted:
            raise ContractError(
                f"{who} works with {wanted} statistics, these are {self.kind} statistics.",
                "Every action would be scaled wrongly. Use the statistics that were saved with these weights.",
            )

    def to_json(self) -> dict[str, Any]:
        return {"format": FORMAT, **asdict(self)}


def from_json(data: Mapping[str, Any], where: str) -> Normalisation:
    """What `to_json` gave."""
    try:
        if data["format"] != FORMAT:
            raise ValueError(f"format {data['format']}, {FORMAT} is known")
        return Normalisation(data["kind"], _columns(data["state"]), _columns(data["action"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ContractError(f"{where} has no statistics that can be read: {error!r}.", _CURE) from error


def from_statistics(statistics: Any, kind: str) -> Normalisation:
    """From `state` and `action` with names, mean, std, q01 and q99, as the dataset keeps them."""
    make = {QUANTILE: _quantile_of, Z_SCORE: _z_score_of}
    if kind not in make:
        raise UnknownName("kind of statistics", kind, KINDS)
    return Normalisation(kind, make[kind](statistics.state), make[kind](statistics.action))


def quantile(names: Sequence[str], q01: FloatArray, q99: FloatArray, eps: float) -> Columns:
    """2 (x - q01) / (q99 - q01 + eps) - 1"""
    half = (np.asarray(q99, dtype=np.float64) - q01 + eps) / 2.0
    return Columns(tuple(names), _floats(q01 + half), _floats(half))


def z_score(names: Sequence[str], mean: FloatArray, std: FloatArray, eps: float) -> Columns:
    """(x - mean) / (std + eps)"""
    return Columns(tuple(names), _floats(mean), _floats(np.asarray(std, dtype=np.float64) + eps))


_CURE = "Save the policy again with its statistics."
_NO_SPREAD = 1e-9  # less is rounding: a column that never changes is moved, not scaled


def _quantile_of(columns: Any) -> Columns:
    low, high = np.array(columns.q01, dtype=np.float64), np.array(columns.q99, dtype=np.float64)
    return Columns(tuple(columns.names), _floats((low + high) / 2.0), _spread((high - low) / 2.0, low, high))


def _z_score_of(columns: Any) -> Columns:
    mean = np.array(columns.mean, dtype=np.float64)
    return Columns(tuple(columns.names), _floats(mean), _spread(np.array(columns.std), mean, mean))


def _spread(found: FloatArray, low: FloatArray, high: FloatArray) -> tuple[float, ...]:
    least = _NO_SPREAD * np.maximum(np.maximum(np.abs(low), np.abs(high)), 1.0)
    return _floats(np.where(found > least, found, 1.0))


def _floats(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in np.asarray(values, dtype=np.float64))


def _columns(data: Mapping[str, Any]) -> Columns:
    return Columns(tuple(str(name) for name in data["names"]), _floats(data["zero"]), _floats(data["scale"]))
