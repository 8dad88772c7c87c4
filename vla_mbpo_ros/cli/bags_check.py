"""`vla-mbpo bags check BAG|FOLDER …`: is everything there, whole and in time?"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.bags_common import FOLDER, Working, gather, make_console, make_table, show_lines, span_text
from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.cli.output import emit, say

if TYPE_CHECKING:
    from rich.table import Table

    from vla_mbpo_ros.data.bags.report import BagReport

_DOC = "Check bags against their robot's contract: topics, rates, gaps, losses, clocks, frozen cameras, content."
_MORE = "The exit code is 0 only when all bags are fine."


def add(verbs: Any) -> None:
    parser = new_command(verbs, "check", _DOC, run, _MORE)
    parser.add_argument("paths", metavar="BAG|FOLDER", type=Path, nargs="*", default=[FOLDER], help="default: bags")
    parser.add_argument("--robot", default="", help="whose contract holds for bags that do not say their robot")


def run(args: argparse.Namespace) -> int:
    from vla_mbpo_ros.errors import BagError
    from vla_mbpo_ros.robots import get_robot

    if args.robot:
        get_robot(args.robot)  # refuses a misspelt name before a thousand bags are read
    bags = gather(args.paths)
    reports = _check_all(bags, args.robot, args.json)
    bad = [report for report in reports if not report.ok]
    result = {
        "ok": not bad,
        "checked": len(reports),
        "with_problems": len(bad),
        "bags": [report.as_dict() for report in reports],
    }
    emit(args, result, lambda: _show(reports))
    if not bad:
        return 0
    count = sum(len(report.problems) for report in bad)
    say(f"error: {len(bad)} of {len(reports)} bags {'has' if len(bad) == 1 else 'have'} problems, {count} in all.")
    return BagError.exit_code


def _check_all(bags: Sequence[Path], robot: str, quiet: bool) -> list[BagReport]:
    from vla_mbpo_ros.data.bags.report import check_any

    sizes = [_size(bag) for bag in bags]
    total, done = sum(sizes), 0
    reports = []
    with Working(f"checking {len(bags)} bags", quiet) as update:
        for bag, size in zip(bags, sizes, strict=True):
            seen = 0

            def watch(more: int, before: int = done) -> None:
                nonlocal seen
                seen += more
                update(before + seen, total)

            reports.append(check_any(bag, robot, watch))
            done += size
    return reports


def _size(bag: Path) -> int:
    files = [bag] if bag.is_file() else list(bag.glob("*")) if bag.is_dir() else []
    return sum(file.stat().st_size for file in files if file.is_file())


def _show(reports: Sequence[BagReport]) -> None:
    make_console().print(_table(reports))
    print()
    bad = [report for report in reports if not report.ok]
    print(f"{len(reports) - len(bad)} of {len(reports)} {'bag' if len(reports) == 1 else 'bags'} fine.")
    notes: dict[str, list[str]] = {}
    for report in reports:
        for note in report.notes:
            notes.setdefault(note, []).append(Path(report.path).name)
    show_lines("Notes:", [_note(note, names, len(reports)) for note, names in notes.items()])


def _note(note: str, names: list[str], of: int) -> str:
    if len(names) == of:
        return note
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{note} ({', '.join(names[:3])}{more})"


def _table(reports: Sequence[BagReport]) -> Table:
    rows = [_cells(report) for report in reports]
    return make_table(("bag", "length", "lost", "problems"), rows, right=("length", "lost"), flexible="problems")


def _cells(report: BagReport) -> list[Any]:
    from rich.text import Text

    lost = sum(topic.lost for topic in report.topics)
    problems = Text("\n".join(report.problems), style="red") if report.problems else Text("none", style="green")
    length = span_text(report.duration_s) if report.topics else ""
    return [Path(report.path).name, length, lost or "", problems]
