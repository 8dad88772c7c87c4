"""What all importers do to the rows of an episode."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vla_mbpo_ros.data.episodes.episode import IndexArray
from vla_mbpo_ros.errors import ContractError, NotFinite
from vla_mbpo_ros.schema import FloatArray

START_NS = 10**9  # when an episode begins that does not say when it was
POLICY = "policy"


def check_finite(what: str, names: Sequence[str], values: FloatArray) -> None:
    """`values` (N, len(names))."""
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = bad[0]
        raise NotFinite(f"The {what} is {values[row, column]} for {names[column]} at row {row}.", "Leave it out.")


def end_of(times_ns: IndexArray, row: int, dt_ns: int) -> int:
    """When the action of a row has been done."""
    return int(times_ns[row + 1]) if row + 1 < len(times_ns) else int(times_ns[row]) + dt_ns


def even_times(count: int, fps: float) -> IndexArray:
    """(N,) from START_NS on."""
    return START_NS + np.round(np.arange(count) / fps * 1e9).astype(np.int64)


def sources(said: Sequence[str | None] | None, count: int) -> tuple[str, ...]:
    """Who was obeyed at each row; where nobody says, the policy that showed the task."""
    if said is None:
        return (POLICY,) * count
    if len(said) != count:
        raise ContractError(f"It names {len(said)} sources for {count} rows.", "Leave it out.")
    return tuple(name or POLICY for name in said)
