"""What a checkpoint is, told from its headers and JSON files: no weight is loaded, and no torch is needed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from vla_mbpo_ros.config_io import nested
from vla_mbpo_ros.errors import VlaMbpoError
from vla_mbpo_ros.models.weights import Weights, read_header
from vla_mbpo_ros.policy.checkpoint import (
    WEIGHTS,
    is_ours,
    read_description,
    read_lineage,
    read_stats,
)
from vla_mbpo_ros.policy.flow.normalisation import Normalisation
from vla_mbpo_ros.policy.pi.foreign import Foreign, look, stats_of

OURS = "vla_mbpo_ros"


def inspect(path: Path) -> dict[str, Any]:
    """Layout, kind, sizes, statistics, lineage; `problems` are what would keep it from being loaded."""
    return _inspect_ours(path) if is_ours(path) else _inspect_foreign(path)


def _inspect_ours(folder: Path) -> dict[str, Any]:
    about, weights = read_description(folder), read_header(folder / WEIGHTS)
    problems: list[str] = []
    normalisation = _try(lambda: read_stats(folder), problems)
    if normalisation is not None:
        _try(lambda: normalisation.check_kind(about.statistics, about.kind), problems)
    lineage = _try(lambda: read_lineage(folder), problems)
    return {
        **_facts(folder, OURS, about.kind, weights),
        "network": dict(about.network),
        "inputs": nested(about.inputs),
        "flow": nested(about.flow),
        "tokenizer": about.tokenizer,
        "statistics": _statistics(normalisation),
        "lineage": None if lineage is None else asdict(lineage),
        "problems": problems,
    }


def _inspect_foreign(path: Path) -> dict[str, Any]:
    found = look(path)
    problems: list[str] = []
    normalisation = _try(lambda: stats_of(found, Foreign()), problems)
    return {
        **_facts(path, found.layout, found.network.kind, found.weights),
        "network": nested(found.network),
        "statistics": _statistics(normalisation),
        "lineage": None,
        "problems": problems,
    }


def _facts(path: Path, layout: str, kind: str, weights: Weights) -> dict[str, Any]:
    return {
        "path": str(path),
        "layout": layout,
        "kind": kind,
        "parameters": weights.parameters,
        "weights": len(weights.shapes),
        "dtypes": weights.count_by_dtype(),
        "bytes": weights.path.stat().st_size,
    }


def _statistics(normalisation: Normalisation | None) -> dict[str, Any] | None:
    if normalisation is None:
        return None
    columns = {"state": normalisation.state, "action": normalisation.action}
    return {"kind": normalisation.kind, **{what: list(found.names) for what, found in columns.items()}}


def _try(read: Any, problems: list[str]) -> Any:
    try:
        return read()
    except VlaMbpoError as error:
        problems.append(str(error))
        return None
