"""What `bags export` and `bags import` share: options, the progress bar, the report."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from vla_mbpo_ros.cli.bags_common import Working
from vla_mbpo_ros.cli.output import emit, say
from vla_mbpo_ros.errors import BagError

if TYPE_CHECKING:
    from vla_mbpo_ros.data.formats.transfer import TransferReport

_SHOWN = 10  # skips and notes that are listed; --json has all


def add_common(parser: argparse.ArgumentParser, to: str) -> None:
    parser.add_argument("--to", type=Path, required=True, help=to)
    parser.add_argument(
        "--cameras", default="", metavar="OURS=THEIRS,…", help="only these cameras, and how they are called there"
    )
    parser.add_argument("--strict", action="store_true", help="fail if any episode was left out")


@contextmanager
def progress_bar(what: str, total: int | None, quiet: bool) -> Iterator[Callable[[str], None]]:
    """To be told the name of each episode before its turn comes; `total`: how many there will be, if known."""
    with Working(what, quiet) as update:
        begun = count()
        yield lambda name: update(next(begun), total)


def conclude(args: argparse.Namespace, report: TransferReport) -> int:
    """Print the report. Nothing moved is a failure, and with --strict so is anything left out."""
    ok = bool(report.moved) and not (args.strict and report.skipped)
    emit(args, {"ok": ok, **report.as_dict()}, lambda: _show(report))
    return 0 if ok else BagError.exit_code


def _show(report: TransferReport) -> None:
    if report.moved:
        print(f"{len(report.moved)} episodes, {report.rows} rows: {report.path}")
    else:
        say(f"Nothing was written: {len(report.skipped)} skipped, {report.filtered} of another outcome.")
    _list("left out", report.skipped)
    _list("note", report.notes)
    if report.moved and report.filtered:
        say(f"{report.filtered} episodes of another outcome were not asked for.")


def _list(title: str, pairs: list[tuple[str, str]]) -> None:
    for source, text in pairs[:_SHOWN]:
        say(f"{title}: {source}: {text}")
    if len(pairs) > _SHOWN:
        say(f"{title}: {len(pairs) - _SHOWN} more; --json lists all.")
