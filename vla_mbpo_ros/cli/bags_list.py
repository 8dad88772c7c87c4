"""`vla-mbpo bags list [FOLDER]`: every episode of a folder, and what they come to."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.bags_common import (
    FOLDER,
    WIDE,
    Working,
    make_console,
    make_table,
    show_lines,
    size_text,
    span_text,
)
from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.cli.output import emit

if TYPE_CHECKING:
    from rich.table import Table

    from vla_mbpo_ros.data.catalogue.entry import Entry
    from vla_mbpo_ros.data.catalogue.index import EpisodeIndex
    from vla_mbpo_ros.data.catalogue.selection import Totals
    from vla_mbpo_ros.evaluation.success_rate import SuccessRate

_DOC = "List the episodes of a folder, and of all folders below it."
_MORE = "What is known of each is kept in a file in that folder, so only bags that have changed are opened again."
_COLOURS = {"success": "green", "failure": "red", "unknown": "dim", "discarded": "dim"}


def add(verbs: Any) -> None:
    parser = new_command(verbs, "list", _DOC, run, _MORE)
    parser.add_argument("folder", metavar="FOLDER", type=Path, nargs="?", default=FOLDER, help="default: bags")
    parser.add_argument("--instruction", metavar="TEXT", default="", help="only those whose instruction has this")
    parser.add_argument("--outcome", default="", help="only success, failure, unknown or discarded")
    parser.add_argument("--policy", metavar="TEXT", default="", help="only those whose policy version has this")
    parser.add_argument("--robot", default="", help="only those of this robot")
    parser.add_argument("--since", metavar="TIME", default="", help="only newer ones: 2026-11-21, 3d, 12h, 30min")
    parser.add_argument("--problems", action="store_true", help="only those with a problem, or with losses")
    parser.add_argument("--sort", metavar="BY", default="recorded", help="recorded (default), length, size, outcome, …")
    parser.add_argument("--limit", metavar="N", type=int, default=0, help="show the first so many; totals are of all")


def run(args: argparse.Namespace) -> int:
    from vla_mbpo_ros.data.catalogue.index import open_index
    from vla_mbpo_ros.data.catalogue.selection import Wanted, select, totals
    from vla_mbpo_ros.evaluation.success_rate import SuccessRate

    wanted = Wanted(args.instruction, args.outcome, args.policy, args.robot, args.since, args.problems)
    select((), wanted, args.sort, args.limit)  # refuses a misspelt order before a thousand bags are read
    with Working(f"reading {args.folder}", quiet=args.json) as update:
        index = open_index(args.folder, update)
    found = select(index.entries, wanted, args.sort)
    shown, sums = found[: args.limit or None], totals(found)
    rate = SuccessRate(sums.success, sums.success + sums.failure)
    result = {
        "ok": True,
        "folder": str(index.folder),
        "episodes": [entry.as_dict() for entry in shown],
        "totals": {**asdict(sums), "success_rate": rate.rate, "success_interval": rate.interval},
        "warnings": list(index.warnings),
        "skipped": list(index.skipped),
    }
    emit(args, result, lambda: _show(index, shown, sums, rate))
    return 0


def _show(index: EpisodeIndex, shown: Sequence[Entry], sums: Totals, rate: SuccessRate) -> None:
    if shown:
        make_console().print(_table(shown, wide=make_console().width >= WIDE))
        print()
    print(_sums(index, shown, sums))
    if sums.episodes:
        print(f"{rate} (Wilson, 95 %)." if rate.total else "No episode is labelled success or failure.")
    show_lines("Problems:", [f"{entry.path or entry.id}: {entry.problem}" for entry in shown if entry.problem])
    show_lines("Warnings:", index.warnings)
    show_lines("Skipped:", index.skipped)


def _sums(index: EpisodeIndex, shown: Sequence[Entry], sums: Totals) -> str:
    if not index.entries:
        return f"No bag is in {index.folder} or below."
    if not shown:
        robots = sorted({entry.robot for entry in index.entries} - {""})
        return f"None of {len(index.entries)} episodes fits. Robots here: {', '.join(robots) or 'none is named'}."
    of_all = f" of {len(index.entries)}" if sums.episodes < len(index.entries) else ""
    word = "episode" if sums.episodes == 1 and not of_all else "episodes"
    cut = f" ({len(shown)} shown)" if len(shown) < sums.episodes else ""
    length, size = span_text(sums.hours * 3600), size_text(sums.gb * 1e9)
    return f"{sums.episodes}{of_all} {word}{cut}, {length}, {size}, {sums.steps} steps."


def _table(entries: Sequence[Entry], wide: bool) -> Table:
    robots = len({entry.robot for entry in entries} - {""}) > 1  # one robot for all needs no column
    more = ["steps", "policy", *(["robot"] if robots else []), "recorded"] if wide else []
    head = ["episode", "instruction", "outcome", "length", *more, "size", "lost"]
    rows = [[_cells(entry, wide)[word] for word in head] for entry in entries]
    return make_table(head, rows, right=("length", "steps", "size", "lost"), flexible="instruction")


def _cells(entry: Entry, wide: bool) -> dict[str, Any]:
    from rich.text import Text

    at = "" if entry.success_time_s is None or not wide else f" at {entry.success_time_s:.1f} s"
    return {
        "episode": Text(entry.id, style="yellow" if entry.problem else ""),
        "instruction": entry.instruction,
        "outcome": Text(f"{entry.outcome}{at}", style=_COLOURS.get(entry.outcome, "")),
        "length": span_text(entry.length_s) if entry.length_s else "",
        "steps": entry.steps or "",
        "policy": entry.policy,
        "robot": entry.robot,
        "recorded": _moment(entry.recorded_at),
        "size": size_text(entry.size_bytes),
        "lost": Text("!" if entry.problem else str(entry.lost or ""), style="red"),
    }


def _moment(recorded_at: str) -> str:
    """In this machine's zone."""
    try:
        return f"{datetime.fromisoformat(recorded_at.replace('Z', '+00:00')).astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return recorded_at[:16]
