"""Raw benchmark results (one JSON object a line) -> Markdown tables. Nothing is rounded but for reading."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vla_mbpo_ros.errors import ConfigError

HEAD = """# Benchmarks

Made by `vla-mbpo bench table` from the raw results in `benchmarks/results/`. A row is one run. Timings depend on the
machine and on what else it did, so compare what stands in one row. Targets are those the release was built for.
"""
TARGETS = {
    "recorder": "0 lost and at most a quarter of a core: 60 s of three 640x480 cameras at 30 Hz, joints at 100 Hz",
    "kill": "at most 0.2 s lost, every bag recovered and read by all",
    "reading": "at least 1 GB/s, one after the other",
    "dataset": "5 times LeRobot's class and 10 times the bag opened afresh; in random order, images copied",
    "transport": "0 of 450 frames lost at p95 ≤ 15 ms by shared memory, beside sockets and the default",
    "twin": "at least 100 control steps/s with three 64x64 cameras",
    "policy": "tiny: median at most 20 ms on two cores, the node at most 3 ms more, two transports included",
    "imagine": "the service adds at most 60 ms at p95 to the model, two 256x256 views; tiny: at most 0.3 s a chunk, "
    "at least 20 chunks/s at batch 16 on two cores; bagel_7b on a GPU: 5 times plain, twice sequential",
    "executor": "jitter p99 ≤ 2 ms at 100 Hz, on the steady clock, with three synthetic cameras and a sink robot",
}
_COMMON = ("bench", "machine")  # in the title, or the same everywhere


def load_results(folder: Path) -> list[dict[str, Any]]:
    """Every result below `folder`, in the order of the files' names."""
    results = [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()]
    if not results:
        raise ConfigError(f"{folder} has no results.", "Make some: `vla-mbpo bench twin --out FILE.jsonl`.")
    return results


def to_markdown(results: Iterable[Mapping[str, Any]]) -> str:
    """One table a benchmark."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for result in results:
        groups.setdefault(str(result["bench"]), []).append(result)
    return "\n".join([HEAD, *(_table(name, rows) for name, rows in sorted(groups.items()))])


def _table(name: str, rows: list[Mapping[str, Any]]) -> str:
    lines = [f"## {name}", "", f"Target: {TARGETS[name]}." if name in TARGETS else "", ""]
    lines += _cells([{key: value for key, value in row.items() if not _is_table(value)} for row in rows])
    for row in rows:
        for key, value in row.items():
            if _is_table(value):
                lines += ["", f"<details><summary>{key} of {row['at']}</summary>", "", *_cells(value), "", "</details>"]
    return "\n".join(lines) + "\n"


def _cells(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    columns = [key for key in dict.fromkeys(key for row in rows for key in row) if key not in _COMMON]
    body = [_row(_text(row.get(column)) for column in columns) for row in rows]
    return [_row(columns), _row("---" for _ in columns), *body]


def _is_table(value: Any) -> bool:
    """What one run has to say of each of its parts."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(entry)}" for key, entry in value.items())
    return "x".join(map(_text, value)) if isinstance(value, list) else str(value)
