"""`vla-mbpo policy inspect PATH`: what a checkpoint is, without loading it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.cli.output import emit

_DOC = "Say what a checkpoint is: layout, kind, sizes, statistics, lineage."
_MORE = "Knows this package's own folders, and pi0 and pi0.5 as openpi and lerobot write them. No weight is loaded."


def add(names: Any) -> None:
    parser = new_command(names, "inspect", _DOC, run, _MORE)
    parser.add_argument("path", metavar="PATH", type=Path, help="folder of a checkpoint, or its safetensors file")


def run(args: argparse.Namespace) -> int:
    from vla_mbpo_ros.policy.inspection import inspect

    result = inspect(args.path)
    emit(args, {"ok": True, **result}, lambda: _show(result))
    return 0


def _show(result: dict[str, Any]) -> None:
    dtypes = ", ".join(f"{count:,} {dtype}" for dtype, count in result["dtypes"].items())
    rows = {
        "path": result["path"],
        "layout": result["layout"],
        "kind": result["kind"],
        "parameters": f"{result['parameters']:,} in {result['weights']} weights ({dtypes})",
        "size": f"{result['bytes'] / 1e6:,.1f} MB",
        "network": _settings(result["network"]),
        **_statistics(result["statistics"]),
        **_lineage(result["lineage"]),
        "problems": "\n".join(result["problems"]) or "none",
    }
    width = max(len(name) for name in rows)
    for name, text in rows.items():
        print(f"{name:<{width}}  {text}")


def _settings(network: dict[str, Any], prefix: str = "") -> str:
    """One line: `horizon=10 … vision.width=1152`."""
    parts = [
        _settings(value, f"{prefix}{key}.") if isinstance(value, dict) else f"{prefix}{key}={value}"
        for key, value in network.items()
    ]
    return " ".join(parts)


def _statistics(found: dict[str, Any] | None) -> dict[str, str]:
    if found is None:
        return {"statistics": "none that can be used"}
    return {"statistics": found["kind"], "state": ", ".join(found["state"]), "action": ", ".join(found["action"])}


def _lineage(found: dict[str, Any] | None) -> dict[str, str]:
    if found is None:
        return {"lineage": "not known"}
    return {
        "version": found["version"],
        "parent": found["parent"] or "none",
        "episodes": str(len(found["episodes"])),
        "made": f"{found['made_at']} by version {found['code_version']}",
    }
