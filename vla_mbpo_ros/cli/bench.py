"""`vla-mbpo bench NAME`: what measures speed. Compare figures of one run only, never across machines."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

from vla_mbpo_ros.cli.output import emit, say

BENCHES = ("transport", "twin", "executor", "recorder", "kill", "reading", "dataset", "policy", "imagine", "table")


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser("bench", help="Measure speed.", description="Measure speed.")
    names = parser.add_subparsers(title="benchmarks", required=True, metavar="NAME")
    for name in BENCHES:
        importlib.import_module(f"vla_mbpo_ros.cli.bench_{name}").add(names)


def add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, help="append the raw result to this file, one JSON object a line")


def conclude(args: argparse.Namespace, name: str, result: dict[str, Any]) -> int:
    """Print the result and keep it if asked to."""
    if args.out:
        _append(args.out, name, result)
    emit(args, {"ok": True, **result}, lambda: _show(result))
    return 0


def _append(path: Path, name: str, result: dict[str, Any]) -> None:
    facts = {"bench": name, "at": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "cores": os.cpu_count()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps({**facts, "machine": platform.machine(), **result}) + "\n")
    say(f"Appended to {path}.")


def _show(result: dict[str, Any]) -> None:
    told = {key: value for key, value in result.items() if not isinstance(value, list)}  # rows are for --json
    width = max(map(len, told))
    for key, value in told.items():
        print(f"{key:<{width}}  {value:.3f}" if isinstance(value, float) else f"{key:<{width}}  {value}")
