"""`vla-mbpo bags recover BAG|FOLDER …`: make whole what a crash, a full disk or a power cut left behind."""

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

    from vla_mbpo_ros.data.bags.recover import Recovery

_DOC = "Make bags whole that were not closed: their index and metadata.yaml are written again."
_MORE = "Bags that are whole are left as they are."


def add(verbs: Any) -> None:
    parser = new_command(verbs, "recover", _DOC, run, _MORE)
    parser.add_argument("paths", metavar="BAG|FOLDER", type=Path, nargs="*", default=[FOLDER], help="default: bags")
    parser.add_argument("--dry-run", action="store_true", help="change nothing, tell what would be done")


def run(args: argparse.Namespace) -> int:
    from vla_mbpo_ros.errors import BagError

    bags = gather(args.paths)
    done, failed = _recover_all(bags, args.dry_run, args.json)
    result = {
        "ok": not failed,
        "dry_run": args.dry_run,
        "bags": [_row(recovery) for recovery in done],
        "failed": [{"path": str(path), "problem": problem} for path, problem in failed],
    }
    emit(args, result, lambda: _show(done, failed, args.dry_run))
    if not failed:
        return 0
    say(f"error: {len(failed)} of {len(bags)} bags cannot be made whole.")
    return BagError.exit_code


def _recover_all(bags: Sequence[Path], dry_run: bool, quiet: bool) -> tuple[list[Recovery], list[tuple[Path, str]]]:
    from vla_mbpo_ros.data.bags.recover import recover
    from vla_mbpo_ros.errors import VlaMbpoError

    done: list[Recovery] = []
    failed: list[tuple[Path, str]] = []
    with Working(f"recovering {len(bags)} bags", quiet) as update:
        for count, bag in enumerate(bags):
            update(count, len(bags))
            try:
                done.append(recover(bag, dry_run=dry_run))
            except VlaMbpoError as error:
                failed.append((bag, str(error)))
            except Exception as error:  # a damaged file may fail in any way; the next bag must be looked at
                failed.append((bag, f"{bag} cannot be recovered: {type(error).__name__}: {error}."))
    return done, failed


def _row(recovery: Recovery) -> dict[str, Any]:
    return {
        "path": str(recovery.path),
        "was_whole": recovery.was_whole,
        "files": recovery.files,
        "messages": recovery.messages,
        "dropped_bytes": recovery.dropped_bytes,
        "duration_s": recovery.duration_s,
        "custom_data": dict(recovery.custom_data),
        "sentence": recovery.sentence,
    }


def _show(done: Sequence[Recovery], failed: Sequence[tuple[Path, str]], dry_run: bool) -> None:
    broken = [recovery for recovery in done if not recovery.was_whole]
    if broken:
        make_console().print(_table(broken))
        print()
    did = "would be made whole" if dry_run else "made whole"
    parts = [f"{len(broken)} {did}", f"{len(done) - len(broken)} whole already", f"{len(failed)} not recoverable"]
    print(", ".join(part for part in parts if not part.startswith("0 ")) + ".")
    show_lines("Not recoverable:", [f"{path}: {problem}" for path, problem in failed])


def _table(broken: Sequence[Recovery]) -> Table:
    rows = [[one.path.name, span_text(one.duration_s), one.messages, one.sentence] for one in broken]
    head = ("bag", "length", "messages", "what was done")
    return make_table(head, rows, right=("length", "messages"), flexible="what was done")
