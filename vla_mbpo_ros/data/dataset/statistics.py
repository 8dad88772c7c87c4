"""Normalisation of states and actions: what it is made from, and a check that it belongs to what it is used for.

    z-score     (x - mean) / std                       about zero, in standard deviations
    quantile    2 (x - q01) / (q99 - q01) - 1          the middle 98 % lie in [-1, 1]; not clipped unless asked

A column that never changes has no spread: it is moved to 0 and not scaled, both ways.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from vla_mbpo_ros.data.dataset.cached_episode import CachedEpisode
from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.schema import FloatArray

FORMAT = 1
_NO_SPREAD = 1e-9  # of the largest value in the column: less is rounding


@dataclass(frozen=True)
class ColumnStatistics:
    """Of N columns over `count` rows."""

    names: tuple[str, ...]
    count: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    min: tuple[float, ...]
    max: tuple[float, ...]
    q01: tuple[float, ...]
    q99: tuple[float, ...]

    def z_score(self, values: FloatArray) -> FloatArray:
        """(…, N)"""
        return self._to(values, np.array(self.mean), self._scale(self.std))

    def from_z_score(self, values: FloatArray) -> FloatArray:
        return self._from(values, np.array(self.mean), self._scale(self.std))

    def quantile(self, values: FloatArray, clip: bool = False) -> FloatArray:
        """(…, N)"""
        made = self._to(values, *self._middle())
        return np.clip(made, -1.0, 1.0) if clip else made

    def from_quantile(self, values: FloatArray) -> FloatArray:
        return self._from(values, *self._middle())

    def _middle(self) -> tuple[FloatArray, FloatArray]:
        low, high = np.array(self.q01), np.array(self.q99)
        return (low + high) / 2.0, self._scale((high - low) / 2.0)

    def _scale(self, spread: Any) -> FloatArray:
        size = np.maximum(np.abs(np.array(self.min)), np.abs(np.array(self.max)))
        found = np.array(spread, dtype=np.float64)
        return np.where(found > _NO_SPREAD * np.maximum(size, 1.0), found, 1.0)

    def _to(self, values: FloatArray, zero: FloatArray, scale: FloatArray) -> FloatArray:
        self._check(values)
        return np.asarray((values - zero) / scale)

    def _from(self, values: FloatArray, zero: FloatArray, scale: FloatArray) -> FloatArray:
        self._check(values)
        return np.asarray(values * scale + zero)

    def _check(self, values: FloatArray) -> None:
        if np.shape(values)[-1:] != (len(self.names),):
            raise ContractError(
                f"Values of shape {np.shape(values)} do not fit statistics of {len(self.names)} columns.",
                f"Give (…, {len(self.names)}): {', '.join(self.names)}.",
            )


@dataclass(frozen=True)
class Statistics:
    """Of the episodes that a model is trained on; it goes with the model's weights."""

    robot: str
    episodes: int
    episodes_hash: str  # of their ids
    state: ColumnStatistics
    action: ColumnStatistics

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n", encoding="utf-8")

    def check(self, state_names: Sequence[str], action_names: Sequence[str], where: str = "The statistics") -> None:
        """ContractError unless they are of these very columns, in this order."""
        for kind, mine, wanted in (("state", self.state, state_names), ("action", self.action, action_names)):
            if mine.names != tuple(wanted):
                raise ContractError(
                    f"{where} have {len(mine.names)} columns of {kind} ({', '.join(mine.names)}), "
                    f"{len(wanted)} are needed ({', '.join(wanted)}).",
                    "Use those that were saved with this model, or make them anew: `vla-mbpo dataset stats`.",
                )


def column_statistics(names: Sequence[str], parts: Sequence[FloatArray]) -> ColumnStatistics:
    """Over all rows of all `parts`, each (T, N)."""
    rows = np.concatenate([np.asarray(part, dtype=np.float64).reshape(-1, len(names)) for part in parts])
    if not len(rows) or not np.isfinite(rows).all():
        what = "no row" if not len(rows) else "a number that is not finite"
        raise ContractError(f"Statistics cannot be made of {what}.", "Check the episodes: `vla-mbpo bags check`.")
    low, high = np.quantile(rows, [0.01, 0.99], axis=0)
    # A constant column has exactly no spread; the mean of equal numbers may be off by rounding.
    same = rows.min(axis=0) == rows.max(axis=0)
    mean = np.where(same, rows[0], rows.mean(axis=0))
    std = np.where(same, 0.0, rows.std(axis=0))
    columns = (mean, std, rows.min(axis=0), rows.max(axis=0), low, high)
    return ColumnStatistics(tuple(names), len(rows), *(tuple(map(float, column)) for column in columns))


def gather(episodes: Sequence[CachedEpisode]) -> Statistics:
    """Over every row of these episodes, once each."""
    ids = "\n".join(sorted(episode.id for episode in episodes))
    about = episodes[0].about
    return Statistics(
        robot=episodes[0].facts.robot,
        episodes=len(episodes),
        episodes_hash=hashlib.sha256(ids.encode()).hexdigest()[:16],
        state=column_statistics(about["state_names"], [episode.state for episode in episodes]),
        action=column_statistics(about["action_names"], [episode.action for episode in episodes]),
    )


def load_statistics(path: Path, state_names: Sequence[str], action_names: Sequence[str]) -> Statistics:
    """Those saved at `path`, checked against the columns that they are to be used for."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("format") != FORMAT:
            raise ValueError("another format")
        found = Statistics(**{**data, "state": _columns(data["state"]), "action": _columns(data["action"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        cause = f"{path} has no statistics that can be read: {error}."
        raise ContractError(cause, "Make them: `vla-mbpo dataset stats FOLDER --out FILE`.") from error
    found.check(state_names, action_names, str(path))
    return found


def _columns(data: dict[str, Any]) -> ColumnStatistics:
    lists: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    found = ColumnStatistics(**lists)
    for item in fields(found):
        value = getattr(found, item.name)
        if item.name not in ("names", "count") and (
            len(value) != len(found.names) or not all(math.isfinite(number) for number in value)
        ):
            raise ValueError(f"'{item.name}' does not have one finite number for each name")
    return found
