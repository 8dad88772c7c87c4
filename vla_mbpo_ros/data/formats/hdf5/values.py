"""Single values of a demonstration file, checked for form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from vla_mbpo_ros.data.episodes.episode import IndexArray
from vla_mbpo_ros.data.formats.hdf5 import layout
from vla_mbpo_ros.data.formats.rows import even_times
from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.schema import FloatArray


def matrix(dataset: Any, what: str) -> FloatArray:
    """(T, D)"""
    values = np.asarray(dataset)
    if values.dtype.kind not in "fiu" or values.ndim not in (1, 2) or not len(values):
        raise ContractError(f"'{what}' is {values.dtype} {values.shape}.", "Leave it out.")
    return values.astype(np.float64).reshape(len(values), -1)


def in_order(state: FloatArray, names: list[str], order: Any) -> tuple[FloatArray, list[str]]:
    """The columns as they were before they were divided into joints and grippers."""
    if isinstance(order, list) and len(set(names)) == len(names) and sorted(order) == sorted(names):
        return state[:, [names.index(name) for name in order]], list(order)
    return state, names


def times(demo: Any, rows: int, fps: float) -> IndexArray:
    times_ns = np.asarray(demo[layout.TIMES], dtype=np.int64) if layout.TIMES in demo else even_times(rows, fps)
    if len(times_ns) != rows or (np.diff(times_ns) <= 0).any():
        raise ContractError(f"{layout.TIMES} has {len(times_ns)} times for {rows} rows, or they fall.", "Leave it out.")
    return times_ns


def success_row(demo: Any) -> int | None:
    if layout.REWARDS not in demo:
        return None
    solved = np.flatnonzero(np.asarray(demo[layout.REWARDS]) > 0)
    return int(solved[0]) if len(solved) else None


def instruction(data: Any, file: Path) -> str:
    said = read_json(data.attrs.get("problem_info", "{}"))
    text = said.get("language_instruction") if isinstance(said, dict) else None
    if text is None:  # LIBERO's files are named by it
        text = file.stem.removesuffix("_demo").replace("_", " ")
    return " ".join(text) if isinstance(text, list) else str(text)


def texts(demo: Any, name: str) -> list[str] | None:
    if name not in demo:
        return None
    return [value.decode() if isinstance(value, bytes) else str(value) for value in np.asarray(demo[name]).tolist()]


def column_names(dataset: Any) -> list[str]:
    names = read_json(dataset.attrs.get(layout.NAMES, "[]"))
    return [str(name) for name in names] if isinstance(names, list) else []


def read_json(text: Any) -> Any:
    try:
        return json.loads(text.decode() if isinstance(text, bytes) else str(text))
    except ValueError:
        return None
